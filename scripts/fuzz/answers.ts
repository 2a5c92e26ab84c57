import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fromServer } from '../../src/protocols/postgres/messages.ts'

const zero = Buffer.alloc(0)

/** What comes back, as far as an attacker cares. */
export class Answers {
  readonly #socket: Socket
  #pending: Buffer = zero
  #isReady = false
  #lastMs = performance.now()

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  async untilReady(): Promise<boolean> {
    while (!this.#isReady && !this.#socket.destroyed && this.#socket.readable) await sleep(2)
    return this.#isReady
  }

  /** Until nothing has come for so long. */
  async quiet(forMs: number): Promise<void> {
    const endMs = performance.now() + 1000
    while (performance.now() < endMs && performance.now() - this.#lastMs < forMs && !this.#socket.destroyed)
      await sleep(5)
  }

  #read(chunk: Buffer): void {
    this.#lastMs = performance.now()
    if (this.#isReady) return
    this.#pending = Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 5) {
      const end = 1 + this.#pending.readInt32BE(1)
      if (end > this.#pending.length || end < 5) return
      if (this.#pending[0] === fromServer.readyForQuery) this.#isReady = true
      this.#pending = this.#pending.subarray(end)
    }
  }
}
