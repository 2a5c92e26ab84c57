import type { Duplex } from 'node:stream'
import type { FrameWalker } from './frames.ts'

/** Why a flow stands still; bits, as there may be several at once. */
export const paused = { receiver: 1, recorder: 2 } as const

/** An unfinished frame up to this size waits for its end instead of being sent in halves. */
const heldBytesMax: number = 64 * 1024
/** So many small chunks are joined, or a sender of single bytes would make us keep a hundred times as much. */
const heldPartsMax = 32
/** What a sender may still send to a stopped flow; after that nobody reads it. */
const discardedBytesMax: number = 16 * 1024 * 1024

export interface FlowEvents {
  /** A chunk was walked, written down and forwarded. */
  passed(): void
  /** The walker could not make sense of it. What stood before the frame in question was forwarded. */
  failed(error: unknown): void
}

/**
 * One direction of a WebSocket: walks frame boundaries, forwards the chunks as they came, at the receiver's pace.
 *
 * The tail of a chunk that is an unfinished frame is kept until the rest has come, as the receiver could do nothing with
 * it anyway. So nearly every moment is a frame boundary at which a Close can be said, and no header that turns out to be
 * against the protocol was sent in part. Only frames above 64 KiB are sent in halves.
 */
export class Flow {
  bytes = 0
  readonly #from: Duplex
  readonly #to: Duplex
  readonly #walker: FrameWalker
  readonly #events: FlowEvents
  #paused = 0
  #stopped = false
  #split = false
  #held: Buffer[] = []
  #heldBytes = 0
  #discardedBytes = 0

  constructor(from: Duplex, to: Duplex, walker: FrameWalker, events: FlowEvents) {
    this.#from = from
    this.#to = to
    this.#walker = walker
    this.#events = events
  }

  /** What the receiver has got ends inside a frame. */
  get split(): boolean {
    return this.#split
  }

  /** @param first what was read from the sender before. */
  start(first: Buffer): void {
    this.#to.on('drain', this.#onDrain)
    if (first.length > 0) this.#onData(first)
    if (this.#stopped) return
    this.#from.on('data', this.#onData)
    if (this.#paused === 0) this.#from.resume()
  }

  pause(reason: number): void {
    this.#paused |= reason
    if (!this.#stopped) this.#from.pause()
  }

  resume(reason: number): void {
    this.#paused &= ~reason
    if (this.#paused === 0 && !this.#stopped) this.#from.resume()
  }

  /** The sender said its last: what is left of it goes out as it came, and then the end. */
  finish(): void {
    if (this.#stopped) return
    this.#sendHeld()
    this.stop()
    this.#to.end()
  }

  /** Nothing passes any more, for good, at this instant. What was held back is dropped, and so is what comes. */
  stop(): void {
    this.#stopped = true
    this.#held = []
    this.#heldBytes = 0
  }

  /** Reads on and throws away: unread bytes would make the system reset the connection, and our last words be lost. */
  discard(): void {
    this.stop()
    if (this.#discardedBytes <= discardedBytesMax) this.#from.resume()
  }

  /** Lets go of the connections of a stopped flow. */
  release(): void {
    this.#from.off('data', this.#onData)
    this.#to.off('drain', this.#onDrain)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#stopped) return this.#throwAway(chunk)
    this.bytes += chunk.length
    try {
      this.#walker.walk(chunk)
    } catch (error) {
      const { boundary } = this.#walker
      if (boundary > 0) this.#forward(chunk.subarray(0, boundary))
      this.#events.failed(error)
      return
    }
    this.#passWhole(chunk)
    this.#events.passed()
  }

  #passWhole(chunk: Buffer): void {
    const { boundary } = this.#walker
    if (boundary === chunk.length) this.#forward(chunk)
    else if (boundary > 0) {
      this.#forward(chunk.subarray(0, boundary))
      this.#hold(chunk.subarray(boundary))
    } else if (this.#split) this.#write(chunk)
    else this.#hold(chunk)
  }

  /** Sends what was held and `chunk`, which ends a frame. */
  #forward(chunk: Buffer): void {
    this.#split = false
    if (this.#heldBytes === 0) return this.#write(chunk)
    this.#to.cork()
    this.#sendHeld()
    this.#write(chunk)
    this.#to.uncork()
  }

  #hold(tail: Buffer): void {
    this.#held.push(tail)
    this.#heldBytes += tail.length
    if (this.#heldBytes > heldBytesMax) {
      this.#split = true
      this.#sendHeld()
    } else if (this.#held.length > heldPartsMax) this.#held = [Buffer.concat(this.#held)]
  }

  #sendHeld(): void {
    for (const part of this.#held) this.#write(part)
    this.#held = []
    this.#heldBytes = 0
  }

  #throwAway(chunk: Buffer): void {
    this.#discardedBytes += chunk.length
    if (this.#discardedBytes > discardedBytesMax) this.#from.pause()
  }

  #write(bytes: Buffer): void {
    if (!this.#to.write(bytes)) this.pause(paused.receiver)
  }

  readonly #onDrain = (): void => this.resume(paused.receiver)
}
