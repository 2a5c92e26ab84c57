import type { Clock } from '../../../kernel/time.ts'
import type { Connector } from './connection.ts'
import type { Hop, Taker, Try } from './hop.ts'
import { announcesTrailers, ConnectionsForOne } from './http1-once.ts'
import { KeptConnections } from './http1-kept.ts'
import type { TargetRequest } from './target.ts'

/** HTTP/1.1 to one address: on kept connections whatever can go there. */
export class Http1Hop implements Hop {
  readonly #kept: KeptConnections
  readonly #once: ConnectionsForOne

  constructor(connector: Connector, clock: Clock) {
    this.#kept = new KeptConnections(connector, clock)
    this.#once = new ConnectionsForOne(connector)
  }

  send(request: TargetRequest, taker: Taker, fresh: boolean): Try {
    return needsItsOwn(request) ? this.#once.send(request, taker) : this.#kept.send(request, taker, fresh)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#kept[Symbol.asyncDispose](), this.#once[Symbol.asyncDispose]()])
  }
}

function needsItsOwn(request: TargetRequest): boolean {
  const { path, upgrade, body, bodyBytes } = request
  const openEnded = body !== null && (bodyBytes === null || announcesTrailers(request))
  return openEnded || upgrade !== null || !path.startsWith('/')
}
