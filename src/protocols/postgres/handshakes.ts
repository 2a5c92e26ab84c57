import { networkOf } from '../../identity/address.ts'
import type { Clock } from '../../kernel/time.ts'

/** For so long after somebody came in from there. */
const knownMs = 12 * 3_600_000
const networksMax = 10_000
/** Hello, two certificates, proof and end: more is no honest client's. */
const honestBytesMax = 12 * 1024

interface Network {
  untilMs: number
  /** A quick handshake goes on. */
  busy: boolean
  /** Somebody there sent what no honest client does. */
  barred: boolean
}

/** One TLS handshake. Dispose it when that is over. */
export interface Handshake extends Disposable {
  /** It may go the quick way, which takes whatever chain of certificates comes. */
  readonly quick: boolean
  /** How much the client sent in it. */
  took(bytes: number): void
}

/**
 * Which TLS handshakes need a bound (BoundedHandshake). With one, a session takes about twice as much processor time for
 * each round trip, as TLS cannot read the socket by itself; so networks from which somebody came in lately do without, one
 * handshake at a time. One of which somebody sends what no honest client does has the bound for as long.
 */
export class Handshakes {
  readonly #clock: Clock
  /** Oldest first. */
  readonly #known = new Map<string, Network>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Somebody proved who they are from there. */
  cameIn(address: string): void {
    const name = networkOf(address)
    const nowMs = this.#clock.monotonicMs()
    const { busy, barred, untilMs } = this.#known.get(name) ?? { busy: false, barred: false, untilMs: 0 }
    if (barred && nowMs < untilMs) return
    this.#known.delete(name)
    this.#known.set(name, { untilMs: nowMs + knownMs, busy, barred: false })
    const [oldest] = this.#known.keys()
    if (this.#known.size > networksMax && oldest !== undefined) this.#known.delete(oldest)
  }

  begin(address: string): Handshake {
    const name = networkOf(address)
    const network = this.#known.get(name)
    const nowMs = this.#clock.monotonicMs()
    if (network === undefined || network.busy || network.barred || nowMs >= network.untilMs) return bounded
    network.busy = true
    return {
      quick: true,
      took: (bytes) => {
        if (bytes <= honestBytesMax) return
        this.#known.set(name, { untilMs: nowMs + knownMs, busy: false, barred: true })
      },
      [Symbol.dispose]: () => {
        const now = this.#known.get(name)
        if (now !== undefined) now.busy = false
      },
    }
  }
}

const bounded: Handshake = { quick: false, took: () => {}, [Symbol.dispose]: () => {} }
