import { NotUnderstood } from '../protocol-tap.ts'

/** Gets packets as they pass. */
export interface PacketSink {
  /** How much of the body (what follows the type) `head` wants at once, given its length. Throws when it cannot be. */
  headBytes(type: number, bodyBytes: number): number
  /** The beginning of a body. A view. */
  head(type: number, head: Buffer): void
  /** More of the body. A view. */
  rest(bytes: Buffer): void
  /** The packet is over. */
  end(): void
}

/** uint32 length (of type and body), byte type. */
const prefixBytes = 5
const none: Buffer = Buffer.alloc(0)

/**
 * Walks over one direction of SFTP, cut anywhere. Copies only the heads that a cut goes through.
 * @see draft-ietf-secsh-filexfer-02 section 3
 */
export class PacketWalk {
  readonly #sink: PacketSink
  /** The beginning of a packet whose head is not all here: `#heldBytes` of `#neededBytes`. */
  #held: Buffer = none
  #heldBytes = 0
  #neededBytes = 0
  /** Of `#heldBytes`, what came before the piece that is walked over now. */
  #heldBefore = 0
  #restBytes = 0

  constructor(sink: PacketSink) {
    this.#sink = sink
  }

  /** What was held when the last piece came, or since. */
  held(): readonly Buffer[] {
    return this.#heldBefore === 0 ? [] : [this.#held.subarray(0, this.#heldBefore)]
  }

  feed(piece: Buffer): void {
    let at = 0
    while (at < piece.length) {
      if (this.#restBytes > 0) at = this.#passRest(piece, at)
      else if (this.#heldBytes > 0) at = this.#holdMore(piece, at)
      else at = this.#begin(piece, at)
    }
    this.#heldBefore = this.#heldBytes
  }

  #passRest(piece: Buffer, at: number): number {
    const end = Math.min(piece.length, at + this.#restBytes)
    this.#restBytes -= end - at
    this.#sink.rest(piece.subarray(at, end))
    if (this.#restBytes === 0) this.#sink.end()
    return end
  }

  #begin(piece: Buffer, at: number): number {
    const leftBytes = piece.length - at
    const neededBytes = leftBytes < prefixBytes ? prefixBytes : this.#wholeHeadBytes(piece, at)
    if (leftBytes >= neededBytes) return this.#pass(piece, at, at + neededBytes)
    this.#hold(neededBytes)
    return this.#holdMore(piece, at)
  }

  #holdMore(piece: Buffer, at: number): number {
    const end = Math.min(piece.length, at + this.#neededBytes - this.#heldBytes)
    piece.copy(this.#held, this.#heldBytes, at, end)
    this.#heldBytes += end - at
    if (this.#heldBytes === this.#neededBytes) this.#heldIsFull()
    return end
  }

  #heldIsFull(): void {
    const neededBytes = this.#wholeHeadBytes(this.#held, 0)
    if (neededBytes > this.#neededBytes) return this.#hold(neededBytes)
    this.#heldBytes = 0
    this.#pass(this.#held, 0, neededBytes)
    this.#held = none
    this.#heldBefore = 0
  }

  #hold(neededBytes: number): void {
    const held = Buffer.allocUnsafeSlow(neededBytes)
    this.#held.copy(held, 0, 0, this.#heldBytes)
    this.#held = held
    this.#neededBytes = neededBytes
  }

  #wholeHeadBytes(bytes: Buffer, at: number): number {
    const lengthBytes = bytes.readUInt32BE(at)
    if (lengthBytes === 0) throw new NotUnderstood('An SFTP packet is empty.')
    return prefixBytes + this.#sink.headBytes(bytes[at + 4]!, lengthBytes - 1)
  }

  #pass(bytes: Buffer, from: number, end: number): number {
    const headFrom = from + prefixBytes
    this.#restBytes = bytes.readUInt32BE(from) - 1 - (end - headFrom)
    this.#sink.head(bytes[from + 4]!, bytes.subarray(headFrom, end))
    if (this.#restBytes === 0) this.#sink.end()
    return end
  }
}
