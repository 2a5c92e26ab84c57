import type { X509Certificate } from 'node:crypto'
import { Fault } from '../../kernel/fault.ts'
import type { Client as ClientFacts } from '../../sessions/session.ts'
import { certificateOf, type Guest } from './greet.ts'
import { authenticationOk, notice } from './messages.ts'
import type { Startup } from './startup.ts'

/** A client between its startup message and ReadyForQuery. */
export class Client {
  readonly startup: Startup
  readonly facts: ClientFacts
  readonly #guest: Guest
  #authenticated = false

  constructor(guest: Guest, startup: Startup, from: { readonly address: string; readonly port: number }) {
    this.#guest = guest
    this.startup = startup
    const application = startup.parameters.findLast(([name]) => name === 'application_name')?.[1] ?? ''
    this.facts = { protocol: 'postgres', ...from, application: printable(application), tls: guest.encrypted }
  }

  /** Aborts when the client hung up or said too much. */
  get gone(): AbortSignal {
    return this.#guest.inbox.gone
  }

  /** What it showed in TLS, whoever made it; it holds the key. */
  get certificate(): X509Certificate | undefined {
    return certificateOf(this.#guest)
  }

  write(bytes: Buffer): void {
    if (this.#guest.socket.writable) this.#guest.socket.write(bytes)
  }

  /** They have proved who they are. */
  known(): void {
    this.#guest.bounded?.known()
  }

  /** From here on it takes notices; libpq refuses them before. */
  authenticated(): void {
    if (!this.#authenticated) this.write(authenticationOk)
    this.#authenticated = true
  }

  /** Something that the person reads at once. */
  say(text: string): void {
    this.authenticated()
    this.write(notice(text))
  }

  /** One whole message. @throws Fault PROTOCOL_VIOLATION when its body is longer than `bodyBytesMax` */
  async read(bodyBytesMax: number, signal: AbortSignal): Promise<{ type: number; body: Buffer }> {
    const head = await this.#guest.inbox.take(5, signal)
    const type = head[0]!
    const bodyBytes = head.readInt32BE(1) - 4
    if (bodyBytes < 0 || bodyBytes > bodyBytesMax) {
      throw new Fault('PROTOCOL_VIOLATION', 'A message has a length that it cannot have.')
    }
    return { type, body: await this.#guest.inbox.take(bodyBytes, signal) }
  }

  /** Hands the socket over. @returns it, paused, and what was read of it and not used. */
  release(): { socket: Guest['socket']; unread: Buffer } {
    return { socket: this.#guest.socket, unread: this.#guest.inbox.detach() }
  }
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 64)
}
