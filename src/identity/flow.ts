import { later } from '../kernel/time.ts'
import type { Random } from '../kernel/ids.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { FlowSecrets } from './provider.ts'
import type { Seal } from './seal.ts'
import { SeenOnce } from './seen-once.ts'

const flowMs = 10 * 60_000
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
    const text = cookie === undefined ? undefined : this.#seal.open(cookie, context)
    if (text === undefined) return undefined
    const { overAt, ...flow } = JSON.parse(text) as Flow & { readonly overAt: Instant } // sealed, so we wrote it
    return overAt > this.#clock.now() && this.#used.first(flow.state) ? flow : undefined
  }

  #secret(): string {
    return Buffer.from(this.#random.bytes(32)).toString('base64url')
  }
}
