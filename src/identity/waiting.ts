import { Fault } from '../kernel/fault.ts'
import type { SignInId } from '../kernel/ids.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import { networkOf } from './address.ts'

const perAddressMax = 32
const totalMax = 1000

/** Bounds how many programs may wait for a sign-in at once: they are not known yet. */
export class Waiting {
  readonly #entries = new Map<SignInId, { readonly network: string; readonly overAt: Instant }>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @throws Fault RATE_LIMITED */
  enter(id: SignInId, address: string, overAt: Instant): void {
    this.#sweep()
    if (this.#entries.size >= totalMax) {
      throw new Fault('RATE_LIMITED', `${totalMax} programs wait for a sign-in already`)
    }
    const network = networkOf(address)
    const same = [...this.#entries.values()].filter((entry) => entry.network === network).length
    if (same >= perAddressMax) {
      throw new Fault('RATE_LIMITED', `${perAddressMax} programs at ${address} wait for a sign-in already`)
    }
    this.#entries.set(id, { network, overAt })
  }

  leave(id: SignInId): void {
    this.#entries.delete(id)
  }

  /** All wait for the same length, so the first ones are over first. */
  #sweep(): void {
    const now = this.#clock.now()
    for (const [id, { overAt }] of this.#entries) {
      if (overAt > now) return
      this.#entries.delete(id)
    }
  }
}
