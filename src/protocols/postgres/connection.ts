import type { Socket } from 'node:net'
import type { Access } from '../../access/access.ts'
import type { Config } from '../../config/config.ts'
import type { Identity } from '../../identity/identity.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Clock } from '../../kernel/time.ts'
import { isIn } from '../../policy/networks.ts'
import type { Catalogue } from '../../resources/catalogue.ts'
import type { Gate } from '../../sessions/admission.ts'
import { admit } from './admit.ts'
import type { CancelKeys } from './cancel-keys.ts'
import type { GuardSources } from './guard/guard-for.ts'
import { Client } from './client.ts'
import type { Errands } from './errands.ts'
import { farewell } from './farewell.ts'
import { greet, newGuest, readProxy, type Guest, type Terms } from './greet.ts'
import type { Handshakes } from './handshakes.ts'
import { identify } from './identify.ts'
import { PeerGone } from './inbox.ts'
import type { Lobby } from '../lobby.ts'
import { fatal, internalError } from './messages.ts'
import { withPageLink } from './page-link.ts'
import type { SaltedPasswords } from './salted-passwords.ts'
import type { Scratch } from './scratch.ts'
import { startSession } from './session.ts'
import { readWanted } from './startup.ts'
import type { DatabaseUsers } from './users/database-users.ts'

export interface ConnectionDeps {
  readonly gate: Gate
  readonly identity: Pick<Identity, 'inBand' | 'tokens' | 'certificates' | 'oauth' | 'person'>
  readonly access: Pick<Access, 'offer' | 'ask' | 'requestsOf' | 'askLink' | 'requestLink' | 'waitForGrant'>
  readonly catalogue: Catalogue
  readonly statements: GuardSources['statements']
  readonly questions: GuardSources['questions']
  readonly settings: Pick<Config, 'limits' | 'access' | 'identity'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  readonly scratch: Scratch
  readonly salted: SaltedPasswords
  readonly cancelKeys: CancelKeys
  readonly databaseUsers: DatabaseUsers
  readonly lobby: Lobby
  readonly terms: Terms
  readonly handshakes: Handshakes
  readonly errands: Errands
  /** Aborts with a Fault when the listener stops: ends what is not a session yet. */
  readonly stopping: AbortSignal
}

/**
 * One connection from accept: greet, identify, admit, then its session, which goes on by itself. Never rejects.
 * @param gone called when the socket is closed and nothing of the connection goes on.
 */
export async function serveConnection(socket: Socket, deps: ConnectionDeps, gone: () => void): Promise<void> {
  const guest = newGuest(socket, deps.scratch.turns)
  socket.on('error', ignore) // whoever reads it at that moment sees it end; between readers nobody would
  const { remoteAddress: address = '', remotePort: port = 0 } = socket
  deps.metrics.add('curfew_connections_total', { protocol: 'postgres' })
  try {
    if (await receive(guest, { address: plainAddress(address), port }, deps, gone)) return
  } catch (error) {
    refuse(guest.socket, error, deps)
  }
  await farewell(guest.socket, deps.clock)
  gone()
}

function ignore(): void {}

interface From {
  readonly address: string
  readonly port: number
}

/** @returns true when a session has begun, which will say when it is gone. */
async function receive(guest: Guest, peer: From, deps: ConnectionDeps, gone: () => void): Promise<boolean> {
  const from = await clientOf(guest, peer, deps)
  using place = deps.lobby.enter(from.address, 'postgres')
  const { terms } = deps
  const greeting = await inTime('No startup message came in time.', deps, (signal) =>
    greet(guest, terms, () => deps.handshakes.begin(from.address), signal),
  )
  if (greeting.kind === 'cancel') {
    const outcome = await deps.cancelKeys.request(greeting.processId, greeting.secret, from.address)
    // Of one that asks all the time there is nothing to read; a log must not be filled by somebody unknown.
    if (outcome !== 'too-many') deps.log.info({ address: from.address, outcome }, 'cancel request')
    return false
  }
  return await serveClient(new Client(guest, greeting.startup, from), place, deps, gone)
}

/** Where the client is: a load balancer says so of those behind it. */
async function clientOf(guest: Guest, peer: From, deps: ConnectionDeps): Promise<From> {
  const { balancers } = deps.terms
  if (balancers === null || !isIn(balancers, peer.address)) return peer
  using _place = deps.lobby.enter(null, 'postgres')
  return (await inTime('No PROXY header came in time.', deps, (signal) => readProxy(guest, signal))) ?? peer
}

async function inTime<T>(
  late: string,
  { clock, settings, stopping, errands }: ConnectionDeps,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const tooLate = new AbortController()
  // A crowd that came at once is late at once.
  const abort = () => tooLate.abort(new Fault('DEADLINE_PASSED', late))
  const timer = clock.after(settings.limits.handshakeMs, () => errands.add(abort))
  try {
    return await work(AbortSignal.any([tooLate.signal, stopping]))
  } finally {
    timer.cancel()
  }
}

async function serveClient(
  client: Client,
  place: Disposable,
  deps: ConnectionDeps,
  gone: () => void,
): Promise<boolean> {
  const { settings, clock, catalogue } = deps
  const wanted = readWanted(client.startup)
  const signal = AbortSignal.any([client.gone, deps.stopping])
  const { signInMs } = settings.identity
  const { handshakeMs } = settings.limits
  const identified = await identify(client, wanted, signal, { identity: deps.identity, signInMs, handshakeMs, clock })
  place[Symbol.dispose]()
  client.known()
  client.authenticated()
  deps.handshakes.cameIn(client.facts.address)
  const { resource, role } = wanted
  // The gate refuses what must not be known; the default only saves it a look.
  const known = catalogue.role(resource, role)
  const database = wanted.database ?? (known?.kind === 'postgres' ? known.databases[0] : null)
  const reachesAllDatabases = client.startup.replication !== null
  const ask = { identified, resource, role, database, reachesAllDatabases, client: client.facts }
  const opening = await admit(client, ask, signal, { ...deps, waitMs: settings.access.waitMs })
  return await startSession(client, opening, deps, gone)
}

/** Every refusal is an ErrorResponse with SQLSTATE, message and hint, as long as somebody is there to read it. */
function refuse(socket: Socket, error: unknown, { access, log, metrics }: ConnectionDeps): void {
  if (error instanceof PeerGone) {
    log.debug({ error }, 'a client hung up before its session began')
    return
  }
  const fault = asFault(error)
  if (fault === undefined) log.error({ error }, 'a connection failed')
  metrics.add('curfew_connections_refused_total', { protocol: 'postgres', code: fault?.code ?? 'internal' })
  if (!socket.writable) return
  socket.write(fault === undefined ? internalError : fatal(withPageLink(fault, access.askLink('', ''))))
}

/** IPv4 in IPv6's clothes is IPv4. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}
