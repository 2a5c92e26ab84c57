import { Fault } from '../kernel/fault.ts'
import type { Clock } from '../kernel/time.ts'

const knownMs = 1000
/** Whoever wants to begin a session does not wait longer. */
const answerMsMax = 5000

/**
 * How much room the disk has. It is asked once at a time, however many want to know: of a disk that hangs, each question
 * would keep one of the few threads that files, names and much else of the process need.
 */
export class FreeSpace {
  readonly #clock: Clock
  readonly #ask: () => Promise<number>
  #known: { readonly bytes: Promise<number>; readonly atMs: number } | null = null
  /** Since when the disk owes an answer. */
  #askedMs: number | null = null

  constructor(clock: Clock, ask: () => Promise<number>) {
    this.#clock = clock
    this.#ask = ask
  }

  /** As of a second ago at most. @throws Fault RECORDING_FAILED when the disk cannot be asked, or does not answer. */
  async bytes(): Promise<number> {
    const nowMs = this.#clock.monotonicMs()
    const isOld = this.#known === null || nowMs - this.#known.atMs > knownMs
    if (isOld && this.#askedMs === null) this.#look(nowMs)
    try {
      return await this.#inTime(this.#known!.bytes, nowMs)
    } catch (cause) {
      throw new Fault('RECORDING_FAILED', 'The disk for recordings cannot be reached.', { cause })
    }
  }

  async #inTime(bytes: Promise<number>, nowMs: number): Promise<number> {
    if (this.#askedMs === null) return await bytes
    const late = Promise.withResolvers<never>()
    const leftMs = Math.max(0, this.#askedMs + answerMsMax - nowMs)
    const timer = this.#clock.after(leftMs, () => late.reject(new Error('the disk does not answer')))
    try {
      return await Promise.race([bytes, late.promise])
    } finally {
      timer.cancel()
    }
  }

  /** Somebody else has looked. */
  tell(bytes: number): void {
    this.#known = { bytes: Promise.resolve(bytes), atMs: this.#clock.monotonicMs() }
  }

  #look(nowMs: number): void {
    const bytes = this.#ask().finally(() => (this.#askedMs = null))
    this.#askedMs = nowMs
    this.#known = { bytes, atMs: nowMs }
  }
}
