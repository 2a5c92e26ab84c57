/** So much work at once for each name, in the order it came. */
export class Turns {
  readonly #most: number
  readonly #running = new Map<string, number>()
  readonly #waiting = new Map<string, (() => void)[]>()

  constructor(most: number) {
    this.#most = most
  }

  /** Rejects with the signal's reason when that comes before its turn. */
  async run<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#turn(name, signal)
    try {
      return await work()
    } finally {
      this.#next(name)
    }
  }

  async #turn(name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const running = this.#running.get(name) ?? 0
    if (running < this.#most) {
      this.#running.set(name, running + 1)
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(name) ?? []
    this.#waiting.set(name, waiting)
    waiting.push(resolve)
    const giveUp = () => {
      const place = waiting.indexOf(resolve)
      if (place < 0) return // its turn has come
      waiting.splice(place, 1)
      reject(signal.reason)
    }
    signal.addEventListener('abort', giveUp, { once: true })
    await promise.finally(() => signal.removeEventListener('abort', giveUp))
  }

  #next(name: string): void {
    const next = this.#waiting.get(name)?.shift()
    if (next === undefined) this.#running.set(name, (this.#running.get(name) ?? 1) - 1)
    else next() // its turn passes on
  }
}
