import { Fault } from '../../kernel/fault.ts'
import { Gathered } from './gathered.ts'

/** Takes part in a walk over messages. Called for every message, so nothing here may allocate for those it skips. */
export interface FrameTap {
  /** A chunk has come, and is walked now. `nowMs`: the time, where it is known: each look at the clock counts. */
  chunk?(nowMs?: number): void
  /**
   * A whole message that lies in one chunk: its body is `chunk[from, to)`.
   * @returns false to see it by `begin`, `head` and `end` instead; then nothing of it may have been noted.
   */
  whole?(type: number, chunk: Buffer, from: number, to: number): boolean
  /** A message begins. @returns how many of its first body bytes are wanted; 0 for none. */
  begin(type: number, bodyBytes: number): number
  /** All wanted bytes of a message for which `begin` wanted some (all there are, if it is shorter). Valid only during the call. */
  head(type: number, bytes: Buffer, bodyBytes: number): void
  /** Body bytes behind the wanted ones, as they pass. Valid only during the call. */
  rest(type: number, bytes: Buffer): void
  /** A message for which `begin` wanted some bytes is over. */
  end(type: number): void
}

const headerBytes = 5
/** DataRow (and Describe) and CopyData: they come by the thousand, and nothing is to be read in them. */
const [row, data] = [0x44, 0x64]

/**
 * Walks message boundaries of one direction without copying: reads type and length, then counts `remaining` down.
 * It copies only heads that a tap wants and that are split over chunks.
 * @see PostgreSQL manual, "Message Formats": byte type, int32 length that counts itself
 */
export class FrameWalker {
  /** Type byte of the message that began last; 0 before the first. */
  type = 0
  /** Offset in the last chunk just behind its last whole message; -1 if no message ended in it. */
  boundary = -1
  readonly #tap: FrameTap | null
  readonly #bodyBytesMax: number
  /** Only while a header is split over chunks: an idle session holds none. */
  #header: Buffer | null = null
  #headerBytes = 0
  #remaining = 0
  #bodyBytes = 0
  /** Wanted bytes of the current message that have not come; 0 when the head was handed over or is not wanted. */
  #wanted = 0
  #tapped = false
  /** Only while a wanted head is split over chunks. */
  #parts: Gathered | null = null

  /** @param bodyBytesMax a longer message is a Fault PROTOCOL_VIOLATION. */
  constructor(tap: FrameTap | null, bodyBytesMax: number) {
    this.#tap = tap
    this.#bodyBytesMax = bodyBytesMax
  }

  /** No message is half passed. */
  get atBoundary(): boolean {
    return this.#remaining === 0 && this.#headerBytes === 0
  }

  /** Whether more than `max` messages begin in the next chunk, data aside. True when in doubt. */
  beginsMore(max: number, chunk: Buffer): boolean {
    if (this.#headerBytes > 0) return true
    let left = max
    for (let at = this.#remaining; at + headerBytes <= chunk.length;) {
      const type = chunk[at]
      if (type !== row && type !== data) left -= 1
      const length = chunk.readInt32BE(at + 1)
      if (left < 0 || length < 4) break
      at += 1 + length
    }
    return left < 0
  }

  /** @throws Fault PROTOCOL_VIOLATION for a length that cannot be; the walker is of no use afterwards. */
  walk(chunk: Buffer, nowMs?: number): void {
    this.boundary = -1
    this.#tap?.chunk?.(nowMs)
    let at = 0
    while (at < chunk.length) {
      if (this.#remaining === 0 && this.#headerBytes === 0) {
        const next = this.#passWhole(chunk, at)
        if (next > at) {
          at = next
          this.boundary = at
          continue
        }
      }
      at = this.#remaining > 0 ? this.#passBody(chunk, at) : this.#passHeader(chunk, at)
      if (this.#remaining === 0 && this.#headerBytes === 0) this.boundary = at
    }
  }

  /** @returns the offset behind the message; `from` when it is not all there, or the tap wants to see its parts. */
  #passWhole(chunk: Buffer, from: number): number {
    const tap = this.#tap
    const bodyFrom = from + headerBytes
    if (tap?.whole === undefined || bodyFrom > chunk.length) return from
    const length = (chunk[from + 1]! << 24) | (chunk[from + 2]! << 16) | (chunk[from + 3]! << 8) | chunk[from + 4]!
    const end = from + 1 + length
    if (length < 4 || length - 4 > this.#bodyBytesMax || end > chunk.length) return from
    if (!tap.whole(chunk[from]!, chunk, bodyFrom, end)) return from
    this.type = chunk[from]!
    return end
  }

  #passHeader(chunk: Buffer, from: number): number {
    if (this.#headerBytes === 0 && chunk.length - from >= headerBytes) {
      this.#begin(chunk[from]!, chunk.readInt32BE(from + 1))
      return from + headerBytes
    }
    const count = Math.min(headerBytes - this.#headerBytes, chunk.length - from)
    const header = (this.#header ??= Buffer.allocUnsafe(headerBytes))
    chunk.copy(header, this.#headerBytes, from, from + count)
    this.#headerBytes += count
    if (this.#headerBytes === headerBytes) {
      this.#headerBytes = 0
      this.#header = null
      this.#begin(header[0]!, header.readInt32BE(1))
    }
    return from + count
  }

  #begin(type: number, length: number): void {
    const bodyBytes = length - 4
    if (bodyBytes < 0 || bodyBytes > this.#bodyBytesMax) {
      throw new Fault('PROTOCOL_VIOLATION', `A message claims a length of ${length} bytes.`)
    }
    this.type = type
    this.#bodyBytes = bodyBytes
    this.#remaining = bodyBytes
    if (this.#tap === null) return
    const wanted = this.#tap.begin(type, bodyBytes)
    this.#tapped = wanted > 0
    this.#wanted = Math.min(wanted, bodyBytes)
    if (this.#tapped && bodyBytes === 0) {
      this.#tap.head(type, empty, 0)
      this.#tap.end(type)
    }
  }

  #passBody(chunk: Buffer, from: number): number {
    const count = Math.min(this.#remaining, chunk.length - from)
    this.#remaining -= count
    if (this.#tapped) this.#feedTap(this.#tap!, chunk, from, from + count)
    return from + count
  }

  #feedTap(tap: FrameTap, chunk: Buffer, from: number, to: number): void {
    const headTo = Math.min(from + this.#wanted, to)
    if (this.#wanted > 0) {
      this.#wanted -= headTo - from
      const part = chunk.subarray(from, headTo)
      if (this.#wanted > 0) this.#gather(part)
      else tap.head(this.type, this.#joined(part), this.#bodyBytes)
    }
    if (headTo < to) tap.rest(this.type, chunk.subarray(headTo, to))
    if (this.#remaining === 0) tap.end(this.type)
  }

  /** The first is copied, as its chunk may be gone when the rest comes. */
  #gather(part: Buffer): void {
    if (this.#parts !== null) return this.#parts.add(part)
    this.#parts = new Gathered()
    this.#parts.add(Buffer.from(part))
  }

  #joined(last: Buffer): Buffer {
    if (this.#parts === null) return last
    this.#parts.add(last)
    const whole = this.#parts.take()
    this.#parts = null
    return whole
  }
}

const empty: Buffer = Buffer.alloc(0)
