import type { RawHeaders } from './target.ts'

/** What a target sent is no answer of HTTP/1.1, or a larger one than is taken. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer'
  readonly code: 'ANSWER_MALFORMED' | 'ANSWER_HEAD_TOO_LARGE'

  constructor(message: string, code: BadAnswer['code'] = 'ANSWER_MALFORMED') {
    super(message)
    this.code = code
  }
}

/** The head of an answer as it was read. The same bytes mean the same, whenever they come. */
export interface AnswerHead {
  readonly status: number
  readonly headers: RawHeaders
  readonly framing: Framing
}

/** What a head says about the bytes behind it, and about the connection: RFC 9112 sections 6.3 and 9.3 */
export interface Framing {
  /** Of the body; null when the head does not say. */
  readonly lengthBytes: number | null
  readonly isChunked: boolean
  /** The connection may carry more after this answer. */
  readonly keeps: boolean
  /** How long the target keeps it, by its own word (`Keep-Alive`, RFC 2068 section 19.7.1.1); null without one. */
  readonly keepAliveS: number | null
}

const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible characters, spaces, tabs and the upper half of Latin-1: no CR and no LF. RFC 9110 section 5.5 */
// oxlint-disable-next-line no-control-regex
const misfit = /[^\t\x20-\x7e\x80-\xff]/

/** @param text without the empty line at its end. @throws BadAnswer */
export function readHead(text: string): {
  readonly status: number
  readonly headers: RawHeaders
  readonly is11: boolean
} {
  const lineAt = text.indexOf('\r\n')
  const line = lineAt < 0 ? text : text.slice(0, lineAt)
  const status = statusLine.exec(line)
  if (status === null || misfit.test(line)) throw new BadAnswer('no status line')
  const headers: string[] = []
  for (let from = lineAt + 2; lineAt >= 0 && from <= text.length;) {
    const end = text.indexOf('\r\n', from)
    const to = end < 0 ? text.length : end
    readField(text, from, to, headers)
    from = to + 2
  }
  return { status: Number(status[2]), headers, is11: status[1] === '1' }
}

/** Reads `Name: value` between two places of a text. @throws BadAnswer */
export function readField(text: string, from: number, to: number, into: string[]): void {
  const colon = text.indexOf(':', from)
  const name = colon < 0 || colon > to ? '' : text.slice(from, colon)
  if (!token.test(name)) throw new BadAnswer('a line that is no header')
  const value = trimmed(text, colon + 1, to)
  if (misfit.test(value)) throw new BadAnswer('a header with a control character')
  into.push(name, value)
}

/** Without spaces and tabs at its ends. */
function trimmed(text: string, from: number, to: number): string {
  let [start, end] = [from, to]
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

interface Said {
  length: number | null
  chunked: boolean
  closes: boolean
  keeps: boolean
  keepAliveS: number | null
}

/** RFC 9112 section 6.3. @throws BadAnswer */
export function readFraming(headers: RawHeaders, is11: boolean): Framing {
  const said: Said = { length: null, chunked: false, closes: false, keeps: false, keepAliveS: null }
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    // Most names have another length than these.
    if (name.length === 10) readHop(said, name.toLowerCase(), headers[index + 1]!)
    else if (name.length === 14 && name.toLowerCase() === 'content-length') readLength(said, headers[index + 1]!)
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') readCoding(said, headers[index + 1]!)
  }
  const { length, chunked, closes, keeps, keepAliveS } = said
  if (chunked && !is11) throw new BadAnswer('chunks in an answer of HTTP/1.0')
  if (chunked && length !== null) throw new BadAnswer('both a length and chunks')
  return { lengthBytes: length, isChunked: chunked, keeps: is11 ? !closes : keeps, keepAliveS }
}

function readHop(said: Said, name: string, value: string): void {
  if (name === 'keep-alive') {
    const seconds = /\btimeout\s*=\s*(\d{1,6})/i.exec(value)
    if (seconds !== null) said.keepAliveS = Number(seconds[1])
  }
  if (name !== 'connection') return
  // What nearly all say.
  if (value === 'keep-alive') return void (said.keeps = true)
  for (const option of value.toLowerCase().split(',')) {
    if (option.trim() === 'close') said.closes = true
    if (option.trim() === 'keep-alive') said.keeps = true
  }
}

function readLength(said: Said, value: string): void {
  const bytes = Number(value)
  if (said.length !== null || !/^\d+$/.test(value) || !Number.isSafeInteger(bytes)) {
    throw new BadAnswer('no single length')
  }
  said.length = bytes
}

function readCoding(said: Said, value: string): void {
  // Nothing else was offered to the target.
  if (said.chunked || value.toLowerCase() !== 'chunked') throw new BadAnswer('a Transfer-Encoding other than chunked')
  said.chunked = true
}
