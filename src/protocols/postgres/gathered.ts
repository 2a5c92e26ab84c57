const none: Buffer = Buffer.alloc(0)
const capacityBytesMin = 256

/**
 * Bytes that come in pieces and are wanted together. A list of them would cost its sender one byte a piece and us a hundred,
 * so pieces are copied behind each other; a single one is kept as it is.
 */
export class Gathered {
  #bytes: Buffer = none
  #length = 0
  /** `#bytes` is ours, and has room behind what is in it. */
  #isOurs = false

  get length(): number {
    return this.#length
  }

  /** @param piece must not change as long as it may be in here. */
  add(piece: Buffer): void {
    if (this.#length === 0) {
      this.#bytes = piece
      this.#isOurs = false
    } else this.#append(piece)
    this.#length += piece.length
  }

  /** The first of them, which leave; at most `length`. What was taken never changes. */
  take(lengthBytes: number = this.#length): Buffer {
    const taken = this.#bytes.subarray(0, lengthBytes)
    this.#length -= lengthBytes
    this.#bytes = this.#length === 0 ? none : this.#bytes.subarray(lengthBytes)
    return taken
  }

  /** The first byte of what is there. */
  get first(): number | undefined {
    return this.#length === 0 ? undefined : this.#bytes[0]
  }

  #append(piece: Buffer): void {
    const needed = this.#length + piece.length
    if (!this.#isOurs || needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(capacityBytesMin, 2 * needed))
      this.#bytes.copy(larger, 0, 0, this.#length)
      this.#bytes = larger
      this.#isOurs = true
    }
    piece.copy(this.#bytes, this.#length)
  }
}
