import { Readable } from 'node:stream'

/** The client's doing, not the target's. */
export class BrokenBody extends Error {
  override readonly name = 'BrokenBody'
}

/**
 * Lends a request's body to a client library. The library destroys what it is given when a target answers early;
 * done to the body itself that would close the person's connection, with the answer unsent.
 */
export class BorrowedBody extends Readable {
  readonly #source: Readable
  #started = false

  constructor(source: Readable) {
    super({ highWaterMark: 64 * 1024 })
    this.#source = source
    // Who reads it hears of it, too; when nobody does (yet), it is no reason for the process to end.
    this.on('error', () => undefined)
  }

  /** Whether anything was taken out of the body, so that it cannot be sent again. */
  get touched(): boolean {
    return this.#started
  }

  override _read(): void {
    if (!this.#started) this.#start()
    this.#source.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source.off('data', this.#take).off('end', this.#end).off('close', this.#close).off('error', this.#fail)
    if (this.#started && !this.#source.destroyed) this.#source.pause()
    done(error)
  }

  #start(): void {
    this.#started = true
    const source = this.#source
    if (source.readableEnded) return void this.push(null)
    if (source.destroyed) return void this.destroy(brokenOff(source.errored))
    source.on('data', this.#take).on('end', this.#end).on('close', this.#close).on('error', this.#fail)
  }

  readonly #take = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#source.pause()
  }
  readonly #end = (): void => void this.push(null)
  readonly #fail = (error: Error): void => void this.destroy(brokenOff(error))
  readonly #close = (): void => {
    if (!this.#source.readableEnded) this.destroy(brokenOff(null))
  }
}

function brokenOff(cause: Error | null): BrokenBody {
  return new BrokenBody('the body of the request broke off', { cause })
}
