import type { RecordedEvent } from '../recording/format.ts'
import { httpTimeline, type HttpExchange, type HttpItem } from '../recording/http-timeline.ts'
import { fieldOf } from './replay-moments.ts'

/** Which requests a reader wants to see. */
export const httpViews = ['all', 'failed', '2', '3', '4', '5', 'websockets', 'slowest'] as const
export type HttpView = (typeof httpViews)[number]

export interface HttpWanted {
  readonly view: HttpView
  /** Lower-case words in method or address; empty: all. */
  readonly text: string
}

/** Where a page goes on: with the first request at or after these seconds whose number is above `after`. */
export interface HttpPlace {
  readonly fromSeconds: number
  readonly after: number
}

export interface HttpPageItems {
  /** In the order in which they came, or with `slowest` by how long they took. */
  readonly exchanges: readonly HttpExchange[]
  /** What the gate said meanwhile. */
  readonly said: readonly (HttpItem & { kind: 'gate' })[]
  /** Lines of the part that was read that this version does not know. */
  readonly unknown: number
  readonly next: HttpPlace | undefined
}

export const exchangesShownMax = 200
/** Requests looked at for one page: a rare word must not keep the page busy for minutes. */
const lookedAtMax = 100_000
/** Requests looked at beyond a full page, for the end of one that it shows: a WebSocket may be open all day. */
const lookedBeyondMax = 10_000
const slowestMax = 100
const saidMax = 200

/** Collects one page. @param items from `place.fromSeconds` on. */
export async function collectHttpItems(
  items: AsyncIterable<HttpItem>,
  wanted: HttpWanted,
  place: HttpPlace,
): Promise<HttpPageItems> {
  const page = wanted.view === 'slowest' ? new Slowest(wanted, place) : new InOrder(wanted, place)
  for await (const item of items) {
    page.add(item)
    if (page.full()) break
  }
  return page.result()
}

abstract class Collector {
  readonly said: (HttpItem & { kind: 'gate' })[] = []
  protected readonly place: HttpPlace
  /** Began, and did not end yet: with what is known of them so far. */
  protected readonly open = new Map<number, HttpExchange>()
  protected lookedAt = 0
  protected last: HttpPlace | undefined
  protected unknown = 0
  readonly #wanted: HttpWanted

  constructor(wanted: HttpWanted, place: HttpPlace) {
    this.#wanted = wanted
    this.place = place
  }

  add(item: HttpItem): void {
    if (item.kind === 'gate' && this.said.length < saidMax) this.said.push(item)
    if (item.kind === 'unknown') this.unknown++
    if (item.kind === 'begin') this.#begin(item.exchange)
    if (item.kind === 'exchange') this.#end(item.exchange)
  }

  #begin(exchange: HttpExchange): void {
    if (exchange.n <= this.place.after) return
    this.lookedAt++
    this.last = { fromSeconds: exchange.at, after: exchange.n }
    this.open.set(exchange.n, exchange)
  }

  #end(exchange: HttpExchange): void {
    // without its request it began on an earlier page
    const isOfPage = exchange.request !== null && exchange.n > this.place.after
    this.open.delete(exchange.n)
    if (isOfPage) this.keepWanted(exchange)
  }

  protected keepWanted(exchange: HttpExchange): void {
    if (isWanted(exchange, this.#wanted)) this.keep(exchange)
  }

  full(): boolean {
    return this.lookedAt >= lookedAtMax
  }

  protected abstract keep(exchange: HttpExchange): void
  abstract result(): HttpPageItems
}

class InOrder extends Collector {
  /** One more than is shown: where the next page begins. */
  readonly #found: HttpExchange[] = []
  #lookedBeyond = 0

  protected keep(exchange: HttpExchange): void {
    const at = this.#found.findLastIndex(({ n }) => n < exchange.n) + 1
    this.#found.splice(at, 0, exchange)
    if (this.#found.length > exchangesShownMax + 1) this.#found.pop()
  }

  override full(): boolean {
    const first = this.#found[exchangesShownMax]
    if (first === undefined) return super.full()
    const [oldestOpen] = this.open.keys()
    return oldestOpen === undefined || oldestOpen > first.n || ++this.#lookedBeyond > lookedBeyondMax
  }

  result(): HttpPageItems {
    const lookedOut = this.full()
    for (const exchange of this.open.values()) this.keepWanted(exchange)
    const first = this.#found[exchangesShownMax]
    const next =
      first === undefined ? (lookedOut ? this.last : undefined) : { fromSeconds: first.at, after: first.n - 1 }
    const said = this.said.filter(({ at }) => next === undefined || at < next.fromSeconds)
    return { exchanges: this.#found.slice(0, exchangesShownMax), said, unknown: this.unknown, next }
  }
}

class Slowest extends Collector {
  readonly #found: HttpExchange[] = []

  protected keep(exchange: HttpExchange): void {
    const least = this.#found[slowestMax - 1]
    if (least !== undefined && (exchange.totalMs ?? -1) <= (least.totalMs ?? -1)) return
    this.#found.push(exchange)
    this.#found.sort((left, right) => (right.totalMs ?? -1) - (left.totalMs ?? -1))
    if (this.#found.length > slowestMax) this.#found.pop()
  }

  result(): HttpPageItems {
    const next = this.full() ? this.last : undefined
    return { exchanges: this.#found, said: [], unknown: this.unknown, next }
  }
}

function isWanted(exchange: HttpExchange, { view, text }: HttpWanted): boolean {
  if (view === 'failed' && !hasFailed(exchange)) return false
  if (view === 'websockets' && exchange.protocol === null) return false
  if (/^\d$/.test(view) && Math.floor((exchange.status ?? 0) / 100) !== Number(view)) return false
  return text === '' || addressText(exchange).toLowerCase().includes(text)
}

/** Not when the client went away: whoever closes a page does that. */
export function hasFailed({ status, result }: HttpExchange): boolean {
  if (result === null) return (status ?? 0) >= 400
  return status === null || status >= 400 || ['target', 'gate', 'refused'].includes(result)
}

/** `GET https://grafana.gw.example.com/d/home` */
export function addressText({ request }: HttpExchange): string {
  return request === null ? '' : `${request.method} ${request.origin}${request.url}`
}

/** Lines looked at for the end of one request. */
const eventsMax = 500_000
export const messagesShownMax = 1000

/**
 * One request with all that was recorded of it, bodies too.
 * @param events from where it began.
 * @returns undefined when it is not there.
 */
export async function findExchange(events: AsyncIterable<RecordedEvent>, n: number): Promise<HttpExchange | undefined> {
  const items = httpTimeline(eventsOf(events, n), { messagesMax: messagesShownMax, bodies: true })
  for await (const item of items) if (item.kind === 'exchange' && item.exchange.request !== null) return item.exchange
  return undefined
}

/** Up to the end of the exchange, or of patience. */
export async function* eventsOf(events: AsyncIterable<RecordedEvent>, n: number): AsyncGenerator<RecordedEvent> {
  let seen = 0
  for await (const event of events) {
    if (++seen > eventsMax) return
    if (fieldOf(event.data, 'n') !== n) continue
    yield event
    if (event.code === 'a') return
  }
}
