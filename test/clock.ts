import type { Clock, Instant, Timer } from '../src/kernel/time.ts'

interface Waiting {
  readonly dueMs: number
  readonly task: () => void
}

/** A clock that tests turn by hand. Wall and monotonic time can be moved apart, as a jump does. */
export class HandClock implements Clock {
  #wallMs: number
  #monotonicMs = 0
  readonly #waiting = new Set<Waiting>()

  constructor(startsAt = Date.UTC(2026, 10, 22, 14, 48, 7)) {
    this.#wallMs = startsAt
  }

  now(): Instant {
    return this.#wallMs as Instant
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, task: () => void): Timer {
    if (!(delayMs >= 0 && delayMs < 2 ** 31)) throw new RangeError(`a timer of ${delayMs} ms would fire at once`)
    const waiting = { dueMs: this.#monotonicMs + delayMs, task }
    this.#waiting.add(waiting)
    return { cancel: () => void this.#waiting.delete(waiting) }
  }

  get timers(): number {
    return this.#waiting.size
  }

  /** Time passes: timers run in order, each at its own instant. */
  pass(lengthMs: number): void {
    const untilMs = this.#monotonicMs + lengthMs
    for (;;) {
      const next = [...this.#waiting].toSorted((left, right) => left.dueMs - right.dueMs)[0]
      if (next === undefined || next.dueMs > untilMs) break
      this.#move(next.dueMs - this.#monotonicMs)
      this.#waiting.delete(next)
      next.task()
    }
    this.#move(untilMs - this.#monotonicMs)
  }

  /** The wall clock alone is set, as NTP or an administrator does. */
  jump(byMs: number): void {
    this.#wallMs += byMs
  }

  #move(byMs: number): void {
    this.#monotonicMs += byMs
    this.#wallMs += byMs
  }
}
