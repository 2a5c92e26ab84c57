import type { TransportTimes } from './transport.ts'

/** At most: a client with `RekeyLimit 1M` must get by. OpenSSH then asks each half MiB. */
const earnedByBytes = 256 * 1024
const earnedByMs = 1000
const freeMax = 16

/**
 * How often a peer may ask for new keys: each time is some milliseconds of work for us, and next to none for a peer
 * that chooses its numbers so. A few are free; more are earned by bytes that passed and by time.
 */
export class ExchangeAllowance {
  readonly #bytesEach: number
  readonly #msEach: number
  readonly #begunMs = performance.now()
  #asked = 0

  constructor({ rekeyBytes = earnedByBytes, rekeyMs = earnedByMs }: Partial<TransportTimes>) {
    this.#bytesEach = Math.min(rekeyBytes, earnedByBytes)
    this.#msEach = Math.min(rekeyMs, earnedByMs)
  }

  /** @param bytes that passed so far, both ways. @throws Error when it was once too often. */
  take(bytes: number): void {
    this.#asked += 1
    const earned = bytes / this.#bytesEach + (performance.now() - this.#begunMs) / this.#msEach
    if (this.#asked > freeMax + earned) throw new Error('new keys were asked for too often')
  }
}
