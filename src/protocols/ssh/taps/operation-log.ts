import type { SshFileOperation } from '../../../recording/ssh-events.ts'
import type { TapOptions } from './options.ts'
import type { FileEvent } from './protocol-tap.ts'

/** `ls -l` and file managers look at every name; so many single looks are recorded of a channel, then counted. */
const looksMax = 2000

/** Writes the file operations of one channel. */
export class OperationLog {
  readonly #options: TapOptions
  readonly #counted = new Map<string, { readonly event: LookCount; count: number; readonly firstMs: number }>()
  #looks = 0

  constructor(options: TapOptions) {
    this.#options = options
  }

  /** For `write`: when it began. */
  nowMs(): number {
    return this.#options.clock.monotonicMs()
  }

  write(event: Omit<FileEvent, 'ms'>, begunMs: number): void {
    this.#write(event, begunMs)
  }

  /**
   * An operation that neither changes anything nor carries content.
   * @param kind the result in one of few words, by which they are counted when there are too many.
   */
  look(event: Omit<FileEvent, 'ms'>, begunMs: number, kind: string): void {
    this.#looks += 1
    if (this.#looks <= looksMax) return this.#write(event, begunMs)
    const key = `${event.op} ${kind}`
    const counted = this.#counted.get(key)
    if (counted !== undefined) counted.count += 1
    else this.#counted.set(key, { event: { op: event.op, result: kind }, count: 1, firstMs: begunMs })
  }

  /** Writes what was only counted. */
  close(): void {
    for (const { event, count, firstMs } of this.#counted.values()) this.#write({ ...event, path: '', count }, firstMs)
    this.#counted.clear()
  }

  #write(event: Omit<FileEvent, 'ms'>, begunMs: number): void {
    const { ch, recorder } = this.#options
    recorder.event('f', { ch, ...event, ms: Math.round(this.nowMs() - begunMs) })
  }
}

interface LookCount {
  readonly op: SshFileOperation
  readonly result: string
}
