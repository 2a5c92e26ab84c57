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
/** Longer keys, as protocol 3.2 has them, are not found by guessing: who knows one may always use it. */
const guessableBytesMax = 8
/** Cancels of one session a second; people press Ctrl-C, not more. */
const hitsPerSecondMax = 20

export function createCancelKeys({ clock }: { readonly clock: Clock }): CancelKeys {
  return new Keys(clock)
}

class Key implements Disposable {
  readonly entry: CancelEntry
  hits = 0
  secondStartMs = 0
  readonly #byProcess: Map<number, readonly Key[]>

  constructor(entry: CancelEntry, byProcess: Map<number, readonly Key[]>) {
    this.entry = entry
    this.#byProcess = byProcess
  }

  [Symbol.dispose](): void {
    const { processId } = this.entry
    const others = this.#byProcess.get(processId)?.filter((key) => key !== this) ?? []
    if (others.length > 0) this.#byProcess.set(processId, others)
    else this.#byProcess.delete(processId)
  }
}

class Keys implements CancelKeys {
  readonly #clock: Clock
  /** Targets number their processes independently, so one number may stand for several sessions. */
  readonly #byProcess = new Map<number, readonly Key[]>()
  readonly #misses = new Map<string, number>()
  #windowStartMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(entry: CancelEntry): Disposable {
    const key = new Key(entry, this.#byProcess)
    const others = this.#byProcess.get(entry.processId)
    this.#byProcess.set(entry.processId, others === undefined ? [key] : [...others, key])
    return key
  }

  async request(processId: number, secret: Uint8Array, address: string): Promise<CancelOutcome> {
    const network = networkOf(address)
    const match = this.#find(processId, secret)
    const mayBeGuessed = match === undefined || secret.length <= guessableBytesMax
    if (mayBeGuessed && this.#guessedTooOften(network)) return 'too-many'
    if (match === undefined) {
      this.#misses.set(network, (this.#misses.get(network) ?? 0) + 1)
      return 'no-match'
    }
    if (!this.#mayHit(match)) return 'too-many'
    await match.entry.cancel(address)
    return 'passed-on'
  }

  #find(processId: number, secret: Uint8Array): Key | undefined {
    let found: Key | undefined
    for (const key of this.#byProcess.get(processId) ?? []) {
      const own = key.entry.secret
      if (own.length === secret.length && timingSafeEqual(own, secret)) found = key
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

  #mayHit(key: Key): boolean {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - key.secondStartMs > 1000) {
      key.secondStartMs = nowMs
      key.hits = 0
    }
    key.hits += 1
    return key.hits <= hitsPerSecondMax
  }
}
