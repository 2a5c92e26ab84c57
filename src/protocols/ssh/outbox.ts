import type { Duplex } from 'node:stream'

/** So much is written at once; less waits for the end of the turn. */
const pieceBytes = 256 * 1024

/** What goes to the socket, gathered so that one turn of the event loop makes one write. */
export class Outbox {
  readonly #socket: Duplex
  readonly #onWritten: () => void
  #parts: Uint8Array[] = []
  #gatheredBytes = 0
  #isScheduled = false
  #bytesWritten = 0

  /** @param onWritten after each write that reached the system. */
  constructor(socket: Duplex, onWritten: () => void) {
    this.#socket = socket
    this.#onWritten = onWritten
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  /** What waits here and in the socket. */
  get waitingBytes(): number {
    return this.#gatheredBytes + this.#socket.writableLength
  }

  /** The bytes are taken as they are: nobody may change them any more. */
  push(bytes: Uint8Array): void {
    this.#parts.push(bytes)
    this.#gatheredBytes += bytes.length
    if (this.#gatheredBytes >= pieceBytes) return this.flush()
    if (this.#isScheduled) return
    this.#isScheduled = true
    process.nextTick(() => {
      this.#isScheduled = false
      this.flush()
    })
  }

  flush(): void {
    if (this.#gatheredBytes === 0) return
    const parts = this.#parts
    const last = parts.length - 1
    this.#bytesWritten += this.#gatheredBytes
    this.#parts = []
    this.#gatheredBytes = 0
    if (!this.#socket.writable) return
    this.#socket.cork()
    for (let index = 0; index < last; index++) this.#socket.write(parts[index])
    this.#socket.write(parts[last], this.#onWritten)
    this.#socket.uncork()
  }

  /** Nothing more follows. */
  end(): void {
    this.flush()
    this.#socket.end()
  }
}
