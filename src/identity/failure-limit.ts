import type { Clock } from '../kernel/time.ts'
import { networkOf } from './address.ts'

const addressesMax = 10_000

interface Window {
  failures: number
  readonly overMs: number
}

/** Counts failures, or other things to be kept few, per address (of IPv6: per network) in windows of a fixed length, whatever the wall clock says; remembers at most 10,000 addresses. */
export class FailureLimit {
  readonly #windows = new Map<string, Window>()
  readonly #clock: Clock
  readonly #failuresMax: number
  readonly #windowMs: number

  constructor(clock: Clock, failuresMax: number, windowMs: number) {
    this.#clock = clock
    this.#failuresMax = failuresMax
    this.#windowMs = windowMs
  }

  /** Whether this address has failed too often in its window. */
  reached(address: string): boolean {
    return (this.#current(networkOf(address))?.failures ?? 0) >= this.#failuresMax
  }

  /** Counts one more. True while it is worth an audit event; false once the limit is passed. */
  count(address: string): boolean {
    const key = networkOf(address)
    const window = this.#current(key) ?? this.#open(key)
    window.failures += 1
    return window.failures <= this.#failuresMax
  }

  #current(address: string): Window | undefined {
    const window = this.#windows.get(address)
    return window !== undefined && window.overMs > this.#clock.monotonicMs() ? window : undefined
  }

  #open(address: string): Window {
    this.#windows.delete(address)
    if (this.#windows.size >= addressesMax) this.#forget()
    const window = { failures: 0, overMs: this.#clock.monotonicMs() + this.#windowMs }
    this.#windows.set(address, window)
    return window
  }

  /** Windows open in the order of the map, so the first ones end first. */
  #forget(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [address, { overMs }] of this.#windows) {
      if (overMs > nowMs && this.#windows.size < addressesMax) return
      this.#windows.delete(address)
    }
  }
}
