import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { BorrowedBody } from './borrowed-body.ts'
import { bare, type Connector } from './connection.ts'
import { aborted, headBytesMax, informationalMax, type Hop, type Taker, type Try } from './hop.ts'
import type { TargetRequest } from './target.ts'

/**
 * HTTP/1.1 on a connection that carries one request: for what undici cannot do. It sends the head at once, also before the
 * body begins (both sides may stream), trailers after the body, `*` as the target, and it can leave HTTP by an upgrade.
 */
export class ConnectionsForOne implements Hop {
  readonly #connector: Connector
  readonly #live = new Set<OneTry>()

  constructor(connector: Connector) {
    this.#connector = connector
  }

  send(request: TargetRequest, taker: Taker): Try {
    const attempt: OneTry = new OneTry(request, taker, () => this.#live.delete(attempt))
    this.#live.add(attempt)
    void attempt.run(this.#connector)
    return attempt
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const attempt of this.#live) attempt.fail(aborted)
    return Promise.resolve()
  }
}

class OneTry implements Try {
  readonly #request: TargetRequest
  readonly #taker: Taker
  readonly #gone: () => void
  readonly #connecting = new AbortController()
  #out: ClientRequest | null = null
  #answer: IncomingMessage | null = null
  #body: BorrowedBody | null = null
  #over = false
  #isCalledOff = false
  #informational = 0

  constructor(request: TargetRequest, taker: Taker, gone: () => void) {
    this.#request = request
    this.#taker = taker
    this.#gone = gone
  }

  async run(connector: Connector): Promise<void> {
    try {
      const socket = await connector.open('http/1.1', this.#connecting.signal, bare)
      if (this.#over || this.#isCalledOff) socket.destroy()
      else this.#send(socket)
    } catch (error) {
      if (this.#over) return
      this.#finish()
      this.#taker.failed(error as Error, this.#out === null ? 'nowhere' : 'target')
    }
  }

  resume(): void {
    this.#answer?.resume()
  }

  callOff(): void {
    this.#isCalledOff = true
  }

  abort(): void {
    if (!this.#over) this.#finish()
  }

  fail(error: Error): void {
    if (this.#over) return
    this.#finish()
    this.#taker.failed(error, 'target')
  }

  #send(socket: Socket): void {
    const { method, path, body } = this.#request
    this.#out = httpRequest({
      createConnection: () => socket,
      method,
      path,
      headers: headersOf(this.#request),
      maxHeaderSize: headBytesMax,
      insecureHTTPParser: false,
    })
    const fail = (error: Error) => this.fail(error)
    this.#out.on('error', fail)
    // An answer may be whole and yet unread when its connection closes.
    this.#out.on('close', () => this.#answer === null && fail(closedEarly()))
    this.#out.on('information', ({ statusCode, rawHeaders }) => this.#inform(statusCode, rawHeaders))
    this.#out.on('response', (answer) => this.#take(answer))
    this.#out.on('upgrade', (answer, connection, first) => this.#upgraded(answer, connection, first))
    if (body === null) this.#out.end()
    else this.#stream(this.#out, new BorrowedBody(body))
  }

  #stream(out: ClientRequest, body: BorrowedBody): void {
    this.#body = body
    out.flushHeaders()
    body.on('error', (error) => this.fail(error))
    out.on('drain', () => body.resume())
    body.on('data', (chunk: Buffer) => {
      if (!out.write(chunk)) body.pause()
    })
    body.on('end', () => {
      const trailers = this.#request.trailers?.() ?? []
      if (trailers.length > 0) out.addTrailers(pairsOf(trailers))
      out.end()
    })
  }

  #inform(status: number, headers: readonly string[]): void {
    if (this.#over) return
    if (++this.#informational > informationalMax) {
      return this.fail(new Error(`more than ${informationalMax} informational answers`))
    }
    if (status !== 100 && status !== 101) this.#taker.informational(status, headers)
  }

  #take(answer: IncomingMessage): void {
    if (this.#over) return void answer.destroy()
    // Another reader would take the chunks for the body: RFC 9112 section 6.1
    if (answer.httpVersion === '1.0' && answer.headers['transfer-encoding'] !== undefined) {
      return this.fail(new Error('chunks in an answer of HTTP/1.0'))
    }
    this.#answer = answer
    answer.on('error', (error) => this.fail(error)).on('close', () => this.fail(closedEarly()))
    answer.on('data', (chunk: Buffer) => {
      if (!this.#over && !this.#taker.body(chunk)) answer.pause()
    })
    answer.on('end', () => {
      if (this.#over) return
      this.#finish()
      this.#taker.end(answer.rawTrailers)
    })
    this.#taker.head(answer.statusCode ?? 0, answer.rawHeaders, false)
  }

  #upgraded(answer: IncomingMessage, connection: Socket, first: Buffer): void {
    if (this.#over) return void connection.destroy()
    if (this.#request.upgrade === null) {
      connection.destroy()
      return this.fail(new Error('the target switched protocols unasked'))
    }
    this.#over = true
    this.#gone()
    this.#taker.upgraded(answer.rawHeaders, connection, first)
  }

  #finish(): void {
    this.#over = true
    this.#gone()
    this.#connecting.abort(aborted)
    this.#body?.destroy()
    this.#out?.destroy()
  }
}

function headersOf(request: TargetRequest): string[] {
  const { host, headers, body, bodyBytes, upgrade } = request
  const sent = ['Host', host, ...headers]
  if (upgrade !== null) sent.push('Connection', 'Upgrade', 'Upgrade', upgrade)
  else sent.push('Connection', 'close')
  if (body === null) return sent
  if (bodyBytes === null || announcesTrailers(request)) return [...sent, 'Transfer-Encoding', 'chunked']
  return [...sent, 'Content-Length', `${bodyBytes}`]
}

/** Trailers come after chunks only (RFC 9112, section 7.1.2), so these give up a length that is known. */
export function announcesTrailers({ trailers, headers }: TargetRequest): boolean {
  return trailers !== null && headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'trailer')
}

function pairsOf(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at]!, raw[2 * at + 1]!])
}

function closedEarly(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' })
}
