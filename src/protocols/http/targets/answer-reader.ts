import { headBytesMax, informationalMax } from './hop.ts'
import { Gatherer } from './gatherer.ts'
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

/** In order: `informational`*, `head`, `body`*, `end`. */
export interface AnswerEvents {
  /** 1xx but 100 and 101. */
  informational(status: number, headers: RawHeaders): void
  head(status: number, headers: RawHeaders): void
  /** @param chunk a part of what was given to `take`: gone after the call. @returns false: no more until `take` is called again. */
  body(chunk: Buffer): boolean
  /** @param reusable the connection may carry another request. */
  end(trailers: RawHeaders, reusable: boolean): void
}

type State = 'nothing' | 'head' | 'length' | 'close' | 'size' | 'chunk' | 'chunk-end' | 'trailers'

const headEnd = Buffer.from('\r\n\r\n')
const lineEnd = Buffer.from('\r\n')
const lineBytesMax = 4096
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Visible characters, spaces, tabs and the upper half of Latin-1: no CR and no LF. RFC 9110 section 5.5 */
// oxlint-disable-next-line no-control-regex
const misfit = /[^\t\x20-\x7e\x80-\xff]/

/**
 * Reads a target's answers over HTTP/1.1 (RFC 9112), byte by byte as strictly as it is written there, and more so where programs
 * read one thing in two ways: lines end in CR LF, nothing is folded, there is one length at most and never beside a
 * Transfer-Encoding, which may be `chunked` only, and not in HTTP/1.0 (section 6.1). It holds no socket.
 */
export class AnswerReader {
  readonly #events: AnswerEvents
  readonly #gatherer = new Gatherer()
  #state: State = 'nothing'
  #headOnly = false
  /** Of a body or chunk. */
  #left = 0
  #keeps = false
  #informational = 0
  #trailers: string[] = []
  #trailerBytes = 0
  #paused = false
  /** How long the target keeps the connection, by its own word (`Keep-Alive`, RFC 2068 section 19.7.1.1); null without one. */
  keepAliveS: number | null = null

  constructor(events: AnswerEvents) {
    this.#events = events
  }

  /** An answer to this method comes next. */
  begin(method: string): void {
    this.#headOnly = method === 'HEAD'
    this.#informational = 0
    this.#paused = false
    this.#gatherer.clear()
    this.#state = 'head'
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#state = 'nothing'
  }

  /**
   * @returns how many bytes were read. The rest comes after the answer, or is to be given once more when there is room for it
   * again; then there may be nothing left to give.
   * @throws BadAnswer
   */
  take(bytes: Buffer): number {
    let at = 0
    this.#paused = false
    while (at < bytes.length && this.#state !== 'nothing' && !this.#paused) at = this.#step(bytes, at)
    return at
  }

  /** The target will send nothing more. @returns whether that ended the answer. */
  close(): boolean {
    if (this.#state !== 'close') return false
    this.#end([], false)
    return true
  }

  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes, at)
      case 'length':
        return this.#readLength(bytes, at)
      case 'close':
        this.#pass(bytes.subarray(at))
        return bytes.length
      case 'size':
        return this.#readSize(bytes, at)
      case 'chunk':
        return this.#readChunk(bytes, at)
      case 'chunk-end':
        return this.#readChunkEnd(bytes, at)
      default:
        return this.#readTrailer(bytes, at)
    }
  }

  // ---- the head

  #readHead(bytes: Buffer, at: number): number {
    const text = this.#gatherer.until(headEnd, bytes, at, headBytesMax)
    if (text === null) throw new BadAnswer(`a head of more than ${headBytesMax} bytes`, 'ANSWER_HEAD_TOO_LARGE')
    if (text === undefined) return bytes.length
    const next = this.#gatherer.next
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
    this.#headCame(Number(status[2]), status[1] === '1', headers, next === bytes.length)
    return next
  }

  #headCame(status: number, is11: boolean, headers: RawHeaders, isLast: boolean): void {
    if (status < 200) return this.#inform(status, headers)
    const framing = readFraming(headers)
    if (!is11 && framing.chunked) throw new BadAnswer('chunks in an answer of HTTP/1.0')
    this.#keeps = is11 ? !framing.closes : framing.keeps
    this.keepAliveS = framing.keepAliveS
    if (this.#headOnly || status === 204 || status === 304 || framing.length === 0) {
      this.#events.head(status, headers)
      return this.#end([], isLast)
    }
    this.#left = framing.length ?? 0
    this.#state = framing.chunked ? 'size' : framing.length === null ? 'close' : 'length'
    this.#events.head(status, headers)
  }

  #inform(status: number, headers: RawHeaders): void {
    if (status === 101) throw new BadAnswer('a switch of protocols that was not asked for')
    if (++this.#informational > informationalMax) {
      throw new BadAnswer(`more than ${informationalMax} informational answers`)
    }
    if (status !== 100) this.#events.informational(status, headers)
  }

  // ---- the body

  #pass(chunk: Buffer): void {
    if (!this.#events.body(chunk)) this.#paused = true
  }

  #readLength(bytes: Buffer, at: number): number {
    const to = Math.min(bytes.length, at + this.#left)
    this.#left -= to - at
    this.#pass(at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to))
    if (this.#left === 0) this.#end([], to === bytes.length)
    return to
  }

  #readSize(bytes: Buffer, at: number): number {
    const line = this.#gatherer.until(lineEnd, bytes, at, lineBytesMax)
    if (line === undefined) return bytes.length
    // Extensions are for nobody: RFC 9112 section 7.1.1
    const size = line === null ? null : /^([0-9A-Fa-f]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line)
    if (size === null) throw new BadAnswer('no size of a chunk')
    this.#left = Number.parseInt(size[1]!, 16)
    if (!Number.isSafeInteger(this.#left)) throw new BadAnswer('too large a chunk')
    if (this.#left > 0) this.#state = 'chunk'
    else this.#beginTrailers()
    return this.#gatherer.next
  }

  #readChunk(bytes: Buffer, at: number): number {
    const to = Math.min(bytes.length, at + this.#left)
    this.#left -= to - at
    if (this.#left === 0) this.#state = 'chunk-end'
    this.#pass(bytes.subarray(at, to))
    return to
  }

  #readChunkEnd(bytes: Buffer, at: number): number {
    const rest = this.#gatherer.until(lineEnd, bytes, at, lineEnd.length)
    if (rest === undefined) return bytes.length
    if (rest !== '') throw new BadAnswer('a chunk that is longer than it says')
    this.#state = 'size'
    return this.#gatherer.next
  }

  #beginTrailers(): void {
    this.#trailers = []
    this.#trailerBytes = 0
    this.#state = 'trailers'
  }

  #readTrailer(bytes: Buffer, at: number): number {
    const line = this.#gatherer.until(lineEnd, bytes, at, headBytesMax)
    if (line === undefined) return bytes.length
    this.#trailerBytes += line === null ? Infinity : line.length + lineEnd.length
    if (line === null || this.#trailerBytes > headBytesMax) {
      throw new BadAnswer(`trailers of more than ${headBytesMax} bytes`, 'ANSWER_HEAD_TOO_LARGE')
    }
    const { next } = this.#gatherer
    if (line === '') this.#end(this.#trailers, next === bytes.length)
    else readField(line, 0, line.length, this.#trailers)
    return next
  }

  #end(trailers: RawHeaders, isLast: boolean): void {
    // It may have been stopped by what it told.
    if (this.#state === 'nothing') return
    this.#state = 'nothing'
    this.#events.end(trailers, this.#keeps && isLast)
  }
}

function readField(text: string, from: number, to: number, into: string[]): void {
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

interface Framing {
  length: number | null
  chunked: boolean
  closes: boolean
  keeps: boolean
  keepAliveS: number | null
}

/** RFC 9112 section 6.3 */
function readFraming(headers: RawHeaders): Framing {
  const framing: Framing = { length: null, chunked: false, closes: false, keeps: false, keepAliveS: null }
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    // Most names have another length than these.
    if (name.length === 10) readHop(framing, name.toLowerCase(), headers[index + 1]!)
    else if (name.length === 14 && name.toLowerCase() === 'content-length') readLength(framing, headers[index + 1]!)
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') readCoding(framing, headers[index + 1]!)
  }
  if (framing.chunked && framing.length !== null) throw new BadAnswer('both a length and chunks')
  return framing
}

function readHop(framing: Framing, name: string, value: string): void {
  if (name === 'keep-alive') {
    const seconds = /\btimeout\s*=\s*(\d{1,6})/i.exec(value)
    if (seconds !== null) framing.keepAliveS = Number(seconds[1])
  }
  if (name !== 'connection') return
  // What nearly all say.
  if (value === 'keep-alive') return void (framing.keeps = true)
  for (const option of value.toLowerCase().split(',')) {
    if (option.trim() === 'close') framing.closes = true
    if (option.trim() === 'keep-alive') framing.keeps = true
  }
}

function readLength(framing: Framing, value: string): void {
  const bytes = Number(value)
  if (framing.length !== null || !/^\d+$/.test(value) || !Number.isSafeInteger(bytes)) {
    throw new BadAnswer('no single length')
  }
  framing.length = bytes
}

function readCoding(framing: Framing, value: string): void {
  // Nothing else was offered to the target.
  if (framing.chunked || value.toLowerCase() !== 'chunked')
    throw new BadAnswer('a Transfer-Encoding other than chunked')
  framing.chunked = true
}
