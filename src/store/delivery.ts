import type { Change, ChangeFeed } from '../kernel/change.ts'
import type { Log } from '../kernel/log.ts'
import type { Clock, Timer } from '../kernel/time.ts'

export interface NumberedChange {
  readonly number: number
  readonly json: string
}

const pollMs = 1000

/**
 * Hands committed changes to listeners, each once and in the order of their numbers, whichever way they come:
 * right after a commit of this process, or by a poll behind it for those of others.
 */
export class Delivery implements ChangeFeed, AsyncDisposable {
  readonly #clock: Clock
  readonly #log: Log
  readonly #readAfter: (number: number) => Promise<readonly NumberedChange[]>
  readonly #listeners = new Set<(change: Change) => void>()
  #last: number
  #timer: Timer | undefined
  #polling: Promise<void> = Promise.resolve()
  #failing = false
  #over = false

  /** @param readAfter every committed change above a number, in order. */
  constructor(
    options: { readonly clock: Clock; readonly log: Log; readonly last: number },
    readAfter: (number: number) => Promise<readonly NumberedChange[]>,
  ) {
    this.#clock = options.clock
    this.#log = options.log
    this.#last = options.last
    this.#readAfter = readAfter
    this.#arm()
  }

  subscribe(listener: (change: Change) => void): Disposable {
    // A wrapper, so that one function subscribed twice is two subscriptions.
    const entry = (change: Change) => listener(change)
    this.#listeners.add(entry)
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) }
  }

  /** `changes`: without gaps from some number that was delivered already, or the next. */
  deliver(changes: readonly NumberedChange[]): void {
    for (const { number, json } of changes) {
      if (number <= this.#last) continue
      this.#last = number
      const change = JSON.parse(json) as Change
      for (const listener of [...this.#listeners]) this.#tell(listener, change)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true
    this.#timer?.cancel()
    this.#listeners.clear()
    await this.#polling
  }

  #tell(listener: (change: Change) => void, change: Change): void {
    try {
      listener(change)
    } catch (error) {
      this.#log.error({ err: error, change: change.kind }, 'a listener of the change feed threw')
    }
  }

  #arm(): void {
    if (this.#over) return
    this.#timer = this.#clock.after(pollMs, () => {
      this.#polling = this.#poll().finally(() => this.#arm())
    })
  }

  async #poll(): Promise<void> {
    try {
      this.deliver(await this.#readAfter(this.#last))
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.#log.error({ err: error }, 'the change feed cannot be read; trying again every second')
      this.#failing = true
    }
  }
}
