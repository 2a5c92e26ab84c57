/** A piece of SQL text, `text.slice(from, to)`. White space and comments are no tokens. */
export interface Token {
  readonly kind: 'word' | 'quoted-name' | 'string' | 'dollar-string' | 'other'
  readonly from: number
  readonly to: number
  /** Of strings: where the content begins and ends. Of an unfinished one, the end of the text. */
  readonly contentFrom: number
  readonly contentTo: number
}

const space = /\s/
const wordStart = /[A-Za-z_\u0080-\uffff]/
const wordPart = /[A-Za-z0-9_$\u0080-\uffff]/
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y
/** What may stand before a string: escapes, Unicode escapes, bits, hexadecimal, national. */
const stringPrefix = /(?:[EeBbXxNn]|[Uu]&)(?=')/y

/**
 * Cuts SQL into tokens the way the server's lexer does, as far as strings, names and comments go. Never throws;
 * what is not closed goes on to the end of the text.
 * @param backslashes whether backslashes escape in plain strings, too (`standard_conforming_strings = off`).
 * @see PostgreSQL manual, "Lexical Structure"
 */
export function* sqlTokens(text: string, backslashes = false): Generator<Token> {
  let at = 0
  while (at < text.length) {
    const skipped = skipBlank(text, at)
    if (skipped > at) {
      at = skipped
      continue
    }
    const token = readToken(text, at, backslashes)
    yield token
    at = token.to
  }
}

/** Behind white space or one comment; `at` itself when neither is there. */
function skipBlank(text: string, at: number): number {
  if (space.test(text[at]!)) return at + 1
  if (text.startsWith('--', at)) {
    const end = /[\n\r]/g
    end.lastIndex = at
    return end.exec(text)?.index ?? text.length
  }
  return text.startsWith('/*', at) ? skipBlockComment(text, at) : at
}

/** Block comments nest. */
function skipBlockComment(text: string, from: number): number {
  const marks = /\/\*|\*\//g
  marks.lastIndex = from
  let depth = 0
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1
    if (depth === 0) return marks.lastIndex
  }
  return text.length
}

function readToken(text: string, at: number, backslashes: boolean): Token {
  const first = text[at]!
  if (first === "'") return readQuoted(text, at, at + 1, 'string', backslashes)
  if (first === '"') return readQuoted(text, at, at + 1, 'quoted-name', false)
  stringPrefix.lastIndex = at
  const prefix = stringPrefix.exec(text)?.[0]
  if (prefix !== undefined) {
    const escapes = prefix === 'E' || prefix === 'e' || backslashes
    return readQuoted(text, at, at + prefix.length + 1, 'string', escapes)
  }
  if (first === '$') return readDollar(text, at)
  if (wordStart.test(first)) return plain('word', at, endOf(text, at + 1, wordPart))
  if (/[0-9]/.test(first)) return plain('other', at, endOf(text, at + 1, /[0-9A-Za-z_.]/))
  return plain('other', at, at + 1)
}

function endOf(text: string, from: number, part: RegExp): number {
  let at = from
  while (at < text.length && part.test(text[at]!)) at += 1
  return at
}

function readQuoted(
  text: string,
  from: number,
  contentFrom: number,
  kind: 'string' | 'quoted-name',
  backslashes: boolean,
): Token {
  const quote = kind === 'string' ? "'" : '"'
  let at = contentFrom
  while (at < text.length) {
    if (backslashes && text[at] === '\\') at += 2
    else if (text[at] !== quote) at += 1
    else if (text[at + 1] === quote) at += 2
    else return { kind, from, to: at + 1, contentFrom, contentTo: at }
  }
  return { kind, from, to: text.length, contentFrom, contentTo: text.length }
}

function readDollar(text: string, from: number): Token {
  dollarTag.lastIndex = from
  const tag = dollarTag.exec(text)?.[0]
  if (tag === undefined) return plain('other', from, endOf(text, from + 1, /[0-9]/))
  const contentFrom = from + tag.length
  const end = text.indexOf(tag, contentFrom)
  if (end < 0) return { kind: 'dollar-string', from, to: text.length, contentFrom, contentTo: text.length }
  return { kind: 'dollar-string', from, to: end + tag.length, contentFrom, contentTo: end }
}

function plain(kind: 'word' | 'other', from: number, to: number): Token {
  return { kind, from, to, contentFrom: from, contentTo: to }
}
