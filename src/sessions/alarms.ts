import type { Clock, Timer } from '../kernel/time.ts'

/** What an alarm wakes. It may set itself again, or call off others, while it is woken. */
export interface Sleeper {
  /** By `clock.monotonicMs()`. Belongs to `Alarms`, as `place` does. */
  wakesAtMs: number
  /** Where it lies among the others; -1: it does not sleep. */
  place: number
  wake(): void
}

/** Many alarms on one timer: a timer for each session would take more memory than the rest of its deadline. */
export class Alarms {
  readonly #clock: Clock
  /** A binary heap: none wakes before the one at half its place. */
  readonly #sleepers: Sleeper[] = []
  #timer: Timer | undefined
  #timerAtMs = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Wakes it once, not before `delayMs` have passed, and no more at what was set before. `delayMs` below 2^31. */
  set(sleeper: Sleeper, delayMs: number): void {
    sleeper.wakesAtMs = this.#clock.monotonicMs() + delayMs
    if (sleeper.place < 0) sleeper.place = this.#sleepers.push(sleeper) - 1
    this.#settle(sleeper)
    this.#arm()
  }

  /** Harmless when it does not sleep. */
  cancel(sleeper: Sleeper): void {
    this.#takeOut(sleeper)
    if (this.#sleepers.length === 0) this.#disarm()
  }

  /** For the earliest. A timer that comes too early, because its sleeper was called off, wakes nobody. */
  #arm(): void {
    const atMs = this.#sleepers[0]?.wakesAtMs ?? Infinity
    if (atMs >= this.#timerAtMs) return
    this.#disarm()
    this.#timerAtMs = atMs
    const delayMs = Math.max(1, Math.ceil(atMs - this.#clock.monotonicMs()))
    this.#timer = this.#clock.after(delayMs, () => this.#ring())
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAtMs = Infinity
  }

  #ring(): void {
    this.#disarm()
    const nowMs = this.#clock.monotonicMs()
    try {
      for (let first = this.#sleepers[0]; first !== undefined && first.wakesAtMs <= nowMs; first = this.#sleepers[0]) {
        this.#takeOut(first)
        first.wake()
      }
    } finally {
      this.#arm()
    }
  }

  #takeOut(sleeper: Sleeper): void {
    const { place } = sleeper
    if (place < 0) return
    sleeper.place = -1
    const last = this.#sleepers.pop()!
    if (last === sleeper) return
    this.#put(last, place)
    this.#settle(last)
  }

  #settle(sleeper: Sleeper): void {
    for (;;) {
      const above = this.#sleepers[(sleeper.place - 1) >> 1]
      if (sleeper.place === 0 || above === undefined || above.wakesAtMs <= sleeper.wakesAtMs) break
      this.#swap(above, sleeper)
    }
    for (;;) {
      const below = this.#firstBelow(sleeper.place)
      if (below === undefined || below.wakesAtMs >= sleeper.wakesAtMs) break
      this.#swap(sleeper, below)
    }
  }

  #firstBelow(place: number): Sleeper | undefined {
    const [left, right] = [this.#sleepers[2 * place + 1], this.#sleepers[2 * place + 2]]
    return right !== undefined && left !== undefined && right.wakesAtMs < left.wakesAtMs ? right : left
  }

  #swap(above: Sleeper, below: Sleeper): void {
    const { place } = above
    this.#put(above, below.place)
    this.#put(below, place)
  }

  #put(sleeper: Sleeper, place: number): void {
    this.#sleepers[place] = sleeper
    sleeper.place = place
  }
}
