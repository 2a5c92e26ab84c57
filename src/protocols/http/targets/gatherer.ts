/** Collects text that may come in pieces, up to what ends it. */
export class Gatherer {
  #held: Buffer | null = null
  #length = 0
  /** Behind the end that was found last, in the bytes of that call. */
  next = 0

  /**
   * @returns the text before `end`, as Latin-1; undefined while more has to come: all bytes from `at` were kept; null when
   * there is no end within `bytesMax`, the end counted in.
   */
  until(end: Buffer, bytes: Buffer, at: number, bytesMax: number): string | undefined | null {
    if (this.#length > 0) return this.#goOn(end, bytes, at, bytesMax)
    const found = bytes.indexOf(end, at)
    if (found >= 0) {
      this.next = found + end.length
      return this.next - at > bytesMax ? null : bytes.toString('latin1', at, found)
    }
    if (bytes.length - at > bytesMax) return null
    this.#keep(bytes, at, bytes.length)
    return undefined
  }

  /** Nothing is kept from before. */
  get isEmpty(): boolean {
    return this.#length === 0
  }

  clear(): void {
    this.#held = null
    this.#length = 0
  }

  /** Only where the new bytes are: what is held was searched before. */
  #goOn(end: Buffer, bytes: Buffer, at: number, bytesMax: number): string | undefined | null {
    const before = this.#length
    const to = Math.min(bytes.length, at + bytesMax - before)
    this.#keep(bytes, at, to)
    const held = this.#held!.subarray(0, this.#length)
    const found = held.indexOf(end, Math.max(0, before - end.length + 1))
    if (found < 0) return to < bytes.length || this.#length >= bytesMax ? null : undefined
    this.next = at + found + end.length - before
    const text = held.toString('latin1', 0, found)
    this.clear()
    return text
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const length = this.#length + to - from
    if (this.#held === null || this.#held.length < length) {
      const larger = Buffer.allocUnsafe(Math.max(1024, 2 * length))
      this.#held?.copy(larger, 0, 0, this.#length)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#length, from, to)
    this.#length = length
  }
}
