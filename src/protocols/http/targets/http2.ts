import { Fault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { Connector } from './connection.ts'
import { aborted, connectionsMax, type Hop, type Taker, type Try } from './hop.ts'
import { ConnectionsForOne } from './http1-once.ts'
import { Http2Exchange } from './http2-exchange.ts'
import { Http2Session } from './http2-session.ts'
import type { TargetRequest } from './target.ts'

/** HTTP/2 to one address: as few connections as its limit of streams allows. */
export class Http2Hop implements Hop {
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #sessions = new Set<Http2Session>()
  readonly #exchanges = new Set<Http2Exchange>()
  readonly #once: ConnectionsForOne
  readonly #closing = new AbortController()
  #opening: Promise<void> | null = null

  constructor(connector: Connector, clock: Clock) {
    this.#connector = connector
    this.#clock = clock
    this.#once = new ConnectionsForOne(connector)
  }

  send(request: TargetRequest, taker: Taker, fresh: boolean): Try {
    const { tls } = this.#connector.way.address
    // An upgrade is a thing of HTTP/1.1; a target that speaks HTTP/2 over TLS nearly always speaks that, too.
    if (request.upgrade !== null) return this.#once.send(request, taker)
    const exchange: Http2Exchange = new Http2Exchange(request, taker, tls ? 'https' : 'http', () =>
      this.#exchanges.delete(exchange),
    )
    this.#exchanges.add(exchange)
    void this.#start(exchange, fresh)
    return exchange
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(aborted)
    for (const exchange of this.#exchanges) exchange.fail(aborted, 'target')
    for (const session of this.#sessions) session.destroy()
    await this.#once[Symbol.asyncDispose]()
  }

  async #start(exchange: Http2Exchange, fresh: boolean): Promise<void> {
    await Promise.resolve() // the taker must not hear anything before `send` has returned
    if (this.#exchanges.size > connectionsMax) return exchange.fail(this.#tooMany(), 'target')
    try {
      let session = fresh ? undefined : this.#withRoom()
      // Those who wait for the same connection may be more than it takes.
      while (session === undefined && !exchange.isOver) {
        await (this.#opening ??= this.#open())
        session = this.#withRoom()
      }
      if (session !== undefined) exchange.start(session)
    } catch (error) {
      exchange.fail(error as Error, 'nowhere')
    }
  }

  #withRoom(): Http2Session | undefined {
    // The newest first: after a GOAWAY or a retry it is the one that lives.
    return [...this.#sessions].findLast((session) => session.hasRoom)
  }

  async #open(): Promise<void> {
    try {
      const gone = (session: Http2Session) => this.#sessions.delete(session)
      const session = await Http2Session.open(this.#connector, this.#clock, this.#closing.signal, gone)
      if (!session.hasRoom) {
        session.destroy()
        throw new Fault('UPSTREAM_UNREACHABLE', `${this.#connector.way.name} takes no requests.`)
      }
      this.#sessions.add(session)
    } finally {
      this.#opening = null
    }
  }

  #tooMany(): Fault {
    return new Fault('UPSTREAM_UNREACHABLE', `${this.#connector.way.name} has too many requests open.`)
  }
}
