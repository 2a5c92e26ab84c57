import type { Socket } from 'node:net'
import { Fault } from '../../kernel/fault.ts'
import { Gathered } from './gathered.ts'
import type { Turns } from './turns.ts'

/**
 * Reads a socket piece by piece while a connection is set up; the relay takes over afterwards.
 * It keeps reading between pieces, so that a peer that hangs up is noticed while nothing is asked of it.
 */
export class Inbox {
  /** Aborts when the peer is gone or said more than it may. The reason tells. */
  readonly gone: AbortSignal
  readonly #socket: Socket
  readonly #bytesMax: number
  readonly #turns: Turns | null
  #isAttached = true
  readonly #controller = new AbortController()
  readonly #unread = new Gathered()
  #wake: (() => void) | undefined

  /**
   * @param bytesMax bytes that may wait unread; more is a Fault PROTOCOL_VIOLATION.
   * @param turns in which chunks are taken; null: as they come. For TLS, where each may be a single byte.
   */
  constructor(socket: Socket, bytesMax: number, turns: Turns | null = null) {
    this.#socket = socket
    this.#bytesMax = bytesMax
    this.#turns = turns
    this.gone = this.#controller.signal
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd).on('error', this.#onError)
    if (socket.destroyed || socket.readableEnded) this.#onEnd()
  }

  /** Exactly that many bytes. Rejects with the reason of `gone`, or of `signal`, when they will not come. */
  async take(lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
    await this.#has(lengthBytes, signal)
    return this.#unread.take(lengthBytes)
  }

  /** The next byte, left where it is. */
  async peek(signal?: AbortSignal): Promise<number> {
    await this.#has(1, signal)
    return this.#unread.first!
  }

  /** Lets go of the socket, paused. @returns what was read and not taken. */
  detach(): Buffer {
    this.#isAttached = false
    this.#socket.pause()
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd).off('error', this.#onError)
    return this.#unread.take()
  }

  async #has(lengthBytes: number, signal: AbortSignal | undefined): Promise<void> {
    const wake = () => this.#wake?.()
    signal?.addEventListener('abort', wake)
    try {
      while (this.#unread.length < lengthBytes) {
        this.gone.throwIfAborted()
        signal?.throwIfAborted()
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      signal?.removeEventListener('abort', wake)
      this.#wake = undefined
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    const turns = this.#turns
    if (turns === null) return this.#add(chunk)
    if (!turns.isFree) return this.#putBack(chunk, turns)
    const begunMs = turns.begin()
    this.#add(chunk)
    turns.end(begunMs)
  }

  /** The socket gives it again in another turn; who reads it then, this or another, says when. */
  #putBack(chunk: Buffer, turns: Turns): void {
    this.#socket.pause().unshift(chunk)
    turns.waitToComeIn(() => {
      if (this.#isAttached && !this.gone.aborted) this.#socket.resume()
    })
  }

  #add(chunk: Buffer): void {
    this.#unread.add(chunk)
    if (this.#unread.length > this.#bytesMax)
      this.#stop(new Fault('PROTOCOL_VIOLATION', 'More was sent than may come here.'))
    this.#wake?.()
  }
  readonly #onEnd = (): void => this.#stop(new PeerGone())
  readonly #onError = (error: Error): void => this.#stop(new PeerGone({ cause: error }))

  #stop(reason: Error): void {
    if (!this.gone.aborted) this.#socket.pause()
    this.#controller.abort(reason)
    this.#wake?.()
  }
}

/** The other end closed the connection. Nothing can be said to it any more. */
export class PeerGone extends Error {
  override readonly name = 'PeerGone'
  constructor(options?: ErrorOptions) {
    super('the peer closed the connection', options)
  }
}
