import { constants, type X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { TLSSocket, type SecureContext } from 'node:tls'
import { Fault } from '../../kernel/fault.ts'
import type { Networks } from '../../policy/rules.ts'
import { proxyHeadBytes, readProxyHead, readProxySource } from '../proxy-header.ts'
import { alpnName, alpnProtocols } from './alpn.ts'
import { BoundedHandshake } from './bounded-handshake.ts'
import type { Handshake } from './handshakes.ts'
import { Inbox, PeerGone } from './inbox.ts'
import { negotiateProtocolVersion } from './messages.ts'
import { checkStartupLength, readFirstPacket, type Startup } from './startup.ts'
import type { Turns } from './turns.ts'

/** How a listener meets its clients. */
export interface Terms {
  readonly tls: SecureContext | null
  readonly plaintext: boolean
  /** Load balancers, whose connections begin with a PROXY header; null: none. */
  readonly balancers: Pick<Networks, 'list'> | null
}

/** A client up to its first real packet. `socket` and `inbox` are replaced when TLS begins. */
export interface Guest {
  socket: Socket
  inbox: Inbox
  encrypted: boolean
  /** What TLS reads from; null without TLS, and where it reads from the socket itself. */
  bounded: BoundedHandshake | null
  readonly turns: Turns
}

export type Greeting =
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer }
  | { readonly kind: 'startup'; readonly startup: Startup }

/** What a client may send before it is asked to. */
export const clientUnreadBytesMax: number = 128 * 1024
type BeginHandshake = () => Handshake

const tlsRecordHandshake = 0x16
const [yes, no] = [Buffer.from('S'), Buffer.from('N')]
/** One SSLRequest, one GSSENCRequest, and the packet that counts. */
const packetsMax = 3

export const secureOptions: number = constants.SSL_OP_NO_RENEGOTIATION

export function newGuest(socket: Socket, turns: Turns): Guest {
  return { socket, inbox: new Inbox(socket, clientUnreadBytesMax), encrypted: false, bounded: null, turns }
}

/**
 * Reads up to a complete startup message or cancel request; TLS by SSLRequest or at once (`sslnegotiation=direct`).
 * @param begin called when TLS begins.
 * @param signal ends it; its reason is what this rejects with.
 * @throws Fault PROTOCOL_VIOLATION, PROTOCOL_UNSUPPORTED, TLS_REQUIRED; PeerGone
 * @see PostgreSQL manual, "Message Flow", "Start-up", "SSL Session Encryption"
 */
export async function greet(guest: Guest, terms: Terms, begin: BeginHandshake, signal: AbortSignal): Promise<Greeting> {
  if ((await guest.inbox.peek(signal)) === tlsRecordHandshake) await beginDirectTls(guest, terms, begin, signal)
  for (let packets = 0; packets < packetsMax; packets++) {
    const packet = readFirstPacket(await takePacket(guest.inbox, signal))
    switch (packet.kind) {
      case 'tls':
        await answerTls(guest, terms, begin, signal)
        break
      case 'gss':
        guest.socket.write(no)
        break
      case 'cancel':
        return packet
      case 'startup':
        if (!guest.encrypted && !terms.plaintext) {
          throw new Fault('TLS_REQUIRED', 'This listener takes connections with TLS only.')
        }
        negotiate(guest.socket, packet.startup)
        return packet
    }
  }
  throw new Fault('PROTOCOL_VIOLATION', 'The client asks for encryption again and again.')
}

/**
 * What a load balancer says of where the client is.
 * @returns undefined where it does not say
 * @throws Fault PROTOCOL_VIOLATION; PeerGone
 */
export async function readProxy(
  { inbox }: Guest,
  signal: AbortSignal,
): Promise<{ readonly address: string; readonly port: number } | undefined> {
  const head = readProxyHead(await inbox.take(proxyHeadBytes, signal))
  return readProxySource(head, await inbox.take(head.restBytes, signal))
}

/** The client's own in TLS, of whatever authority. */
export function certificateOf({ socket }: Guest): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
}

async function takePacket(inbox: Inbox, signal: AbortSignal): Promise<Buffer> {
  const length = (await inbox.take(4, signal)).readInt32BE(0)
  checkStartupLength(length)
  return inbox.take(length - 4, signal)
}

function negotiate(socket: Socket, { negotiate: must, version, unknownOptions }: Startup): void {
  if (must) socket.write(negotiateProtocolVersion(version, unknownOptions))
}

async function answerTls(guest: Guest, terms: Terms, begin: BeginHandshake, signal: AbortSignal): Promise<void> {
  if (guest.encrypted) throw new Fault('PROTOCOL_VIOLATION', 'The client asks for TLS inside TLS.')
  if (terms.tls === null) {
    guest.socket.write(no)
    return
  }
  const early = guest.inbox.detach()
  // Bytes behind an SSLRequest were not protected by the TLS that follows (CVE-2021-23214).
  if (early.length > 0) {
    guest.inbox = new Inbox(guest.socket, clientUnreadBytesMax)
    throw new Fault('PROTOCOL_VIOLATION', 'The client sent unprotected bytes before TLS began.')
  }
  guest.socket.write(yes)
  await beginTls(guest, terms.tls, begin, signal)
}

async function beginDirectTls(guest: Guest, terms: Terms, begin: BeginHandshake, signal: AbortSignal): Promise<void> {
  if (terms.tls === null) throw new Fault('PROTOCOL_UNSUPPORTED', 'This listener has no TLS.')
  guest.socket.unshift(guest.inbox.detach())
  const tls = await beginTls(guest, terms.tls, begin, signal)
  // Without it, a browser could be made to speak to us in another protocol's words.
  if (tls.alpnProtocol !== alpnName) throw new Fault('PROTOCOL_VIOLATION', `Direct TLS takes the ALPN "${alpnName}".`)
}

async function beginTls(
  guest: Guest,
  secureContext: SecureContext,
  begin: BeginHandshake,
  signal: AbortSignal,
): Promise<TLSSocket> {
  // Whoever shows no certificate, or another's, gets in by other ways: the handshake refuses none.
  const asking = { requestCert: true, rejectUnauthorized: false }
  using handshake = begin()
  const { socket } = guest
  const bytesBefore = socket.bytesRead
  const bounded = handshake.quick ? null : new BoundedHandshake(socket, guest.turns)
  const options = { isServer: true, secureContext, ALPNProtocols: alpnProtocols, ...asking }
  const tls = new TLSSocket(bounded ?? socket, options)
  tls.disableRenegotiation()
  const hungUp = new AbortController()
  const closed = () => hungUp.abort(new PeerGone())
  tls.once('close', closed)
  try {
    await once(tls, 'secure', { signal: AbortSignal.any([signal, hungUp.signal]) })
  } catch (error) {
    tls.on('error', () => undefined).destroy() // nothing can be said without TLS
    if (bounded?.exceeded) throw new Fault('PROTOCOL_VIOLATION', 'The client sent more than a TLS handshake takes.')
    signal.throwIfAborted()
    throw new PeerGone({ cause: error })
  } finally {
    tls.off('close', closed)
    handshake.took(socket.bytesRead - bytesBefore)
  }
  bounded?.done()
  guest.bounded = bounded
  guest.socket = tls
  guest.inbox = new Inbox(tls, clientUnreadBytesMax, guest.turns)
  guest.encrypted = true
  return tls
}
