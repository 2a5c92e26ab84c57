import { constants, type ClientHttp2Stream } from 'node:http2'
import { BorrowedBody } from './borrowed-body.ts'
import { informationalMax, type Reached, type Taker, type Try } from './hop.ts'
import type { Http2Session } from './http2-session.ts'
import type { RawHeaders, TargetRequest } from './target.ts'

/** END_STREAM in a frame's flags (RFC 9113, section 6.2). */
const endStreamFlag = 0x1

/** One request on one stream. */
export class Http2Exchange implements Try {
  readonly #request: TargetRequest
  readonly #taker: Taker
  readonly #scheme: 'http' | 'https'
  readonly #gone: () => void
  #session: Http2Session | null = null
  #stream: ClientHttp2Stream | null = null
  #body: BorrowedBody | null = null
  #over = false
  #isCalledOff = false
  #headed = false
  #informational = 0
  /** What the answer said its body would be; null: nothing. */
  #announcedBytes: number | null = null
  #bytes = 0
  #trailers: RawHeaders | null = null

  constructor(request: TargetRequest, taker: Taker, scheme: 'http' | 'https', gone: () => void) {
    this.#request = request
    this.#taker = taker
    this.#scheme = scheme
    this.#gone = gone
  }

  get isOver(): boolean {
    return this.#over
  }

  /** @param session with room for one more. */
  start(session: Http2Session): void {
    if (this.#over || this.#isCalledOff) return
    session.take()
    this.#session = session
    const { body, trailers } = this.#request
    try {
      this.#stream = session.request(
        headersOf(this.#request, this.#scheme),
        body === null,
        trailers !== null && body !== null,
      )
    } catch (error) {
      return this.#end(() => this.#taker.failed(error as Error, 'target'))
    }
    this.#listen(this.#stream)
    if (body !== null) this.#send(this.#stream, new BorrowedBody(body))
  }

  resume(): void {
    this.#stream?.resume()
  }

  callOff(): void {
    this.#isCalledOff = true
  }

  abort(): void {
    this.#end(() => undefined)
  }

  fail(error: Error, reached: Reached): void {
    this.#end(() => this.#taker.failed(error, reached))
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('headers', (_fields, _flags, raw) => this.#inform(raw))
    stream.on('response', (_fields, flags, raw) => this.#head(stream, raw, (flags & endStreamFlag) !== 0))
    stream.on('trailers', (_fields, _flags, raw) => (this.#trailers = raw))
    stream.on('end', () => this.#ended(stream))
    stream.on('error', (error) => this.#broken(stream, error))
    stream.on('close', () => this.#broken(stream, closedBy(stream)))
  }

  #inform(raw: readonly string[]): void {
    const { status, headers } = split(raw)
    if (this.#over || status === 100) return
    if (++this.#informational > informationalMax) {
      return this.fail(new Error(`more than ${informationalMax} informational answers`), 'target')
    }
    this.#taker.informational(status, headers)
  }

  #head(stream: ClientHttp2Stream, raw: readonly string[], whole: boolean): void {
    if (this.#over) return
    const { status, headers } = split(raw)
    const length = headers.findLast((_value, at) => at % 2 === 1 && headers[at - 1] === 'content-length')
    const bodiless = this.#request.method === 'HEAD' || status === 204 || status === 304
    this.#announcedBytes = length === undefined || bodiless ? null : Number(length)
    this.#headed = true
    this.#session!.served += 1
    stream.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length
      if (!this.#over && !this.#taker.body(chunk)) stream.pause()
    })
    this.#taker.head(status, headers, whole)
  }

  #ended(stream: ClientHttp2Stream): void {
    if (this.#over) return
    // A stream that was reset, or lost its connection, ends here, too, as if its body had been whole.
    if (!this.#headed || !this.#isWhole(stream)) return this.#broken(stream, closedBy(stream))
    this.#end(() => this.#taker.end(this.#trailers ?? []))
  }

  #isWhole(stream: ClientHttp2Stream): boolean {
    if (this.#announcedBytes !== null) return this.#bytes === this.#announcedBytes
    return this.#trailers !== null || stream.rstCode === constants.NGHTTP2_NO_ERROR
  }

  #broken(stream: ClientHttp2Stream, error: Error): void {
    this.fail(error, this.#reached(stream))
  }

  #reached(stream: ClientHttp2Stream): Reached {
    if (this.#headed || this.#informational > 0) return 'target'
    const untouched = this.#body === null || !this.#body.touched
    if (untouched && stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) return 'refused'
    const { live, served } = this.#session!
    return !live && served > 0 ? 'unanswered' : 'target'
  }

  #send(stream: ClientHttp2Stream, body: BorrowedBody): void {
    this.#body = body
    body.on('error', (error) => this.fail(error, 'target'))
    stream.on('wantTrailers', () => stream.sendTrailers(fieldsOf(this.#request.trailers?.() ?? [])))
    stream.on('drain', () => body.resume())
    body.on('data', (chunk: Buffer) => {
      if (!stream.write(chunk)) body.pause()
    })
    body.on('end', () => stream.end())
  }

  #end(tell: () => void): void {
    if (this.#over) return
    this.#over = true
    this.#gone()
    this.#body?.destroy()
    this.#takeBack()
    this.#session?.giveBack()
    tell()
  }

  /** A whole exchange ends by itself; any other is reset, so that the target stops working on it. */
  #takeBack(): void {
    const stream = this.#stream
    if (stream === null || stream.closed || stream.destroyed) return
    if (!(stream.readableEnded && stream.writableEnded)) stream.close(constants.NGHTTP2_CANCEL)
    stream.resume()
  }
}

/** The target is told that trailers are welcome: gRPC servers want to hear it. */
function headersOf({ method, path, host, headers, body, bodyBytes }: TargetRequest, scheme: string): string[] {
  const sent = [':method', method, ':scheme', scheme, ':authority', host, ':path', path]
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    if (name !== 'te') sent.push(name, headers[at + 1]!)
  }
  sent.push('te', 'trailers')
  if (body !== null && bodyBytes !== null) sent.push('content-length', `${bodyBytes}`)
  return sent
}

function split(raw: readonly string[]): { status: number; headers: string[] } {
  const at = raw.indexOf(':status')
  return { status: Number(raw[at + 1]), headers: raw.toSpliced(at, 2) }
}

/** Trailers as an object: names that come more than once have lists. */
function fieldsOf(raw: RawHeaders): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    const before = fields[name]
    fields[name] = before === undefined ? raw[at + 1]! : [before, raw[at + 1]!].flat()
  }
  return fields
}

function closedBy(stream: ClientHttp2Stream): Error {
  return Object.assign(new Error(`the stream was closed with code ${stream.rstCode}`), {
    code: 'ERR_HTTP2_STREAM_ERROR',
  })
}
