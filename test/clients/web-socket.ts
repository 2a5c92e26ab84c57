/** A WebSocket client that is not ours (ws), with what arrived kept and waited for. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { WebSocket, type RawData } from 'ws'
import { thisMachine } from './visitor.ts'

export interface WebSocketWish {
  /** PEM of the authority to trust. */
  readonly ca: string
  readonly headers?: Readonly<Record<string, string>>
  readonly protocols?: readonly string[]
  /** Whether compression is offered. Default: yes, as browsers do. */
  readonly deflate?: boolean
}

/** The server answered the upgrade with something else. */
export class UpgradeRefused extends Error {
  override readonly name = 'UpgradeRefused'
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string

  constructor(status: number, headers: IncomingMessage['headers'], body: string) {
    super(`the upgrade was answered with ${status}: ${body}`)
    this.status = status
    this.headers = headers
    this.body = body
  }
}

export class TestWebSocket implements AsyncDisposable {
  readonly socket: WebSocket
  /** Texts as they are, bytes as buffers; the newest thousand. */
  readonly messages: (string | Buffer)[] = []
  #received = 0
  #receivedBytes = 0
  #closed: { readonly code: number; readonly reason: string } | null = null
  #waiting = new Set<() => void>()

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('error', () => undefined) // shows as the end
    socket.on('message', (data: RawData, isBinary) => this.#take(data as Buffer, isBinary))
    socket.on('close', (code, reason) => {
      this.#closed = { code, reason: reason.toString() }
      this.#wake()
    })
  }

  get received(): number {
    return this.#received
  }

  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** 1006: the connection broke without a word. Null while it is open. */
  get closed(): { readonly code: number; readonly reason: string } | null {
    return this.#closed
  }

  send(data: string | Buffer): void {
    this.socket.send(data)
  }

  /** Waits until so many messages have come in all. @throws Error when it closes before, or after 20 s. */
  async untilReceived(count: number): Promise<void> {
    await this.#until(() => this.#received >= count, `got ${count} messages`)
  }

  /** Waits for its end, whoever closes. */
  async untilClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    await this.#until(() => this.#closed !== null, 'closed')
    return this.#closed!
  }

  /** Sends, and waits for the next message. */
  async ask(data: string | Buffer): Promise<string | Buffer> {
    const count = this.#received
    this.send(data)
    await this.untilReceived(count + 1)
    return this.messages.at(-1)!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate()
    if (this.#closed === null) await once(this.socket, 'close')
  }

  #take(data: Buffer, isBinary: boolean): void {
    this.#received++
    this.#receivedBytes += data.length
    this.messages.push(isBinary ? data : data.toString())
    if (this.messages.length > 1000) this.messages.shift()
    this.#wake()
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    const timeout = AbortSignal.timeout(20_000)
    while (!holds()) {
      if (this.#closed !== null) throw new Error(`closed with ${JSON.stringify(this.#closed)} before it ${what}`)
      if (timeout.aborted) throw new Error(`never ${what}; it has ${this.#received}`)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      timeout.addEventListener('abort', () => resolve(), { once: true })
      await promise
      this.#waiting.delete(resolve)
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
  }
}

/** @param url `https:` or `wss:`. @throws UpgradeRefused; and the socket's own errors. */
export async function openWebSocket(url: URL, wish: WebSocketWish): Promise<TestWebSocket> {
  const socket = new WebSocket(url.href.replace(/^http/, 'ws'), [...(wish.protocols ?? [])], {
    ca: wish.ca,
    lookup: thisMachine,
    headers: wish.headers ?? {},
    perMessageDeflate: wish.deflate ?? true,
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('open', resolve)
  socket.once('error', reject)
  socket.once('unexpected-response', (_request, response) => void refusal(response).then(reject, reject))
  // Messages may come with the answer to the upgrade, so it listens from the beginning.
  const client = new TestWebSocket(socket)
  await promise
  return client
}

async function refusal(response: IncomingMessage): Promise<UpgradeRefused> {
  const pieces = (await response.toArray()) as Buffer[]
  return new UpgradeRefused(response.statusCode ?? 0, response.headers, Buffer.concat(pieces).toString())
}
