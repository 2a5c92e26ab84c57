/** Kept of the client's window for words of the gate, which the target knows nothing of. */
const reserveBytesMax = 8 * 1024

/**
 * Lets the gate put in words on a channel whose window belongs to the client and the target: the target is told of a
 * window that is smaller by a reserve; what the gate says comes out of it, and what the client gives back refills it
 * first. So the target never sends more than the client takes.
 * @see RFC 4254 section 5.2
 */
export class Voice {
  readonly reserveBytes: number
  #spentBytes = 0

  /** @param windowBytes what the client offers at the start. */
  constructor(windowBytes: number) {
    this.reserveBytes = Math.min(reserveBytesMax, Math.floor(windowBytes / 4))
  }

  /** Whether so much can be said now; if so, it counts as said. */
  speak(bytes: number): boolean {
    if (this.#spentBytes + bytes > this.reserveBytes) return false
    this.#spentBytes += bytes
    return true
  }

  /** @param addedBytes by which the client opens its window. @returns how much of that is the target's. */
  refill(addedBytes: number): number {
    const own = Math.min(this.#spentBytes, addedBytes)
    this.#spentBytes -= own
    return addedBytes - own
  }
}
