import { write, writeSync } from 'node:fs'

const usualBytesMax = 16 * 1024 * 1024
const chunkBytesMax = 64 * 1024
const retryMs = 20
const lastMsMax = 1000
const againMs = 10

/**
 * Writes lines to a file descriptor, in order. Whatever becomes of it (a full disk, a reader that stands still or is
 * gone), nobody waits, nothing is thrown, and memory stays bounded: lines are left out then, and a line in their place
 * says how many. What still waits when the process exits is written then, for at most a second.
 */
export class LogSink {
  readonly #fd: number
  readonly #leftOut: (lines: number) => string
  readonly #waitingBytesMax: number
  readonly #onExit = () => this.#writeLast()
  #lines: string[] = []
  #waitingBytes = 0
  /** Lines that found no place, since the last that did. */
  #lost = 0
  /** What is being written, or could not be yet. */
  #chunk: Buffer = Buffer.alloc(0)
  #state: 'idle' | 'writing' | 'waiting' | 'gone' = 'idle'

  /** @param leftOut a line, with its line feed, that says so many are missing. */
  constructor(fd: number, leftOut: (lines: number) => string, waitingBytesMax = usualBytesMax) {
    this.#fd = fd
    this.#leftOut = leftOut
    this.#waitingBytesMax = waitingBytesMax
  }

  write(line: string): void {
    if (this.#state === 'gone') return
    if (this.#waitingBytes + Buffer.byteLength(line) > this.#waitingBytesMax) this.#lost += 1
    else this.#queue(line)
    if (this.#state !== 'idle') return
    process.on('exit', this.#onExit)
    this.#writeOn()
  }

  #queue(line: string): void {
    const note = this.#lost > 0 ? [this.#leftOut(this.#lost)] : []
    this.#lost = 0
    for (const one of [...note, line]) {
      this.#lines.push(one)
      this.#waitingBytes += Buffer.byteLength(one)
    }
  }

  #writeOn(): void {
    if (!this.#takeChunk()) return this.#rest('idle')
    this.#state = 'writing'
    write(this.#fd, this.#chunk, (error, written) => {
      if (error !== null) return this.#failed(error)
      this.#chunk = this.#chunk.subarray(written)
      this.#writeOn()
    })
  }

  /** A reader that is gone does not come back; anything else may pass. */
  #failed({ code }: NodeJS.ErrnoException): void {
    if (code === 'EPIPE' || code === 'EBADF') {
      this.#lines = []
      return this.#rest('gone')
    }
    this.#state = 'waiting'
    setTimeout(() => this.#writeOn(), retryMs).unref()
  }

  #rest(state: 'idle' | 'gone'): void {
    this.#state = state
    process.off('exit', this.#onExit)
  }

  #writeLast(): void {
    const untilMs = performance.now() + lastMsMax
    // What is on its way belongs to the thread that writes it.
    if (this.#state === 'writing') this.#chunk = Buffer.alloc(0)
    while (performance.now() < untilMs && this.#takeChunk()) {
      try {
        this.#chunk = this.#chunk.subarray(writeSync(this.#fd, this.#chunk))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return // refused, and no time to try again
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, againMs)
      }
    }
  }

  /** @returns false when nothing is left to write. */
  #takeChunk(): boolean {
    if (this.#chunk.length > 0) return true
    if (this.#lost > 0 && this.#lines.length === 0) this.#queue('')
    let bytes = 0
    let count = 0
    while (count < this.#lines.length && bytes < chunkBytesMax) bytes += Buffer.byteLength(this.#lines[count++]!)
    this.#chunk = Buffer.from(this.#lines.splice(0, count).join(''))
    this.#waitingBytes -= this.#chunk.length
    return this.#chunk.length > 0
  }
}
