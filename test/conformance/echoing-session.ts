import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Program } from '../clients/program.ts'
import type { SeparateSshGateway } from '../servers/separate-ssh-gateway.ts'

/** A session at work: one echo after the other, until it is stopped. One that fails, fails the test. */
export class EchoingSession implements AsyncDisposable {
  longestMs = 0
  #count = 0
  #stopped = false
  readonly #program: Program

  constructor(gateway: SeparateSshGateway) {
    this.#program = gateway.ssh('exec cat')
  }

  async once(): Promise<void> {
    const askedMs = performance.now()
    this.#program.send(`beat-${++this.#count}.`)
    await this.#program.until(new RegExp(`beat-${this.#count}\\.`))
    if (this.#count > 1) this.longestMs = Math.max(this.longestMs, performance.now() - askedMs)
  }

  async goesOnDuring(work: () => Promise<void>): Promise<void> {
    const before = this.#count
    const beating = this.#run()
    try {
      await Promise.race([work(), beating])
    } finally {
      this.#stopped = true
    }
    await beating
    expect(this.#count).toBeGreaterThan(before + 10)
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.once()
      await sleep(20)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]()
  }
}
