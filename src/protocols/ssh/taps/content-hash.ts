import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'

/** What it costs to keep one piece, beside its bytes. */
const pieceBytes = 128

/** Room for content that came before its turn, shared by all files of a channel. */
export class EarlyRoom {
  #leftBytes: number

  constructor(bytes: number) {
    this.#leftBytes = bytes
  }

  /** @returns false when there is no room. */
  take(bytes: number): boolean {
    if (bytes + pieceBytes > this.#leftBytes) return false
    this.#leftBytes -= bytes + pieceBytes
    return true
  }

  giveBack(bytes: number): void {
    this.#leftBytes += bytes + pieceBytes
  }
}

/**
 * SHA-256 of content that passes in pieces with their places. What comes early waits, as long as there is room;
 * content with a gap, or that passes twice, has no hash.
 */
export class ContentHash {
  readonly #room: EarlyRoom
  readonly #early = new Map<number, Buffer>()
  #hash: Hash | null = null
  #next = 0
  #given = true

  constructor(room: EarlyRoom) {
    this.#room = room
  }

  add(place: number, piece: Buffer): void {
    if (!this.#given || piece.length === 0) return
    if (place !== this.#next) return this.#keep(place, piece)
    this.#append(piece)
    if (this.#early.size > 0) this.#catchUp()
  }

  giveUp(): void {
    this.#given = false
    this.#hash = null
    for (const piece of this.#early.values()) this.#room.giveBack(piece.length)
    this.#early.clear()
  }

  /** Ends it. @returns hex; undefined when the content did not pass in order from its first byte. */
  digest(): string | undefined {
    const isWhole = this.#given && this.#early.size === 0
    const hash = this.#hash ?? createHash('sha256')
    this.giveUp()
    return isWhole ? hash.digest('hex') : undefined
  }

  #append(piece: Buffer): void {
    this.#hash ??= createHash('sha256')
    this.#hash.update(piece)
    this.#next += piece.length
  }

  #keep(place: number, piece: Buffer): void {
    const isNew = place > this.#next && !this.#early.has(place)
    if (!isNew || !this.#room.take(piece.length)) return this.giveUp()
    // A copy, or a small piece would keep a whole message alive.
    const copy = Buffer.allocUnsafeSlow(piece.length)
    piece.copy(copy)
    this.#early.set(place, copy)
  }

  #catchUp(): void {
    for (let piece = this.#early.get(this.#next); piece !== undefined; piece = this.#early.get(this.#next)) {
      this.#early.delete(this.#next)
      this.#room.giveBack(piece.length)
      this.#append(piece)
    }
  }
}
