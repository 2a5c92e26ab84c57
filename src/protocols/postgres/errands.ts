import type { Turns } from './turns.ts'

/** What one takes, what the promises in it do afterwards included. */
const errandMs = 0.1

/** Divides what comes by the thousand, such as a crowd and its deadlines, between turns of the event loop. */
export class Errands {
  readonly #turns: Turns
  readonly #waiting: (() => void)[] = []

  constructor(turns: Turns) {
    this.#turns = turns
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Does it now, or in one of the next turns; in their order. */
  add(task: () => void): void {
    if (this.#waiting.length === 0 && this.#turns.isFree) return this.#do(task)
    this.#waiting.push(task)
    if (this.#waiting.length === 1) this.#turns.waitToComeIn(this.#doSome)
  }

  readonly #doSome = (): void => {
    while (this.#waiting.length > 0 && this.#turns.isFree) this.#do(this.#waiting.shift()!)
    if (this.#waiting.length > 0) this.#turns.waitToComeIn(this.#doSome)
  }

  #do(task: () => void): void {
    const begunMs = this.#turns.begin()
    task()
    this.#turns.end(begunMs, errandMs)
  }
}
