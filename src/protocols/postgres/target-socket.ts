import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type ConnectionOptions } from 'node:tls'
import { Fault } from '../../kernel/fault.ts'
import type { PostgresPlace, PostgresResource, UpstreamTlsMode } from '../../resources/catalogue.ts'
import { keepAlive } from '../keep-alive.ts'
import { alpnProtocols } from './alpn.ts'
import { Inbox } from './inbox.ts'
import { sharedReads } from './shared-reads.ts'
import { sslRequest } from './startup.ts'

/** One server, and how to speak to it. */
export interface TargetAddress extends PostgresPlace {
  readonly name: string
  readonly tls: PostgresResource['tls']
  readonly minTlsVersion: PostgresResource['minTlsVersion']
  readonly keepalives: PostgresResource['keepalives']
  /** What its name meant when it was reached: the same name may mean another server by now. Null: not reached yet, or no name. */
  readonly reachedAt: string | null
}

const acceptsTls = 0x53
const refusesTls = 0x4e
/** The most that may wait unread of a target that has not let us in. */
export const targetUnreadBytesMax = 256 * 1024

/** A server on this machine, reached through a socket in that folder. */
export function isSocketFolder(host: string): boolean {
  return host.startsWith('/')
}

/**
 * How a mode is tried, in this order: without TLS, with TLS, or with TLS where the server offers it. The second is tried
 * where the first is turned away.
 * @see PostgreSQL manual, "libpq", sslmode
 */
export function encryptionsOf(mode: UpstreamTlsMode, host: string): readonly ('none' | 'offered' | 'required')[] {
  if (mode === 'disable' || isSocketFolder(host)) return ['none']
  if (mode === 'allow') return ['none', 'required']
  return mode === 'prefer' ? ['offered', 'none'] : ['required']
}

/**
 * Opens the way to a server: TCP or a socket of this machine, then TLS.
 * @param signal ends the attempt; its reason is what this rejects with.
 * @param shared memory to read into where there is no TLS; the socket is paused then, as nobody would hear what comes.
 * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS
 */
export async function openTargetSocket(
  target: TargetAddress,
  encryption: 'none' | 'offered' | 'required',
  signal: AbortSignal,
  shared?: Buffer,
): Promise<Socket> {
  signal.throwIfAborted()
  const options = { ...placeOf(target), noDelay: true }
  const socket: Socket =
    encryption === 'none' && shared !== undefined
      ? connect({ ...options, onread: sharedReads(shared, () => socket) }).pause()
      : connect(options)
  keepAlive(socket, target.keepalives)
  try {
    await whenReady(socket, 'connect', signal)
    return encryption === 'none' ? socket : await secure(socket, target, encryption, signal)
  } catch (error) {
    socket.destroy()
    signal.throwIfAborted()
    if (error instanceof Fault) throw error
    throw new Fault('UPSTREAM_UNREACHABLE', `${target.name} cannot be reached.`, { cause: error })
  }
}

function placeOf({ host, port, reachedAt }: TargetAddress) {
  return isSocketFolder(host) ? { path: `${host}/.s.PGSQL.${port}` } : { host: reachedAt ?? host, port }
}

async function secure(
  socket: Socket,
  target: TargetAddress,
  encryption: 'offered' | 'required',
  signal: AbortSignal,
): Promise<Socket> {
  const inbox = new Inbox(socket, targetUnreadBytesMax)
  socket.write(sslRequest)
  const [answer] = await inbox.take(1, signal)
  const behind = inbox.detach()
  if (answer === refusesTls && encryption === 'offered' && behind.length === 0) return socket
  if (answer !== acceptsTls) throw new Fault('UPSTREAM_TLS', `${target.name} does not offer TLS.`)
  // Bytes that came before the handshake were not protected by it (CVE-2021-23222).
  if (behind.length > 0) throw new Fault('UPSTREAM_TLS', `${target.name} sent unprotected bytes before TLS began.`)
  const tls = connectTls({ socket, ...tlsOptions(target) })
  try {
    await whenReady(tls, 'secureConnect', signal)
  } catch (error) {
    tls.destroy()
    signal.throwIfAborted()
    throw new Fault('UPSTREAM_TLS', `${target.name} could not prove who it is.`, { cause: error })
  }
  tls.disableRenegotiation()
  return tls
}

function tlsOptions(target: TargetAddress): ConnectionOptions {
  const { host, minTlsVersion } = target
  const { mode, ca, serverName, identity } = target.tls
  const name = serverName ?? host
  // As libpq has it: whoever names authorities wants them asked.
  const isChecked = mode === 'verify-full' || mode === 'verify-ca' || ca !== null
  return {
    ...(isIP(name) === 0 && { servername: name }),
    ...(ca !== null && { ca }),
    ...(identity !== null && { cert: identity.certificate, key: identity.key.reveal() }),
    minVersion: minTlsVersion,
    rejectUnauthorized: isChecked, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    ALPNProtocols: alpnProtocols,
    checkServerIdentity: (_host, certificate) =>
      mode === 'verify-full' ? checkServerIdentity(name, certificate) : undefined,
  }
}

/** Like `once`, but a peer that hangs up without an error counts, too. */
async function whenReady(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  const settled = new AbortController()
  const either = { signal: AbortSignal.any([signal, settled.signal]) }
  const closed = once(socket, 'close', either).then(() => {
    throw new Error('the connection was closed')
  })
  try {
    await Promise.race([once(socket, event, either), closed])
  } finally {
    settled.abort()
    await closed.catch(() => undefined) // the loser of the race; the winner has been reported
  }
}
