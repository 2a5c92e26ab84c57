import type { Clock } from '../../kernel/time.ts'

/** The time at which the chunk came that is being looked at: asking the clock for each message costs more than the rest. */
export class Moment {
  /** By `clock.monotonicMs()`. */
  nowMs: number
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.nowMs = clock.monotonicMs()
  }

  /** A chunk has come. */
  look(nowMs = this.#clock.monotonicMs()): void {
    this.nowMs = nowMs
  }
}
