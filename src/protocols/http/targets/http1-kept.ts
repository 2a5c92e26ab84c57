import { Fault } from '../../../kernel/fault.ts'
import type { Clock, Timer } from '../../../kernel/time.ts'
import type { Connector } from './connection.ts'
import { aborted, connectionsMax, type Hop, type Taker, type Try } from './hop.ts'
import { KeptConnection, KeptTry, type KeptBy } from './kept-connection.ts'
import { KnownHeads } from './known-heads.ts'
import type { TargetRequest } from './target.ts'

/** How long an idle connection is kept, unless the target says it in `Keep-Alive`. Short, as many servers hang up after 5 s. */
const idleMs = 4_000
const idleMsMax = 600_000
/** The target's clock began before ours. */
const aheadMs = 1_000
const sweepMs = 1_000
const readBytesMax = 64 * 1024

/**
 * HTTP/1.1 on kept connections, one request at a time on each: for requests whose body has a known length, or none.
 * A client of our own over sockets, as nearly all requests go this way, and the libraries take as long for one as all the rest
 * of the gateway (docs/performance.md).
 */
export class KeptConnections implements Hop, KeptBy {
  readonly readInto: Buffer = Buffer.allocUnsafeSlow(readBytesMax)
  readonly heads: KnownHeads = new KnownHeads()
  readonly #connector: Connector
  readonly #clock: Clock
  readonly #all = new Set<KeptConnection>()
  /** Used last, used first. */
  readonly #idle: KeptConnection[] = []
  /** Answered in this turn, and those of them that were given the next request: it goes in the next turn, so that what a target sends beyond its answer comes before. */
  #answered: KeptConnection[] = []
  #taken: KeptConnection[] = []
  #isTurnSet = false
  #sweep: Timer | null = null

  constructor(connector: Connector, clock: Clock) {
    this.#connector = connector
    this.#clock = clock
  }

  send(request: TargetRequest, taker: Taker, fresh: boolean): Try {
    const rested = fresh ? undefined : this.#rested()
    const answered = fresh || rested !== undefined ? undefined : this.#answered.pop()
    const connection = rested ?? answered ?? this.#add()
    const attempt = new KeptTry(request, taker, connection)
    connection.take(attempt)
    if (this.#all.size > connectionsMax) connection.failSoon(this.#tooMany())
    else if (answered === undefined) connection.ask()
    else this.#taken.push(answered)
    return attempt
  }

  resting(connection: KeptConnection, keepAliveS: number | null): void {
    const restMs = keepAliveS === null ? idleMs : Math.min(keepAliveS * 1000 - aheadMs, idleMsMax)
    if (restMs <= 0) return connection.close()
    connection.restsUntilMs = this.#clock.monotonicMs() + restMs
    this.#answered.push(connection)
    if (this.#isTurnSet) return
    this.#isTurnSet = true
    setImmediate(this.#nextTurn)
  }

  gone(connection: KeptConnection): void {
    this.#all.delete(connection)
    for (const list of [this.#idle, this.#answered]) {
      const at = list.indexOf(connection)
      if (at >= 0) list.splice(at, 1)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#sweep?.cancel()
    for (const connection of this.#all) connection.fail(aborted, 'target')
    return Promise.resolve()
  }

  #rested(): KeptConnection | undefined {
    const nowMs = this.#clock.monotonicMs()
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (last.restsUntilMs > nowMs) return last
      last.close()
    }
    return undefined
  }

  #add(): KeptConnection {
    const connection = new KeptConnection(this.#connector, this)
    this.#all.add(connection)
    return connection
  }

  readonly #nextTurn = (): void => {
    this.#isTurnSet = false
    const [answered, taken] = [this.#answered, this.#taken]
    this.#answered = []
    this.#taken = []
    this.#idle.push(...answered)
    for (const connection of taken) connection.ask()
    if (this.#idle.length > 0) this.#sweep ??= this.#clock.after(sweepMs, this.#closeRested)
  }

  readonly #closeRested = (): void => {
    this.#sweep = null
    const nowMs = this.#clock.monotonicMs()
    for (const connection of this.#idle.filter(({ restsUntilMs }) => restsUntilMs <= nowMs)) connection.close()
    if (this.#idle.length > 0) this.#sweep = this.#clock.after(sweepMs, this.#closeRested)
  }

  #tooMany(): Fault {
    return new Fault('UPSTREAM_UNREACHABLE', `${this.#connector.way.name} has too many connections open.`)
  }
}
