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
/** No terminal is played wider: a cursor that goes further would make gigabytes of blanks out of a few bytes. */
const columnsMax = 1000
const blank = 0x20

/**
 * Follows the cursor within one line, so that what was typed and corrected reads as it looked in the end. A line lies in
 * memory of its own, because whoever is recorded may have thousands of characters moved with each few bytes.
 */
export class PlainLines {
  readonly #sequences = new TerminalSequences()
  /** Code points; those behind `#length` mean nothing. */
  readonly #line = new Uint32Array(lineCharsMax + columnsMax + 1)
  readonly #utf16 = Buffer.alloc(4 * this.#line.length)
  #length = 0
  #column = 0;

  *take(text: string): Generator<string> {
    for (const token of this.#sequences.read(text)) {
      if (token.kind === 'text') yield* this.#write(token.text)
      else if (this.#apply(token)) yield this.#leave()
      if (this.#length > lineCharsMax) yield this.#leave()
    }
  }

  /** Something that the terminal did not show, on a line of its own. */
  *aside(text: string): Generator<string> {
    yield* this.rest()
    yield `${text}\n`
  }

  *rest(): Generator<string> {
    if (this.#length > 0) yield this.#leave()
  }

  *#write(text: string): Generator<string> {
    for (let at = 0; at < text.length;) {
      const character = text.codePointAt(at)!
      this.#put(character)
      at += character > 0xffff ? 2 : 1
      if (this.#length > lineCharsMax) yield this.#leave()
    }
  }

  /** @returns whether the line is left. */
  #apply(token: Exclude<TerminalToken, { kind: 'text' }>): boolean {
    if (token.kind === 'control') return this.#control(token.text)
    if (token.kind !== 'csi') return false
    return this.#csi(Math.min(lineCharsMax, Number.parseInt(token.parameters, 10) || 0), token.final)
  }

  #put(character: number): void {
    if (this.#length < this.#column) this.#line.fill(blank, this.#length, this.#column)
    this.#line[this.#column++] = character
    this.#length = Math.max(this.#length, this.#column)
  }

  #control(character: string): boolean {
    if (character === '\n' || character === '\v' || character === '\f') return true
    if (character === '\r') this.#column = 0
    if (character === '\b') this.#column = Math.max(0, this.#column - 1)
    if (character === '\t') this.#put(0x09)
    return false
  }

  #csi(number: number, final: string): boolean {
    const count = Math.max(1, number)
    switch (final) {
      case 'C':
        this.#column = Math.max(this.#column, Math.min(columnsMax, this.#column + count))
        return false
      case 'D':
        this.#column = Math.max(0, this.#column - count)
        return false
      case 'G':
        this.#column = Math.min(columnsMax, count) - 1
        return false
      case 'K':
        this.#erase(number)
        return false
      case 'P':
        this.#remove(count)
        return false
      case '@':
        this.#insert(Math.min(columnsMax, count))
        return false
      // The cursor goes to another line.
      case 'A':
      case 'B':
      case 'E':
      case 'F':
      case 'H':
      case 'f':
      case 'd':
        return this.#length > 0
      default:
        return false
    }
  }

  /** 0: to the end, 1: from the beginning, 2: all. */
  #erase(what: number): void {
    if (what === 0) this.#length = Math.min(this.#length, this.#column)
    else this.#line.fill(blank, 0, what === 1 ? Math.min(this.#length, this.#column + 1) : this.#length)
  }

  #remove(count: number): void {
    if (this.#column >= this.#length) return
    this.#line.copyWithin(this.#column, this.#column + count, this.#length)
    this.#length = Math.max(this.#column, this.#length - count)
  }

  #insert(count: number): void {
    if (this.#column >= this.#length) return
    this.#line.copyWithin(this.#column + count, this.#column, this.#length)
    this.#line.fill(blank, this.#column, this.#column + count)
    this.#length += count
  }

  #leave(): string {
    const text = this.#utf16.toString('utf16le', 0, this.#encode())
    this.#length = 0
    this.#column = 0
    return `${text.trimEnd()}\n`
  }

  /** Many times faster than String.fromCodePoint. @returns how many bytes. */
  #encode(): number {
    let bytes = 0
    for (let at = 0; at < this.#length; at++) {
      const character = this.#line[at]!
      if (character > 0xffff) {
        bytes = this.#utf16.writeUInt16LE(0xd800 + ((character - 0x10000) >> 10), bytes)
        bytes = this.#utf16.writeUInt16LE(0xdc00 + (character & 0x3ff), bytes)
      } else {
        this.#utf16[bytes++] = character & 0xff
        this.#utf16[bytes++] = character >> 8
      }
    }
    return bytes
  }
}
