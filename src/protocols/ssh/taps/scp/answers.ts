import { NotUnderstood } from '../protocol-tap.ts'
import { shownText } from '../text.ts'

/** What the receiving side says to one message: `ok`, or words. */
export interface Answer {
  readonly isOk: boolean
  readonly result: string
}

export const okAnswer: Answer = { isOk: true, result: 'ok' }

const lineBytesMax = 16_384
const newline = 0x0a

/** Collects one line, cut anywhere. */
export class Line {
  #parts: Buffer[] = []
  #bytes = 0

  get parts(): readonly Buffer[] {
    return this.#parts
  }

  /** @returns where the line ends in `bytes`, behind its newline; -1 when it does not. */
  add(bytes: Buffer, from: number): number {
    const found = bytes.indexOf(newline, from)
    const end = found < 0 ? bytes.length : found + 1
    this.#bytes += end - from
    if (this.#bytes > lineBytesMax) throw new NotUnderstood('A line of SCP is too long.')
    this.#parts.push(Buffer.from(bytes.subarray(from, end)))
    if (this.#parts.length > 64) this.#parts = [Buffer.concat(this.#parts)]
    return found < 0 ? -1 : end
  }

  /** Ends it. Without its newline. */
  take(): Buffer {
    const line = Buffer.concat(this.#parts)
    this.#parts = []
    this.#bytes = 0
    return line.subarray(0, line.length - 1)
  }
}

/** `\1` before words that go on, `\2` before the last ones. */
export function isErrorMark(byte: number | undefined): boolean {
  return byte === 1 || byte === 2
}

/** @param line from its mark on. */
export function errorWords(line: Buffer): string {
  const words = shownText(line.subarray(1)).trim()
  return words.replace(/^scp: /, '') || 'failure'
}

/** Reads what the receiving side says: a zero byte, or a line of error. */
export class Answers {
  readonly #answered: (answer: Answer) => void
  readonly #line = new Line()
  #isInLine = false

  constructor(answered: (answer: Answer) => void) {
    this.#answered = answered
  }

  held(): readonly Buffer[] {
    return this.#line.parts
  }

  feed(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) at = this.#isInLine || bytes[at] !== 0 ? this.#error(bytes, at) : this.#ok(at)
  }

  #ok(at: number): number {
    this.#answered(okAnswer)
    return at + 1
  }

  #error(bytes: Buffer, at: number): number {
    if (!this.#isInLine && !isErrorMark(bytes[at])) throw new NotUnderstood('This is no answer of SCP.')
    const end = this.#line.add(bytes, at)
    this.#isInLine = end < 0
    if (end < 0) return bytes.length
    const result = errorWords(this.#line.take())
    this.#answered({ isOk: false, result })
    return end
  }
}
