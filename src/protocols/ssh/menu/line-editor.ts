import { StringDecoder } from 'node:string_decoder'

export type LineEvent =
  | { readonly kind: 'line'; readonly text: string }
  /** Ctrl-C. */
  | { readonly kind: 'interrupt' }
  /** Ctrl-D on an empty line. */
  | { readonly kind: 'end' }

const lineLengthMax = 1024
const key = {
  interrupt: '\x03',
  end: '\x04',
  backspace: '\b',
  killWord: '\x17',
  kill: '\x15',
  escape: '\x1b',
  delete: '\x7f',
}

/** Plain line editing: what a terminal in canonical mode would do, and no more. Keys in, echo and lines out. */
export class LineEditor {
  readonly #decoder = new StringDecoder('utf8')
  #line: string[] = []
  #escape: 'no' | 'begun' | 'sequence' = 'no'
  #afterReturn = false

  /** The line so far. */
  get text(): string {
    return this.#line.join('')
  }

  clear(): void {
    this.#line = []
  }

  /** One byte. @returns what to show for it, and what it means. */
  feed(byte: number): { readonly echo: string; readonly event?: LineEvent } {
    let echo = ''
    for (const char of this.#decoder.write(Buffer.of(byte))) {
      const result = this.#take(char)
      if (result.event !== undefined) return result
      echo += result.echo
    }
    return { echo }
  }

  #take(char: string): { readonly echo: string; readonly event?: LineEvent } {
    if (this.#escape !== 'no' || char === key.escape) return this.#takeEscape(char)
    const isSecondHalf = this.#afterReturn && char === '\n'
    this.#afterReturn = char === '\r'
    if (isSecondHalf) return { echo: '' }
    switch (char) {
      case '\r':
      case '\n':
        return { echo: '\r\n', event: { kind: 'line', text: this.#taken() } }
      case key.interrupt:
        this.clear()
        return { echo: '^C\r\n', event: { kind: 'interrupt' } }
      case key.end:
        return this.#line.length > 0 ? { echo: '' } : { echo: '\r\n', event: { kind: 'end' } }
      case key.backspace:
      case key.delete:
        return { echo: this.#erase(1) }
      case key.kill:
        return { echo: this.#erase(this.#line.length) }
      case key.killWord:
        return { echo: this.#erase(Array.from(/\S*\s*$/.exec(this.text)?.[0] ?? '').length) }
      default:
        return { echo: this.#add(char) }
    }
  }

  /** Arrows and the like do nothing. */
  #takeEscape(char: string): { readonly echo: string } {
    if (char === key.escape) this.#escape = 'begun'
    else if (this.#escape === 'begun') this.#escape = char === '[' || char === 'O' ? 'sequence' : 'no'
    else if (char >= '@' && char <= '~') this.#escape = 'no'
    return { echo: '' }
  }

  #add(char: string): string {
    if (/\p{C}/u.test(char) || this.#line.length >= lineLengthMax) return ''
    this.#line.push(char)
    return char
  }

  #erase(count: number): string {
    const erased = this.#line.splice(Math.max(0, this.#line.length - count)).length
    return '\b \b'.repeat(erased)
  }

  #taken(): string {
    const text = this.text
    this.clear()
    return text
  }
}
