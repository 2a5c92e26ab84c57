import type { OnReadOpts } from 'node:net'

/** What one call of the system reads at most: as Node does. Many small messages in more would let others wait. */
const readBytes = 64 * 1024

/** All sockets read into the same memory, one after the other: nobody looks at it when its call is over. */
let shared: Buffer | undefined

/**
 * What a socket reads, without Node's streams and without new memory for each chunk.
 * For `onread` of a socket that is made by `connect`; Node has no such thing for sockets that a server accepts.
 */
export class SharedReads {
  #listener: ((chunk: Buffer) => void) | null = null
  #early: Buffer[] = []

  /** For `connect`. */
  readonly onread: OnReadOpts = {
    buffer: (shared ??= Buffer.allocUnsafeSlow(readBytes)),
    callback: (bytes, buffer) => this.#take(buffer as Buffer, bytes),
  }

  /** @param listener gets each chunk, which is there during its call only. To be called once; then the socket resumes. */
  listen(listener: (chunk: Buffer) => void): void {
    this.#listener = listener
    for (const chunk of this.#early.splice(0)) listener(chunk)
  }

  /** False: nobody listens yet, and the socket pauses. */
  #take(buffer: Buffer, bytes: number): boolean {
    const chunk = buffer.subarray(0, bytes)
    if (this.#listener === null) this.#early.push(Buffer.from(chunk))
    else this.#listener(chunk)
    return this.#listener !== null
  }
}
