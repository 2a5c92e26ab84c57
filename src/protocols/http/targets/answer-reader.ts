import { BadAnswer, readField, readFraming, readHead, type AnswerHead } from './answer-head.ts'
import { Gatherer } from './gatherer.ts'
import { headBytesMax, informationalMax } from './hop.ts'
import { KnownHeads } from './known-heads.ts'
import type { RawHeaders } from './target.ts'

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

/**
 * Reads a target's answers over HTTP/1.1 (RFC 9112), byte by byte as strictly as it is written there, and more so where programs
 * read one thing in two ways: lines end in CR LF, nothing is folded, there is one length at most and never beside a
 * Transfer-Encoding, which may be `chunked` only, and not in HTTP/1.0 (section 6.1). It holds no socket.
 */
export class AnswerReader {
  readonly #events: AnswerEvents
  readonly #known: KnownHeads
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
  /** Of the last answer: see `Framing`. */
  keepAliveS: number | null = null

  /** @param known shared by all who read what one address sends. */
  constructor(events: AnswerEvents, known: KnownHeads = new KnownHeads()) {
    this.#events = events
    this.#known = known
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
    const isWhole = this.#gatherer.isEmpty
    const known = isWhole ? this.#known.find(bytes, at) : undefined
    if (known !== undefined) {
      const next = at + known.bytes.length
      this.#headCame(known.head, next === bytes.length)
      return next
    }
    const text = this.#gatherer.until(headEnd, bytes, at, headBytesMax)
    if (text === null) throw new BadAnswer(`a head of more than ${headBytesMax} bytes`, 'ANSWER_HEAD_TOO_LARGE')
    if (text === undefined) return bytes.length
    const { next } = this.#gatherer
    const { status, headers, is11 } = readHead(text)
    if (status < 200) this.#inform(status, headers)
    else {
      const head = { status, headers, framing: readFraming(headers, is11) }
      if (isWhole) this.#known.keep(bytes.subarray(at, next), head)
      this.#headCame(head, next === bytes.length)
    }
    return next
  }

  #headCame({ status, headers, framing }: AnswerHead, isLast: boolean): void {
    this.#keeps = framing.keeps
    this.keepAliveS = framing.keepAliveS
    if (this.#headOnly || status === 204 || status === 304 || framing.lengthBytes === 0) {
      this.#events.head(status, headers)
      return this.#end([], isLast)
    }
    this.#left = framing.lengthBytes ?? 0
    this.#state = framing.isChunked ? 'size' : framing.lengthBytes === null ? 'close' : 'length'
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
