/** A piece of SQL text, `text.slice(from, to)`. White space and comments are no tokens. */
export interface Token {
  readonly kind: 'word' | 'quoted-name' | 'string' | 'dollar-string' | 'other'
  readonly from: number
  readonly to: number
  /** Of strings: where the content begins and ends. Of an unfinished one, the end of the text. */
  readonly contentFrom: number
  readonly contentTo: number
}

const codeOf = (character: string) => character.charCodeAt(0)
const [quote, doubleQuote, backslash, dollar] = ["'", '"', '\\', '$'].map(codeOf) as [number, number, number, number]
const [dash, slash, star, ampersand] = ['-', '/', '*', '&'].map(codeOf) as [number, number, number, number]
const [newline, carriageReturn] = ['\n', '\r'].map(codeOf) as [number, number]
const [lowerE, upperE, lowerU, upperU] = ['e', 'E', 'u', 'U'].map(codeOf) as [number, number, number, number]

/** What a character may be, as bits. Beyond ASCII everything is a part of words, and some of it is a space before them. */
const is = { space: 1, wordStart: 2, wordPart: 4, digit: 8, prefix: 16, numberPart: 32 } as const
const asciiClasses = Uint8Array.from({ length: 128 }, (_, code) => classOf(String.fromCharCode(code)))
const farSpaces: ReadonlySet<number> = new Set(
  Array.from({ length: 0x1_0000 }, (_, code) => code).filter(
    (code) => code >= 128 && /\s/.test(String.fromCharCode(code)),
  ),
)
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y

function classOf(character: string): number {
  return (
    (/\s/.test(character) ? is.space : 0) |
    (/[A-Za-z_]/.test(character) ? is.wordStart : 0) |
    (/[A-Za-z0-9_$]/.test(character) ? is.wordPart : 0) |
    (/[0-9]/.test(character) ? is.digit : 0) |
    (/[0-9A-Za-z_.]/.test(character) ? is.numberPart : 0) |
    // What may stand before a string: escapes, Unicode escapes, bits, hexadecimal, national.
    (/[EeBbXxNnUu]/.test(character) ? is.prefix : 0)
  )
}

/**
 * Cuts SQL into tokens the way the server's lexer does, as far as strings, names and comments go. Never throws;
 * what is not closed goes on to the end of the text. It is its own token, the one that `next` found, because texts of
 * a megabyte are walked while everybody waits.
 * @see PostgreSQL manual, "Lexical Structure"
 */
export class SqlTokens implements Token {
  kind: Token['kind'] = 'other'
  from = 0
  to = 0
  contentFrom = 0
  contentTo = 0
  readonly #text: string
  readonly #backslashes: boolean

  /** @param backslashes whether backslashes escape in plain strings, too (`standard_conforming_strings = off`). */
  constructor(text: string, backslashes = false) {
    this.#text = text
    this.#backslashes = backslashes
  }

  /** @returns false when there is no further token. */
  next(): boolean {
    const at = this.#behindBlank(this.to)
    if (at >= this.#text.length) return false
    this.#read(at)
    return true
  }

  #behindBlank(from: number): number {
    const text = this.#text
    let at = from
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (isSpace(code)) at += 1
      else if (code === dash && text.charCodeAt(at + 1) === dash) at = this.#lineEnd(at)
      else if (code === slash && text.charCodeAt(at + 1) === star) at = this.#blockEnd(at)
      else break
    }
    return at
  }

  #lineEnd(from: number): number {
    const text = this.#text
    let at = from
    while (at < text.length && text.charCodeAt(at) !== newline && text.charCodeAt(at) !== carriageReturn) at += 1
    return at
  }

  /** Block comments nest. */
  #blockEnd(from: number): number {
    const text = this.#text
    let depth = 0
    for (let at = from; at + 1 < text.length; at += 1) {
      const [first, second] = [text.charCodeAt(at), text.charCodeAt(at + 1)]
      if (first === slash && second === star) depth += 1
      else if (first === star && second === slash) depth -= 1
      else continue
      at += 1
      if (depth === 0) return at + 1
    }
    return text.length
  }

  #read(at: number): void {
    const text = this.#text
    const first = text.charCodeAt(at)
    const kinds = classes(first)
    if (first === quote) return this.#quoted('string', quote, at, at + 1, this.#backslashes)
    if (first === doubleQuote) return this.#quoted('quoted-name', doubleQuote, at, at + 1, false)
    const prefixChars = (kinds & is.prefix) === 0 ? 0 : prefixBefore(text, at)
    if (prefixChars > 0) {
      const escapes = first === lowerE || first === upperE || this.#backslashes
      return this.#quoted('string', quote, at, at + prefixChars + 1, escapes)
    }
    if (first === dollar) return this.#dollar(at)
    if ((kinds & is.wordStart) !== 0) return this.#plain('word', at, this.#endOf(at + 1, is.wordPart))
    if ((kinds & is.digit) !== 0) return this.#plain('other', at, this.#endOf(at + 1, is.numberPart))
    this.#plain('other', at, at + 1)
  }

  #quoted(kind: 'string' | 'quoted-name', mark: number, from: number, contentFrom: number, escapes: boolean): void {
    const text = this.#text
    let at = contentFrom
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (escapes && code === backslash) at += 2
      else if (code !== mark) at += 1
      else if (text.charCodeAt(at + 1) === mark) at += 2
      else return this.#set(kind, from, at + 1, contentFrom, at)
    }
    this.#set(kind, from, text.length, contentFrom, text.length)
  }

  #dollar(from: number): void {
    const text = this.#text
    dollarTag.lastIndex = from
    const tag = dollarTag.exec(text)?.[0]
    if (tag === undefined) return this.#plain('other', from, this.#endOf(from + 1, is.digit))
    const contentFrom = from + tag.length
    const end = text.indexOf(tag, contentFrom)
    if (end < 0) this.#set('dollar-string', from, text.length, contentFrom, text.length)
    else this.#set('dollar-string', from, end + tag.length, contentFrom, end)
  }

  #endOf(from: number, kind: number): number {
    const text = this.#text
    let at = from
    while (at < text.length && (classes(text.charCodeAt(at)) & kind) !== 0) at += 1
    return at
  }

  #plain(kind: 'word' | 'other', from: number, to: number): void {
    this.#set(kind, from, to, from, to)
  }

  #set(kind: Token['kind'], from: number, to: number, contentFrom: number, contentTo: number): void {
    this.kind = kind
    this.from = from
    this.to = to
    this.contentFrom = contentFrom
    this.contentTo = contentTo
  }
}

function classes(code: number): number {
  return code < 128 ? asciiClasses[code]! : is.wordStart | is.wordPart
}

function isSpace(code: number): boolean {
  return code < 128 ? (asciiClasses[code]! & is.space) !== 0 : farSpaces.has(code)
}

function prefixBefore(text: string, at: number): number {
  const [first, second] = [text.charCodeAt(at), text.charCodeAt(at + 1)]
  if (first !== lowerU && first !== upperU) return second === quote ? 1 : 0
  return second === ampersand && text.charCodeAt(at + 2) === quote ? 2 : 0
}
