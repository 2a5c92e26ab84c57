import { terminalEvents } from './asciicast.ts'
import type { Recording } from './reading.ts'
import { TerminalSequences, type TerminalToken } from './terminal-sequences.ts'

/**
 * What one channel's terminal showed, as plain text: lines as they stood when they were left, without control
 * characters. Full-screen programs come out as the pieces they wrote.
 * @throws as `terminalCast`.
 */
export async function* terminalText(recording: Recording, ch: number): AsyncGenerator<string> {
  const lines = new PlainLines()
  for await (const event of terminalEvents(recording, ch)) {
    if (event.kind === 'output') yield* lines.take(event.text)
    if (event.kind === 'marker') yield* lines.aside(`[Curfew: ${event.text}]`)
  }
  yield* lines.rest()
}

const lineCharsMax = 10_000

/** Follows the cursor within one line, so that what was typed and corrected reads as it looked in the end. */
export class PlainLines {
  readonly #sequences = new TerminalSequences()
  #line: string[] = []
  #column = 0;

  *take(text: string): Generator<string> {
    for (const token of this.#sequences.read(text)) {
      if (this.#apply(token)) yield this.#leave()
      if (this.#line.length > lineCharsMax) yield this.#leave()
    }
  }

  /** Something that the terminal did not show, on a line of its own. */
  *aside(text: string): Generator<string> {
    yield* this.rest()
    yield `${text}\n`
  }

  *rest(): Generator<string> {
    if (this.#line.length > 0) yield this.#leave()
  }

  /** @returns whether the line is left. */
  #apply(token: TerminalToken): boolean {
    switch (token.kind) {
      case 'text':
        for (const character of token.text) this.#put(character)
        return false
      case 'control':
        return this.#control(token.text)
      case 'csi':
        return this.#csi(Math.min(lineCharsMax, Number.parseInt(token.parameters, 10) || 0), token.final)
      default:
        return false
    }
  }

  #put(character: string): void {
    while (this.#line.length < this.#column) this.#line.push(' ')
    this.#line[this.#column++] = character
  }

  #control(character: string): boolean {
    if (character === '\n' || character === '\v' || character === '\f') return true
    if (character === '\r') this.#column = 0
    if (character === '\b') this.#column = Math.max(0, this.#column - 1)
    if (character === '\t') this.#put('\t')
    return false
  }

  #csi(number: number, final: string): boolean {
    const count = Math.max(1, number)
    switch (final) {
      case 'C':
        this.#column = Math.min(lineCharsMax, this.#column + count)
        return false
      case 'D':
        this.#column = Math.max(0, this.#column - count)
        return false
      case 'G':
        this.#column = count - 1
        return false
      case 'K':
        this.#erase(number)
        return false
      case 'P':
        this.#line.splice(this.#column, count)
        return false
      case '@':
        this.#line.splice(this.#column, 0, ...Array.from({ length: count }, () => ' '))
        return false
      // The cursor goes to another line.
      case 'A':
      case 'B':
      case 'E':
      case 'F':
      case 'H':
      case 'f':
      case 'd':
        return this.#line.length > 0
      default:
        return false
    }
  }

  /** 0: to the end, 1: from the beginning, 2: all. */
  #erase(what: number): void {
    if (what === 0) this.#line.length = Math.min(this.#line.length, this.#column)
    else this.#line.fill(' ', 0, what === 1 ? this.#column + 1 : undefined)
  }

  #leave(): string {
    const line = this.#line.join('').trimEnd()
    this.#line = []
    this.#column = 0
    return `${line}\n`
  }
}
