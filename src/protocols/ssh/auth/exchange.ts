import { SshWireError } from '../../../identity/ssh/wire.ts'
import { Fault } from '../../../kernel/fault.ts'
import type { Prompt } from '../conversation.ts'
import type { Transport } from '../transport.ts'
import { asciiText } from '../texts.ts'
import {
  authFailure,
  authMessage,
  banner,
  connectionService,
  infoRequest,
  keyAccepted,
  readAuthRequest,
  readInfoResponse,
  readServiceRequest,
  serviceAccept,
  type AuthRequest,
  type PublicKeyRequest,
} from './messages.ts'

/** An agent full of keys tries each of them twice. */
const requestsMax = 48
const messageBytesMax = 64 * 1024
/** Clients ask and wait; a few do not. */
const unreadMax = 8

/**
 * Authentication as question and answer, over messages that come when they come.
 * One user name for the whole connection; every way of saying too much ends it with PROTOCOL_VIOLATION.
 */
export class Exchange {
  readonly #transport: Transport
  readonly #unread: Buffer[] = []
  #arrived = Promise.withResolvers<void>()
  #user: string | null = null
  #requests = 0
  #serviceAccepted = false

  constructor(transport: Transport) {
    this.#transport = transport
    transport.onMessage = (message) => this.#take(message)
  }

  /** @throws Fault PROTOCOL_VIOLATION */
  async acceptService(signal: AbortSignal): Promise<void> {
    const service = legible(readServiceRequest, await this.#next(signal))
    if (service !== 'ssh-userauth') {
      throw new Fault('PROTOCOL_VIOLATION', 'Authentication comes before every other service.')
    }
    this.#transport.send(serviceAccept(service))
    this.#serviceAccepted = true
  }

  /** @throws Fault PROTOCOL_VIOLATION; rejects with `signal.reason` */
  async request(signal: AbortSignal): Promise<AuthRequest> {
    const request = legible(readAuthRequest, await this.#next(signal))
    this.#requests += 1
    if (this.#requests > requestsMax) throw new Fault('PROTOCOL_VIOLATION', 'Too many ways to sign in were tried.')
    if (request.service !== connectionService) {
      throw new Fault('PROTOCOL_VIOLATION', 'There is no such service after authentication.')
    }
    this.#user ??= request.user
    if (request.user !== this.#user) {
      throw new Fault('PROTOCOL_VIOLATION', 'The user name changed while signing in.')
    }
    return request
  }

  /** Whether hardly any more requests may come: what is still to be tried must be tried now. */
  get nearlyExhausted(): boolean {
    return this.#requests > requestsMax - 10
  }

  /** The answer to a request: no, or not yet. */
  fail(methods: readonly string[], partialSuccess: boolean): void {
    this.#transport.send(authFailure(methods, partialSuccess))
  }

  /** The answer to a key that is only shown: sign with it. */
  acceptKey(request: PublicKeyRequest): void {
    this.#transport.send(keyAccepted(request))
  }

  /**
   * Asks within keyboard-interactive.
   * @returns the answers; undefined when the client leaves the method for another: `request` has its wish.
   */
  async inform(
    title: string,
    instruction: string,
    prompts: readonly Prompt[],
    signal: AbortSignal,
  ): Promise<readonly string[] | undefined> {
    const asked = prompts.map(({ text, echo }) => ({ text: asciiText(text), echo }))
    this.#transport.send(infoRequest(asciiText(title), asciiText(instruction), asked))
    await this.arrival(signal)
    if (this.#unread[0]![0] === authMessage.request) return undefined
    return legible(readInfoResponse, await this.#next(signal))
  }

  /** Shows lines at once. Before the service is accepted, clients take none. */
  say(text: string): void {
    if (this.#serviceAccepted) this.#transport.send(banner(lines(asciiText(text))))
  }

  /** Resolves when something has come that nobody has taken. */
  async arrival(signal: AbortSignal): Promise<void> {
    if (this.#unread.length > 0) return
    const { promise, reject } = Promise.withResolvers<never>()
    const aborted = () => reject(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', aborted, { once: true })
    try {
      await Promise.race([this.#arrived.promise, promise])
    } finally {
      signal.removeEventListener('abort', aborted)
    }
  }

  /** Listens no more, and says no more: clients take banners only before they are let in. What came beside the point is forgotten (RFC 4252 section 5.1: "silently ignored"). */
  release(): void {
    this.#transport.onMessage = null
    this.#serviceAccepted = false
    this.#unread.length = 0
  }

  async #next(signal: AbortSignal): Promise<Buffer> {
    await this.arrival(signal)
    return this.#unread.shift()!
  }

  #take(message: Buffer): void {
    if (message.length > messageBytesMax || this.#unread.length >= unreadMax) {
      throw new Fault('PROTOCOL_VIOLATION', 'More was sent than may come here.')
    }
    this.#unread.push(message)
    this.#arrived.resolve()
    this.#arrived = Promise.withResolvers()
  }
}

function legible<T>(read: (message: Buffer) => T, message: Buffer): T {
  try {
    return read(message)
  } catch (cause) {
    if (!(cause instanceof SshWireError)) throw cause
    throw new Fault('PROTOCOL_VIOLATION', 'A message of authentication cannot be read.', { cause })
  }
}

/** As RFC 4252 section 5.4 wants lines, the last one ended. */
function lines(text: string): string {
  return `${text.replace(/\n{2,}$/, '\n').replaceAll('\n', '\r\n')}\r\n`
}
