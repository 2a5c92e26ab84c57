import type { Clock } from '../../kernel/time.ts'

/** How long all sessions together may work on what comes, in one turn of the event loop. */
const turnMsMax = 8
/** What TLS and the system take for each chunk. */
const aroundMs = 0.005

/**
 * Divides the event loop between sessions. Node reads up to 2 MiB of a socket in one turn: 50,000 records of TLS with a
 * few bytes each, or as many messages. Everybody else would wait for a third of a second.
 */
export class Turns {
  readonly #clock: Clock
  #workedMs = 0
  readonly #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Nobody has to wait for the next turn. */
  get isFree(): boolean {
    return this.#workedMs < turnMsMax
  }

  /** @returns what `end` is to be given. */
  begin(): number {
    return this.#clock.monotonicMs()
  }

  /** @param besideMs what it takes beside what is measured. */
  end(begunMs: number, besideMs: number = aroundMs): void {
    this.#workedMs += this.#clock.monotonicMs() - begunMs + besideMs
  }

  /** Calls `goOn` in one of the next turns: one of those who wait in each. */
  wait(goOn: () => void): void {
    this.#waiting.push(goOn)
    if (this.#waiting.length === 1) setImmediate(this.#next)
  }

  readonly #next = (): void => {
    this.#workedMs = 0
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(this.#next)
  }
}
