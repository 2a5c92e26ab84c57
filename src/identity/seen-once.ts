import type { Clock, Instant } from '../kernel/time.ts'
import { later } from '../kernel/time.ts'

const entriesMax = 10_000

/** Tells whether something comes a second time within `keepMs`. Of more than 10,000 it forgets the oldest. */
export class SeenOnce {
  readonly #seen = new Map<string, Instant>()
  readonly #clock: Clock
  readonly #keepMs: number

  constructor(clock: Clock, keepMs: number) {
    this.#clock = clock
    this.#keepMs = keepMs
  }

  /** True the first time, false for a replay. */
  first(id: string): boolean {
    const now = this.#clock.now()
    for (const [old, overAt] of this.#seen) {
      if (overAt > now && this.#seen.size < entriesMax) break
      this.#seen.delete(old)
    }
    if (this.#seen.has(id)) return false
    this.#seen.set(id, later(now, this.#keepMs))
    return true
  }

  /** It counted for nothing, and may come again. */
  forget(id: string): void {
    this.#seen.delete(id)
  }
}
