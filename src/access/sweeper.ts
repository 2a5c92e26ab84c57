import type { Log } from '../kernel/log.ts'

/** Settles what time alone decides, again and again. */
export class Sweeper {
  readonly #sweep: () => Promise<unknown>
  readonly #log: Log
  #looking = false
  /** A state that is lost for hours is told of once. */
  #failing = false

  constructor(sweep: () => Promise<unknown>, log: Log) {
    this.#sweep = sweep
    this.#log = log
  }

  /** One look at a time: none while the one before is under way. Never rejects. */
  async look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    try {
      await this.#sweep()
      if (this.#failing) this.#log.info({}, 'sweeps work again')
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.#log.error({ error }, 'sweep failed; trying again every second')
      this.#failing = true
    } finally {
      this.#looking = false
    }
  }
}
