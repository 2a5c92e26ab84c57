import { Gathered } from '../gathered.ts'

export interface SieveEvents {
  /** Bytes that nobody looks at, in order. Valid only during the call. */
  pass(bytes: Buffer): void
  /** How a message is treated; called when it begins, with its length from the first byte on. */
  treatment(type: number, totalBytes: number): 'pass' | 'whole' | 'long'
  /** Looks at one whole message. @returns whether it passes with what is around it. `isNext`: all before it has passed. */
  passes(message: Buffer, isNext: boolean): boolean
  /** Deals with one that does not; all before it has passed. */
  take(message: Buffer): void
  /** A message that is too long to be held begins, with as much of it as is there; its bytes follow as `longPart`. */
  long(beginning: Buffer): void
  longPart(bytes: Buffer): void
}

const headerBytes = 5
const none: Buffer = Buffer.alloc(0)

/** Takes single messages out of a stream, whole, and lets the others pass as they come. */
export class Sieve {
  /** Set by whoever gets a message: nothing behind it is touched now. */
  halted = false
  readonly #events: SieveEvents
  /** The beginning of a message of which the rest has not come. */
  readonly #parts = new Gathered()
  #neededBytes = 0
  /** Of the message that passes. */
  #remaining = 0
  #isLong = false

  constructor(events: SieveEvents) {
    this.#events = events
  }

  /** @returns what was not touched, because of `halted`; may be empty. */
  feed(incoming: Buffer): Buffer {
    const chunk = this.#gather(incoming)
    let [at, passFrom] = [0, 0]
    const passUpTo = (end: number) => {
      if (end > passFrom) this.#events.pass(chunk.subarray(passFrom, end))
    }
    while (at < chunk.length && !this.halted) {
      if (this.#remaining > 0) {
        const end = at + Math.min(this.#remaining, chunk.length - at)
        this.#remaining -= end - at
        if (this.#isLong) {
          this.#events.longPart(chunk.subarray(at, end))
          passFrom = end
        }
        at = end
        continue
      }
      const left = chunk.length - at
      const totalBytes = left < headerBytes ? headerBytes : totalOf(chunk, at)
      const treatment = left < headerBytes ? 'whole' : this.#events.treatment(chunk[at]!, totalBytes)
      this.#isLong = treatment === 'long'
      if (treatment === 'pass') this.#remaining = totalBytes
      else if (treatment === 'long') {
        passUpTo(at)
        passFrom = at
        this.#remaining = totalBytes
        this.#events.long(chunk.subarray(at, at + Math.min(left, totalBytes)))
      } else if (left < totalBytes) {
        passUpTo(at)
        this.#keep(chunk.subarray(at), totalBytes)
        return none
      } else {
        const message = chunk.subarray(at, at + totalBytes)
        if (!this.#events.passes(message, at === passFrom)) {
          passUpTo(at)
          passFrom = at + totalBytes
          this.#events.take(message)
        }
        at += totalBytes
      }
    }
    passUpTo(at)
    return chunk.subarray(at)
  }

  #keep(beginning: Buffer, neededBytes: number): void {
    this.#parts.add(beginning)
    this.#neededBytes = neededBytes
  }

  /** Joined once, when all of it is there. */
  #gather(chunk: Buffer): Buffer {
    if (this.#parts.length === 0) return chunk
    this.#parts.add(chunk)
    return this.#parts.length < this.#neededBytes ? none : this.#parts.take()
  }
}

/** Of a length that cannot be, everything from there on passes: whoever walks the messages refuses it. */
function totalOf(chunk: Buffer, at: number): number {
  const length = chunk.readInt32BE(at + 1)
  return length < 4 ? Number.POSITIVE_INFINITY : length + 1
}
