import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import type { Access } from '../../access/access.ts'
import type { Config } from '../../config/config.ts'
import { plainAddress } from '../../identity/address.ts'
import type { Identity } from '../../identity/identity.ts'
import type { SshKeys } from '../../identity/ssh/keys.ts'
import type { ChangeFeed } from '../../kernel/change.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { ConnectPlace } from '../../resources/connect.ts'
import type { Gate } from '../../sessions/admission.ts'
import type { Lobby } from '../lobby.ts'
import { admitAsking } from './auth/admit.ts'
import { authenticate, type Caller } from './auth/authenticate.ts'
import type { AdoptedChannel, Conversation } from './conversation.ts'
import { faultDisconnect } from './fault-disconnect.ts'
import type { Hall } from './hall.ts'
import { serveMenu } from './menu/serve-menu.ts'
import { stderrData } from './relay/messages.ts'
import { runSession, type Doorway, type SessionDeps } from './session.ts'
import { asciiLine, asciiText, refusalText } from './texts.ts'
import { acceptTransport } from './transport-over-library.ts'
import type { Transport } from './transport.ts'

export interface ConnectionDeps extends Omit<SessionDeps, 'targetAuthority'> {
  readonly gate: Pick<Gate, 'admit'>
  readonly identity: Identity
  readonly access: Access
  readonly changes: ChangeFeed
  readonly settings: Pick<Config, 'gateway' | 'limits' | 'access' | 'identity'>
  readonly keys: SshKeys
  readonly lobby: Lobby
  readonly hall: Hall
  /** What the menu says of how to reach resources of other kinds. */
  readonly connect: ConnectPlace
  /** The port that clients connect to, for what the menu tells them. */
  readonly port: () => number
  /** Aborts with a Fault when the listener stops: ends what is not a session yet. */
  readonly stopping: AbortSignal
}

/** A client that does not hang up after it was told to is hung up on. */
const goodbyeMs = 1000

/**
 * One connection from accept to its last byte: keys, authentication, admission, then its session, or the menu.
 * Resolves when the socket is closed and nothing of it goes on; never rejects.
 */
export async function serveConnection(socket: Socket, deps: ConnectionDeps): Promise<void> {
  socket.on('error', () => undefined) // whoever reads it at that moment sees it end; between readers nobody would
  const { remoteAddress = '', remotePort: port = 0 } = socket
  const address = plainAddress(remoteAddress)
  deps.metrics.add('curfew_connections_total', { protocol: 'ssh' })
  try {
    using place = deps.lobby.enter(address, 'ssh')
    await serve(socket, { from: { address, port } }, place, deps)
  } catch (error) {
    note(error, deps)
    // Lines before the identification are shown by clients that are asked to be verbose (RFC 4253 section 4.2).
    if (socket.bytesWritten === 0 && socket.writable) socket.write(`${asciiLine(asFault(error)?.message ?? '')}\r\n`)
  } finally {
    await closed(socket, deps)
  }
}

/** @throws whatever ended it before its session; the client has been told by then, as far as it could be. */
async function serve(stream: Duplex, caller: Caller, place: Disposable, deps: ConnectionDeps): Promise<void> {
  const transport = await exchangeKeys(stream, deps)
  const { signInMs } = deps.settings.identity
  const { handshakeMs } = deps.settings.limits
  const conversation = await authenticate(transport, caller, deps.stopping, { ...deps, handshakeMs, signInMs })
  place[Symbol.dispose]()
  const signal = AbortSignal.any([transport.gone, deps.stopping])
  const { wanted, identified } = conversation
  try {
    using hall = deps.hall.enter(identified.person)
    if (wanted.kind === 'menu') return await menu(transport, conversation, { caller, hall }, deps)
    const { waitMs } = deps.settings.access
    const admission = await admitAsking(conversation, wanted, signal, { ...deps, waitMs })
    hall[Symbol.dispose]()
    await runSession(transport, atDoor(conversation), admission, {
      ...deps,
      targetAuthority: deps.keys.targetAuthority,
    })
  } catch (error) {
    if (transport.gone.aborted) throw error
    if (asFault(error) === undefined) deps.log.error({ error }, 'an ssh connection failed')
    conversation.refuse(asFault(error) ?? internalError(error))
    throw error
  }
}

async function exchangeKeys(stream: Duplex, { clock, settings, stopping, keys }: ConnectionDeps): Promise<Transport> {
  const late = new AbortController()
  const timer = clock.after(settings.limits.handshakeMs, () => {
    late.abort(new Fault('DEADLINE_PASSED', 'Keys were not exchanged in time.'))
  })
  try {
    return await acceptTransport(stream, { hostKeys: [keys.hostKey], signal: AbortSignal.any([late.signal, stopping]) })
  } finally {
    timer.cancel()
  }
}

async function menu(
  transport: Transport,
  conversation: Conversation,
  { caller, hall }: { readonly caller: Caller; readonly hall: Disposable },
  deps: ConnectionDeps,
): Promise<void> {
  const session = { ...deps, targetAuthority: deps.keys.targetAuthority }
  const nowhere = { [Symbol.dispose]: () => undefined }
  conversation.succeed()
  await serveMenu(transport, conversation, {
    ...deps,
    waitMs: deps.settings.access.waitMs,
    clientHost: deps.settings.gateway.clientHost,
    startSession: (admission, adopted) => {
      hall[Symbol.dispose]()
      return runSession(transport, fromMenu(transport, adopted), admission, session)
    },
    serveNested: async (stream, within) => {
      await serve(stream, { ...caller, within }, nowhere, deps).catch((error: unknown) => note(error, deps))
    },
  })
}

/** Somebody who is being let in. */
function atDoor(conversation: Conversation): Doorway {
  return {
    say: (text) => conversation.say(text),
    enter: () => conversation.succeed(),
    refuse: (fault) => conversation.refuse(fault),
    adopted: null,
  }
}

/** Somebody who was let in to choose. What the target wants read comes out of their terminal's window. */
function fromMenu(transport: Transport, chosen: AdoptedChannel): Doorway {
  let adopted = chosen
  return {
    say: (text) => {
      const bytes = Buffer.from(`${asciiText(text.trimEnd())}\n`.replaceAll('\n', '\r\n'))
      const { clientChannel, clientWindowBytes, clientPacketBytesMax } = adopted
      if (bytes.length > Math.min(clientWindowBytes / 2, clientPacketBytesMax)) return
      transport.send(stderrData(clientChannel, bytes))
      adopted = { ...adopted, clientWindowBytes: clientWindowBytes - bytes.length }
    },
    enter: () => undefined,
    refuse: (fault) => transport.disconnect(faultDisconnect[fault.code], asciiLine(refusalText(fault))),
    get adopted() {
      return adopted
    },
  }
}

function internalError(cause: unknown): Fault {
  return new Fault('STORE_FAILED', 'internal error', { cause })
}

function note(error: unknown, { log, metrics }: ConnectionDeps): void {
  const fault = asFault(error)
  if (fault === undefined) log.debug({ error }, 'an ssh connection ended before its session began')
  metrics.add('curfew_connections_refused_total', { protocol: 'ssh', code: fault?.code ?? 'gone' })
}

async function closed(socket: Socket, { clock }: ConnectionDeps): Promise<void> {
  if (socket.closed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = clock.after(goodbyeMs, () => socket.destroy())
  socket.once('close', () => {
    timer.cancel()
    resolve()
  })
  if (!socket.destroyed) socket.resume().end()
  await promise
}
