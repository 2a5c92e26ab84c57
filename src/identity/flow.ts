import { later } from '../kernel/time.ts'
import type { Random } from '../kernel/ids.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { FlowSecrets } from './provider.ts'
import type { Seal } from './seal.ts'
import { SeenOnce } from './seen-once.ts'

const flowMs = 10 * 60_000
/** Where somebody wanted to go is known for so long: a lunch over a second factor. */
const placeKeptMs = 12 * 3_600_000
const context = 'sign-in flow'

/** One sign-in between leaving for the provider and coming back. */
export interface Flow extends FlowSecrets {
  readonly returnTo: string
}

/** Keeps flows in a sealed cookie, so that nothing is remembered for browsers that never come back. */
export class Flows {
  readonly #seal: Seal
  readonly #random: Random
  readonly #clock: Clock
  readonly #used: SeenOnce

  constructor(seal: Seal, random: Random, clock: Clock) {
    this.#seal = seal
    this.#random = random
    this.#clock = clock
    this.#used = new SeenOnce(clock, flowMs)
  }

  begin(returnTo: string): Flow {
    return { state: this.#secret(), nonce: this.#secret(), verifier: this.#secret(), returnTo }
  }

  cookie(flow: Flow): string {
    return this.#seal.close(JSON.stringify({ ...flow, overAt: later(this.#clock.now(), flowMs) }), context)
  }

  /** The flow in this cookie, once; undefined when it is not ours, over, or was here before. */
  take(cookie: string | undefined): Flow | undefined {
    const kept = this.#read(cookie)
    if (kept === undefined) return undefined
    const { overAt, ...flow } = kept
    return overAt > this.#clock.now() && this.#used.first(flow.state) ? flow : undefined
  }

  /** Where a sign-in that took too long was to lead; undefined for all others. */
  placeOfLate(cookie: string | undefined): string | undefined {
    const kept = this.#read(cookie)
    const lateMs = kept === undefined ? -1 : this.#clock.now() - kept.overAt
    return lateMs >= 0 && lateMs < placeKeptMs ? kept?.returnTo : undefined
  }

  #read(cookie: string | undefined): (Flow & { readonly overAt: Instant }) | undefined {
    const text = cookie === undefined ? undefined : this.#seal.open(cookie, context)
    return text === undefined ? undefined : (JSON.parse(text) as Flow & { readonly overAt: Instant }) // sealed, so we wrote it
  }

  #secret(): string {
    return Buffer.from(this.#random.bytes(32)).toString('base64url')
  }
}
