import type { Socket } from 'node:net'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Catalogue, PostgresRole } from '../../resources/catalogue.ts'
import type { Admission, Opening } from '../../sessions/admission.ts'
import type { Session } from '../../sessions/session.ts'
import { eitherAborts } from '../either-aborts.ts'
import type { CancelKeys } from './cancel-keys.ts'
import type { Client } from './client.ts'
import { dismissTarget } from './dismiss.ts'
import type { GuardSources } from './guard/guard-for.ts'
import { checkStartRole } from './guard/start-role.ts'
import { fatal } from './messages.ts'
import type { RelayEnd } from './relay.ts'
import { cancelKeyBytes, RunningSession } from './running-session.ts'
import type { SaltedPasswords } from './salted-passwords.ts'
import type { Scratch } from './scratch.ts'
import type { Startup } from './startup.ts'
import type { TargetWish } from './target.ts'
import { unlessAborted } from './unless-aborted.ts'
import { connectAs, type Connected } from './users/connect-as.ts'
import type { DatabaseUsers } from './users/database-users.ts'

export interface SessionDeps extends GuardSources {
  readonly catalogue: Catalogue
  readonly cancelKeys: CancelKeys
  readonly databaseUsers: DatabaseUsers
  readonly metrics: Metrics
  readonly scratch: Scratch
  readonly salted: SaltedPasswords
}

const nothingPassed = { bytesFromClient: 0, bytesFromTarget: 0 } as const

/** A session that may begin: both ends are there, and its start is on the disk. */
interface Opened {
  readonly connected: Connected
  readonly admission: Admission
}

/** One that does not come about, with its client told. Nothing of the client's has reached a target that let us in. */
interface Unopened {
  readonly end: RelayEnd
  readonly connected: Connected | undefined
}

/**
 * From an opening to "ready for queries", and from there on by itself: connects to the target while the session's start
 * is written, and goes on when both are done. The admission is given back exactly once.
 * @param gone called when the session is over: the client's socket is closed, and nothing goes on at the target.
 * @returns false when it came to nothing: the client has been told, nothing goes on, and `gone` is not called.
 */
export async function startSession(
  client: Client,
  opening: Opening,
  deps: SessionDeps,
  gone: () => void,
): Promise<boolean> {
  const opened = await open(client, opening, deps)
  if ('end' in opened) {
    await leave(opened, opening, deps)
    return false
  }
  const { connected, admission } = opened
  const session = new RunningSession(admission, connected, cancelKeyBytes(client.startup.version), deps, gone)
  await session.start(client, connected.target)
  return true
}

async function open(client: Client, opening: Opening, deps: SessionDeps): Promise<Opened | Unopened> {
  using either = eitherAborts(opening.cutOff, client.gone)
  let connected: Connected | undefined
  try {
    const wish = wishOf(client, opening, deps.catalogue)
    if (wish.role.guard !== null) await deps.statements.ready()
    connected = await connectAs(wish, opening, either.signal, deps)
    using _gap = ignoreErrors(connected.target.socket)
    return { connected, admission: await unlessAborted(opening.admitted, either.signal) }
  } catch (error) {
    return { connected, end: failed(client, opening, error, deps) }
  }
}

/** Until the relay listens to it; what failed is closed by then, which the relay sees. */
function ignoreErrors(socket: Socket): Disposable {
  const ignore = () => undefined
  socket.on('error', ignore)
  return { [Symbol.dispose]: () => void socket.off('error', ignore) }
}

async function leave({ connected, end }: Unopened, opening: Opening, deps: SessionDeps): Promise<void> {
  const state = { busy: false, atBoundary: true } as const
  const dismissed = connected && dismissTarget(connected.target, connected.wish, state, deps)
  await endUnopened(opening, end, deps)
  await dismissed
  connected?.user?.giveBack()
}

/** It is a session all the same, unless its start could not be written. */
async function endUnopened(
  { admitted, session }: Opening,
  end: RelayEnd,
  { log, metrics }: SessionDeps,
): Promise<void> {
  const admission = await admitted.catch((error: unknown) => {
    const code = asFault(error)?.code
    if (code === undefined) log.error({ session: session.id, error }, 'a session could not be begun')
    metrics.add('curfew_connections_refused_total', { protocol: 'postgres', code: code ?? 'internal' })
    return undefined
  })
  await admission?.end(end)
}

function failed(client: Client, opening: Opening, error: unknown, { log, metrics }: SessionDeps): RelayEnd {
  const { cutOff, session } = opening
  if (cutOff.aborted) {
    const fault = asFault(cutOff.reason) ?? new Fault('KILLED', 'The session was ended.')
    client.write(fatal(fault))
    opening.told()
    return { by: 'gate', error: fault, ...nothingPassed }
  }
  if (client.gone.aborted) return { by: 'client', error, ...nothingPassed }
  const fault = asFault(error) ?? new Fault('UPSTREAM_UNREACHABLE', `${session.resource} cannot be used now.`)
  const facts = { session: session.id, resource: session.resource, code: fault.code, error }
  log.warn(facts, 'the target could not be used')
  metrics.add('curfew_upstream_failures_total', { resource: session.resource, code: fault.code })
  client.write(fatal(fault))
  return { by: 'target', error: fault, ...nothingPassed }
}

function wishOf(client: Client, { session }: Opening, catalogue: Catalogue): TargetWish {
  const resource = catalogue.resource(session.resource)
  const role = catalogue.role(session.resource, session.role)
  if (resource?.kind !== 'postgres' || role?.kind !== 'postgres') {
    throw new Fault('RESOURCE_UNKNOWN', 'What this session is for does not exist any more.')
  }
  const database = session.database ?? role.databases[0]
  if (!role.databases.includes(database)) {
    throw new Fault('DATABASE_REFUSED', 'The role may not open this database.')
  }
  checkReplication(client.startup, role)
  if (role.guard !== null) checkStartRole(client.startup.parameters, role.guard)
  return { resource, role, database, parameters: parametersFor(client.startup, role, session) }
}

function checkReplication({ replication }: Startup, role: PostgresRole): void {
  if (replication === null || role.replication) return
  throw new Fault('PROTOCOL_UNSUPPORTED', `Replication connections may not pass as ${role.name}.`, {
    hint: 'Connect without the parameter "replication", or as a role that allows it.',
  })
}

/** NAMEDATALEN - 1: longer names are cut off by the server. */
const applicationBytesMax = 63

/** The client's own, and what the role says of every session. The server takes the last of a name. */
function parametersFor(
  { parameters, replication }: Startup,
  role: PostgresRole,
  { id, personName }: Session,
): TargetWish['parameters'] {
  const application = parameters.findLast(([name]) => name === 'application_name')?.[1] ?? ''
  const shown = `${id} ${personName} ${application}`.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, applicationBytesMax)
  const ours = [
    ...(role.applicationName === 'session' ? [['application_name', shown.trim()] as const] : []),
    ...Object.entries(role.parameters),
    ...(replication === null ? [] : [['replication', replication] as const]),
  ]
  const names = new Set(ours.map(([name]) => name.toLowerCase()))
  return [...parameters.filter(([name]) => !names.has(name.toLowerCase())), ...ours]
}
