import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type TLSSocket } from 'node:tls'
import { Fault } from '../../kernel/fault.ts'
import type { PostgresResource } from '../../resources/catalogue.ts'
import { Inbox } from './inbox.ts'
import { sslRequest } from './startup.ts'

export type TargetAddress = Pick<PostgresResource, 'name' | 'host' | 'port' | 'tls'>

const keepAliveMs = 60_000
const acceptsTls = 0x53
/** The most that may wait unread of a target that has not let us in. */
export const targetUnreadBytesMax = 256 * 1024

/**
 * Opens the way to a target: TCP, then TLS as its resource says.
 * @param signal ends the attempt; its reason is what this rejects with.
 * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS
 */
export async function openTargetSocket(target: TargetAddress, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted()
  const socket = connect({
    host: target.host,
    port: target.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  })
  try {
    await whenReady(socket, 'connect', signal)
    return target.tls.mode === 'disable' ? socket : await secure(socket, target, signal)
  } catch (error) {
    socket.destroy()
    signal.throwIfAborted()
    if (error instanceof Fault) throw error
    throw new Fault('UPSTREAM_UNREACHABLE', `${target.name} cannot be reached.`, { cause: error })
  }
}

async function secure(socket: Socket, target: TargetAddress, signal: AbortSignal): Promise<TLSSocket> {
  const inbox = new Inbox(socket, targetUnreadBytesMax)
  socket.write(sslRequest)
  const [answer] = await inbox.take(1, signal)
  const behind = inbox.detach()
  if (answer !== acceptsTls) throw new Fault('UPSTREAM_TLS', `${target.name} does not offer TLS.`)
  // Bytes that came before the handshake were not protected by it (CVE-2021-23222).
  if (behind.length > 0) throw new Fault('UPSTREAM_TLS', `${target.name} sent unprotected bytes before TLS began.`)
  const name = target.tls.serverName ?? target.host
  const tls = connectTls({
    socket,
    ...(isIP(name) === 0 && { servername: name }),
    ...(target.tls.ca !== null && { ca: target.tls.ca }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    ALPNProtocols: ['postgresql'],
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  })
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
