import { timingSafeEqual } from 'node:crypto'
import { networkOf } from '../../identity/address.ts'
import type { Clock } from '../../kernel/time.ts'

/** A live session as CancelRequest names it. */
export interface CancelEntry {
  readonly processId: number
  /** Ours; the client got it in BackendKeyData. */
  readonly secret: Uint8Array
  /** Passes the cancel on to this session's target. @param address where it came from */
  cancel(address: string): Promise<void>
}

export type CancelOutcome = 'passed-on' | 'no-match' | 'too-many'

/** The cancel keys of all live sessions of this node; every PostgreSQL listener shares one. */
export interface CancelKeys {
  add(entry: CancelEntry): Disposable
  /**
   * Acts on a CancelRequest. Its sender is never told what came of it, but may wait for the connection to be closed:
   * then the target has been asked, and what it runs next is safe.
   * @returns what came of it, for the log, when it has been passed on. Never rejects.
   */
  request(processId: number, secret: Uint8Array, address: string): Promise<CancelOutcome>
}

const windowMs = 60_000
/** Guesses at keys that one network may make a minute: a 4-byte key then takes a century. */
const missesPerWindowMax = 30
const networksMax = 10_000
/** Cancels of one session a second; people press Ctrl-C, not more. */
const hitsPerSecondMax = 20

export function createCancelKeys({ clock }: { readonly clock: Clock }): CancelKeys {
  return new Keys(clock)
}

interface Live extends CancelEntry {
  hits: number
  secondStartMs: number
}

class Keys implements CancelKeys {
  readonly #clock: Clock
  /** Targets number their processes independently, so one number may stand for several sessions. */
  readonly #byProcess = new Map<number, Set<Live>>()
  readonly #misses = new Map<string, number>()
  #windowStartMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(entry: CancelEntry): Disposable {
    const live: Live = { ...entry, cancel: (address) => entry.cancel(address), hits: 0, secondStartMs: 0 }
    const entries = this.#byProcess.get(entry.processId) ?? new Set()
    this.#byProcess.set(entry.processId, entries.add(live))
    return {
      [Symbol.dispose]: () => {
        entries.delete(live)
        if (entries.size === 0 && this.#byProcess.get(entry.processId) === entries) {
          this.#byProcess.delete(entry.processId)
        }
      },
    }
  }

  async request(processId: number, secret: Uint8Array, address: string): Promise<CancelOutcome> {
    const network = networkOf(address)
    if (this.#guessedTooOften(network)) return 'too-many'
    const match = this.#find(processId, secret)
    if (match === undefined) {
      this.#misses.set(network, (this.#misses.get(network) ?? 0) + 1)
      return 'no-match'
    }
    if (!this.#mayHit(match)) return 'too-many'
    await match.cancel(address)
    return 'passed-on'
  }

  #find(processId: number, secret: Uint8Array): Live | undefined {
    let found: Live | undefined
    for (const entry of this.#byProcess.get(processId) ?? []) {
      if (entry.secret.length === secret.length && timingSafeEqual(entry.secret, secret)) found = entry
    }
    return found
  }

  #guessedTooOften(network: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#windowStartMs > windowMs) {
      this.#misses.clear()
      this.#windowStartMs = nowMs
    }
    const misses = this.#misses.get(network)
    return misses === undefined ? this.#misses.size >= networksMax : misses >= missesPerWindowMax
  }

  #mayHit(entry: Live): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - entry.secondStartMs > 1000) {
      entry.secondStartMs = nowMs
      entry.hits = 0
    }
    entry.hits += 1
    return entry.hits <= hitsPerSecondMax
  }
}
