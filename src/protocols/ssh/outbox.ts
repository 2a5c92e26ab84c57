import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** So much is written at once; less waits for the end of the turn. */
const pieceBytes = 256 * 1024
/** Room for some keystrokes. What does not fit moves to a whole piece. */
const smallBytes = 1024
const sparesMax = 8

/** Pieces that are written, for whoever needs one next: memory that the processor still knows. */
const spares: Buffer[] = []

/** What goes to the socket, gathered in one buffer so that one turn of the event loop makes one write. */
export class Outbox {
  readonly #socket: Duplex
  readonly #onWritten: () => void
  /** Only of a real socket it is known that what was written is with the system. */
  readonly #reuses: boolean
  #piece: Buffer | null = null
  #usedBytes = 0
  #isScheduled = false
  #bytesWritten = 0

  /** @param onWritten after each write that reached the system. */
  constructor(socket: Duplex, onWritten: () => void) {
    this.#socket = socket
    this.#onWritten = onWritten
    this.#reuses = socket instanceof Socket
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  /** What waits here and in the socket. */
  get waitingBytes(): number {
    return this.#usedBytes + this.#socket.writableLength
  }

  /** @param bytes copied before this returns. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const piece = this.#room(bytes.length - at)
      const end = Math.min(bytes.length, at + piece.length - this.#usedBytes)
      piece.set(end - at === bytes.length ? bytes : bytes.subarray(at, end), this.#usedBytes)
      this.#usedBytes += end - at
      at = end
      if (this.#usedBytes === pieceBytes) this.flush()
    }
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(() => {
      this.#isScheduled = false
      this.flush()
    })
  }

  /** A piece with room for all of `bytes`, or a whole one with room for some. */
  #room(bytes: number): Buffer {
    const wantedBytes = this.#usedBytes + bytes
    if (this.#piece !== null && (wantedBytes <= this.#piece.length || this.#piece.length === pieceBytes)) {
      return this.#piece
    }
    const piece = wantedBytes <= smallBytes ? Buffer.allocUnsafe(smallBytes) : this.#wholePiece()
    this.#piece?.copy(piece, 0, 0, this.#usedBytes)
    this.#piece = piece
    return piece
  }

  #wholePiece(): Buffer {
    return spares.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)
  }

  flush(): void {
    if (this.#piece === null) return
    const piece = this.#piece
    const usedBytes = this.#usedBytes
    this.#piece = null
    this.#usedBytes = 0
    this.#bytesWritten += usedBytes
    if (!this.#socket.writable) return
    this.#socket.write(piece.subarray(0, usedBytes), (error) => {
      // After a failure the system may still be looking at it.
      const isSpare = this.#reuses && (error === null || error === undefined) && piece.length === pieceBytes
      if (isSpare && spares.length < sparesMax) spares.push(piece)
      this.#onWritten()
    })
  }

  /** Nothing more follows. */
  end(): void {
    this.flush()
    this.#socket.end()
  }
}
