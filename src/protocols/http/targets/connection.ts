import { once } from 'node:events'
import { connect, isIP, type OnReadOpts, type Socket } from 'node:net'
import {
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { HttpAddress, HttpCredentials, HttpResource } from '../../../resources/catalogue.ts'
import { eitherAborts } from '../../either-aborts.ts'
import { hearLastWords } from './last-words.ts'
import { tlsFault } from './words.ts'

/** Where a connection goes, and what is shown there. */
export interface Way {
  /** The resource's name, for people. */
  readonly name: string
  readonly address: HttpAddress
  readonly tls: HttpResource['tls']
  readonly certificate: Extract<HttpCredentials, { kind: 'certificate' }> | null
}

export type Alpn = 'http/1.1' | 'h2'

export const connectMs = 10_000
/** For `Connector.open`: the connection is all that is wanted. */
export const bare = (socket: Socket): Promise<Socket> => Promise.resolve(socket)
const keepAliveMs = 60_000

/** Opens connections one way. */
export class Connector {
  readonly way: Way
  readonly #clock: Clock
  #context: SecureContext | undefined

  constructor(way: Way, clock: Clock) {
    this.way = way
    this.#clock = clock
  }

  /**
   * Opens TCP or a unix socket, then TLS if the address says so. The certificate is always checked in full.
   * @param signal ends the attempt; its reason is what this rejects with.
   * @param begin what else belongs to the attempt, within the same time.
   * @param onread what reads from it, from the beginning; not over TLS, where it would not be asked.
   * @throws Fault UPSTREAM_UNREACHABLE, UPSTREAM_TLS; the cause tells the operators more.
   */
  async open<Opened>(
    alpn: Alpn,
    signal: AbortSignal,
    begin: (socket: Socket, signal: AbortSignal) => Promise<Opened>,
    onread?: OnReadOpts,
  ): Promise<Opened> {
    const late = new AbortController()
    const timer = this.#clock.after(connectMs, () => late.abort(new Error(`no connection within ${connectMs} ms`)))
    try {
      using either = eitherAborts(signal, late.signal)
      const socket = await this.#open(alpn, either.signal, onread)
      if (alpn === 'http/1.1') hearLastWords(socket)
      return await begin(socket, either.signal)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof Fault) throw error
      throw new Fault('UPSTREAM_UNREACHABLE', `${this.way.name} cannot be reached.`, { cause: error })
    } finally {
      timer.cancel()
    }
  }

  async #open(alpn: Alpn, signal: AbortSignal, onread: OnReadOpts | undefined): Promise<Socket> {
    signal.throwIfAborted()
    const { host, port, socketPath, tls } = this.way.address
    const place = socketPath === null ? { host, port } : { path: socketPath }
    const reading = !tls && onread !== undefined && { onread }
    const socket = connect({ ...place, ...reading, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs })
    try {
      await whenReady(socket, 'connect', signal)
      return tls ? await this.#secure(socket, alpn, signal) : socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  async #secure(socket: Socket, alpn: Alpn, signal: AbortSignal): Promise<TLSSocket> {
    const { name, address, tls } = this.way
    const expected = tls.serverName ?? address.host
    try {
      const secured = connectTls({
        socket,
        ...(isIP(expected) === 0 && { servername: expected }),
        // No session is resumed: Node would not look at the certificate's names again, nor OpenSSL at its dates.
        secureContext: (this.#context ??= contextOf(this.way)),
        rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
        ALPNProtocols: [alpn],
        checkServerIdentity: (_host, shown) => checkServerIdentity(expected, shown),
      })
      await whenReady(secured, 'secureConnect', signal)
      if (alpn === 'h2' && secured.alpnProtocol !== 'h2')
        throw new Fault('UPSTREAM_TLS', `${name} does not speak HTTP/2.`)
      secured.disableRenegotiation()
      return secured
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof Fault ? error : tlsFault(name, error)
    }
  }
}

function contextOf({ tls, certificate }: Way): SecureContext {
  return createSecureContext({
    ...(tls.ca !== null && { ca: tls.ca }),
    ...(certificate !== null && { cert: certificate.certificate, key: certificate.key.reveal() }),
    minVersion: 'TLSv1.2',
  })
}

/** Like `once`, but a peer that hangs up without an error counts, too. */
async function whenReady(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  const settled = new AbortController()
  using either = eitherAborts(signal, settled.signal)
  const closed = once(socket, 'close', { signal: either.signal }).then(() => {
    throw new Error('the connection was closed')
  })
  try {
    await Promise.race([once(socket, event, { signal: either.signal }), closed])
  } finally {
    settled.abort()
    await closed.catch(() => undefined) // the loser of the race; the winner has been reported
  }
}
