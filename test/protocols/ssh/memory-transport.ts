/** Two ends of a transport without a network: what one sends, the other gets, in order and later. */
import type { DisconnectReason, Transport } from '../../../src/protocols/ssh/transport.ts'

export class MemoryTransport implements Transport {
  readonly sessionId: Buffer = Buffer.alloc(32, 7)
  readonly peerSoftware = 'Memory_1.0'
  readonly algorithms = { kex: 'none', cipher: 'none', hostKey: 'none' }
  readonly gone: AbortSignal
  congested = false
  onDrain: (() => void) | null = null
  bytesRead = 0
  bytesWritten = 0
  /** Why this end was told that it is over. */
  goodbye: { readonly reason: DisconnectReason; readonly description: string } | undefined
  peer: MemoryTransport | undefined
  readonly #gone = new AbortController()
  readonly #waiting: Buffer[] = []
  #onMessage: ((message: Buffer) => void) | null = null
  #paused = 0

  constructor() {
    this.gone = this.#gone.signal
  }

  get onMessage(): ((message: Buffer) => void) | null {
    return this.#onMessage
  }

  set onMessage(listener: ((message: Buffer) => void) | null) {
    this.#onMessage = listener
    queueMicrotask(() => this.#flush())
  }

  send(message: Uint8Array): void {
    if (this.gone.aborted) return
    this.bytesWritten += message.length
    this.peer!.#arrive(Buffer.from(message))
  }

  /** What was given back and is still looked at shows. */
  release(message: Buffer): void {
    message.fill(0xee)
  }

  taken(): Promise<void> {
    return Promise.resolve()
  }

  pause(): void {
    this.#paused += 1
  }

  resume(): void {
    this.#paused -= 1
    this.#flush()
  }

  rekey(): void {}

  disconnect(reason: DisconnectReason, description: string): void {
    if (this.gone.aborted) return
    this.#gone.abort(new Error('said goodbye'))
    const { peer } = this
    queueMicrotask(() => {
      peer!.goodbye = { reason, description }
      peer!.#gone.abort(new Error(`the peer said: ${description}`))
    })
  }

  destroy(): void {
    this.#gone.abort(new Error('destroyed'))
    queueMicrotask(() => this.peer!.#gone.abort(new Error('the peer hung up')))
  }

  #arrive(message: Buffer): void {
    this.bytesRead += message.length
    this.#waiting.push(message)
    queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    while (this.#onMessage !== null && this.#paused === 0 && this.#waiting.length > 0) {
      try {
        this.#onMessage(this.#waiting.shift()!)
      } catch (error) {
        this.disconnect('PROTOCOL_ERROR', String(error))
      }
    }
  }
}

export function memoryPair(): { readonly client: MemoryTransport; readonly server: MemoryTransport } {
  const [client, server] = [new MemoryTransport(), new MemoryTransport()]
  client.peer = server
  server.peer = client
  return { client, server }
}

/** The client's end, read one message at a time. */
export class MessageClient {
  readonly transport: MemoryTransport
  readonly #unread: Buffer[] = []
  #wake: (() => void) | undefined

  constructor(transport: MemoryTransport) {
    this.transport = transport
    transport.onMessage = (message) => {
      this.#unread.push(message)
      this.#wake?.()
    }
    transport.gone.addEventListener('abort', () => this.#wake?.())
  }

  get unread(): number {
    return this.#unread.length
  }

  send(...parts: readonly Uint8Array[]): void {
    this.transport.send(Buffer.concat(parts))
  }

  async next(): Promise<Buffer> {
    while (this.#unread.length === 0) {
      this.transport.gone.throwIfAborted()
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return this.#unread.shift()!
  }
}
