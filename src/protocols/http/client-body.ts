import { Readable } from 'node:stream'
import type { Recorder } from '../../recording/recorder.ts'
import type { HttpRequest } from './front.ts'

export interface BodyWatch {
  /** Sees every chunk before the target does. */
  readonly onChunk: (chunk: Buffer) => void
  readonly recorder: Recorder
}

/**
 * A request's body on its way to the target. Apart from the request itself, so that ending the way to the target leaves
 * the connection to the client in place: it still has to be told why.
 */
export class ClientBody extends Readable {
  readonly #request: HttpRequest
  #stopped = false
  #waitsForRecorder = false
  bytes = 0

  constructor(request: HttpRequest, { onChunk, recorder }: BodyWatch) {
    super({ autoDestroy: true, emitClose: true })
    this.#request = request
    // Who reads it hears of it, too; when nobody does any more, it is no reason for the process to end.
    this.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => {
      if (this.destroyed || this.#stopped) return
      this.bytes += chunk.length
      onChunk(chunk)
      if (recorder.full) void this.#waitFor(recorder)
      if (!this.push(chunk)) request.pause()
    })
    request.once('end', () => this.push(null))
    // Over HTTP/2 `end` follows, and `complete` is true, although something is missing.
    request.once('aborted', () => this.destroy(brokenOff()))
    request.once('error', (error: Error) => this.destroy(error))
    request.once('close', () => {
      if (!request.complete) this.destroy(brokenOff())
    })
    request.pause()
  }

  /** What still comes of it is thrown away. */
  stop(): void {
    this.#stopped = true
  }

  override _read(): void {
    if (!this.#waitsForRecorder && !this.#request.destroyed) this.#request.resume()
  }

  /** Whoever reads meanwhile waits, too: what cannot be recorded is not forwarded. */
  async #waitFor(recorder: Recorder): Promise<void> {
    this.#request.pause()
    if (this.#waitsForRecorder) return
    this.#waitsForRecorder = true
    // When the recording broke, the session is cut; nothing is left to do here.
    await recorder.drained().catch(() => undefined)
    this.#waitsForRecorder = false
    if (!this.destroyed) this.#request.resume()
  }
}

function brokenOff(): Error {
  return new Error('the client went away before its request was whole')
}
