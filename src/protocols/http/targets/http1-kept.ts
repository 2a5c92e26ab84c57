import { Client, type Dispatcher } from 'undici'
import { Fault } from '../../../kernel/fault.ts'
import { BorrowedBody } from './borrowed-body.ts'
import { bare, type Connector } from './connection.ts'
import {
  aborted,
  connectionsMax,
  headBytesMax,
  informationalMax,
  type Hop,
  type Reached,
  type Taker,
  type Try,
} from './hop.ts'
import type { RawHeaders, TargetRequest } from './target.ts'
import { codeOf } from './words.ts'

/** How long an idle connection is kept, unless the target says it in `Keep-Alive`. Short, as many servers hang up after 5 s. */
const idleMs = 4_000

/**
 * HTTP/1.1 on kept connections, one request at a time on each: for requests whose body has a known length, or none.
 * A connection of its own per client object (undici's, not its pool), as we need to know which one was used before.
 */
export class KeptConnections implements Hop {
  readonly #connector: Connector
  readonly #all = new Set<Connection>()
  readonly #idle: Connection[] = []

  constructor(connector: Connector) {
    this.#connector = connector
  }

  send(request: TargetRequest, taker: Taker, fresh: boolean): Try {
    const connection = (fresh ? undefined : this.#idle.pop()) ?? this.#add()
    const attempt = new KeptTry(taker, connection, (reusable) => this.#release(connection, reusable))
    // Not now: what fails at once would be told before the caller knows what it started.
    queueMicrotask(() => attempt.start(request, this.#all.size > connectionsMax ? this.#tooMany() : undefined))
    return attempt
  }

  #tooMany(): Fault {
    return new Fault('UPSTREAM_UNREACHABLE', `${this.#connector.way.name} has too many connections open.`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#idle.length = 0
    await Promise.all([...this.#all].map((connection) => connection.close()))
  }

  #add(): Connection {
    const connection = new Connection(this.#connector, () => this.#drop(connection))
    this.#all.add(connection)
    return connection
  }

  #release(connection: Connection, reusable: boolean): void {
    if (reusable && this.#all.has(connection)) this.#idle.push(connection)
    else this.#drop(connection)
  }

  #drop(connection: Connection): void {
    if (!this.#all.delete(connection)) return
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    void connection.close()
  }
}

/** One undici client, which is one socket at a time. */
class Connection {
  readonly client: Client
  busy = false
  /** Requests that the present socket has carried. */
  served = 0
  readonly #closing = new AbortController()

  constructor(connector: Connector, gone: () => void) {
    this.client = new Client(`http://${connector.way.name}.invalid`, {
      connect: (_options, opened) => {
        connector.open('http/1.1', this.#closing.signal, bare).then(
          (socket) => opened(null, socket),
          (error: Error) => opened(error, null),
        )
      },
      // A long download, an event stream or a slow report is no failure; the session's cut and the client's leaving end them.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: idleMs,
      maxHeaderSize: headBytesMax,
    })
    this.client.on('disconnect', () => {
      this.served = 0
      if (!this.busy) gone()
    })
  }

  async close(): Promise<void> {
    this.#closing.abort(aborted)
    await this.client.destroy(aborted)
  }
}

class KeptTry implements Dispatcher.DispatchHandler, Try {
  readonly #taker: Taker
  readonly #connection: Connection
  readonly #release: (reusable: boolean) => void
  #controller: Dispatcher.DispatchController | null = null
  #over = false
  /** A byte of the answer has come. */
  #began = false
  #informational = 0

  constructor(taker: Taker, connection: Connection, release: (reusable: boolean) => void) {
    this.#taker = taker
    this.#connection = connection
    this.#release = release
    connection.busy = true
  }

  start(request: TargetRequest, refusal: Fault | undefined): void {
    if (this.#over) return
    if (refusal !== undefined) return this.#fail(refusal, 'target')
    this.#connection.client.dispatch(optionsOf(request), this)
  }

  resume(): void {
    // Not now: the parser of another connection may be what called us, and undici has one for all.
    queueMicrotask(() => {
      if (!this.#over) this.#controller?.resume()
    })
  }

  abort(): void {
    if (this.#over) return
    this.#finish(false)
    this.#controller?.abort(aborted)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(aborted)
  }

  onResponseStarted(): void {
    this.#began = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (this.#over) return
    const headers = textOf(controller.rawHeaders)
    if (status >= 200) return this.#taker.head(status, headers, false)
    if (++this.#informational > informationalMax) throw new Error(`more than ${informationalMax} informational answers`)
    this.#taker.informational(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#over && !this.#taker.body(chunk)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#over) return
    this.#connection.served += 1
    this.#finish(true)
    this.#taker.end(textOf(controller.rawTrailers))
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (!this.#over) this.#fail(error, this.#reached(error))
  }

  #reached(error: Error): Reached {
    if (error instanceof Fault) return 'nowhere' // only the connector throws these
    const closed = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error))
    return closed && !this.#began && this.#connection.served > 0 ? 'unanswered' : 'target'
  }

  #fail(error: Error, reached: Reached): void {
    this.#finish(false)
    this.#taker.failed(error, reached)
  }

  #finish(reusable: boolean): void {
    this.#over = true
    this.#connection.busy = false
    this.#release(reusable)
  }
}

function optionsOf({ method, path, host, headers, body, bodyBytes }: TargetRequest): Dispatcher.DispatchOptions {
  const sent = ['host', host, ...headers]
  // undici says `content-length: 0` itself, for the methods that want to hear it.
  if (body === null || bodyBytes === null || bodyBytes === 0) return { method, path, headers: sent, body: null }
  sent.push('content-length', `${bodyBytes}`)
  return { method, path, headers: sent, body: new BorrowedBody(body) }
}

/** Octets as Latin-1, which is what Node's own parser makes of them. */
function textOf(raw: Dispatcher.DispatchController['rawHeaders']): RawHeaders {
  return Array.isArray(raw) ? raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))) : []
}
