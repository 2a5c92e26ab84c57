import type { HttpItem } from './http-timeline.ts'

/** What is told once. */
export type HttpToldItem = Exclude<HttpItem, { readonly kind: 'begin' }>

/** Items that wait for an older request to end. */
const waitingMax = 10_000
/** The same, by what they hold. */
const waitingBytesMax = 64 * 1024 * 1024
const messageBytes = 64

/**
 * Puts exchanges into the order in which they began, without `begin`. One that is open for very long comes later than
 * that, where it ended: what waits for it is bounded.
 */
export async function* httpInOrder(items: AsyncIterable<HttpItem>): AsyncGenerator<HttpToldItem> {
  const order = new Order()
  for await (const item of items) yield* order.take(item)
  yield* order.flush()
}

type Waiting = { item: HttpToldItem | null }

class Order {
  /** By the order of beginning; with an item as soon as it is there. */
  #waiting: Waiting[] = []
  #first = 0
  #bytes = 0
  readonly #open = new Map<number, Waiting>();

  *take(item: HttpItem): Generator<HttpToldItem> {
    if (item.kind === 'begin') {
      const place: Waiting = { item: null }
      this.#waiting.push(place)
      this.#open.set(item.exchange.n, place)
      return
    }
    const place = item.kind === 'exchange' ? this.#open.get(item.exchange.n) : undefined
    if (item.kind === 'exchange') this.#open.delete(item.exchange.n)
    if (place === undefined) this.#waiting.push({ item })
    else place.item = item
    this.#bytes += bytesOf(item)
    yield* this.#ready()
    if (this.#waiting.length - this.#first > waitingMax || this.#bytes > waitingBytesMax) yield* this.flush()
  }

  /** All that is there, whatever lies open before it. */
  *flush(): Generator<HttpToldItem> {
    const waiting = this.#waiting.slice(this.#first)
    this.#waiting = waiting.filter(({ item }) => item === null)
    this.#first = 0
    this.#bytes = 0
    for (const { item } of waiting) if (item !== null) yield item
  }

  *#ready(): Generator<HttpToldItem> {
    for (;;) {
      const item = this.#waiting[this.#first]?.item ?? null
      if (item === null) break
      this.#first++
      this.#bytes -= bytesOf(item)
      yield item
    }
    if (this.#first < 1000) return
    this.#waiting = this.#waiting.slice(this.#first)
    this.#first = 0
  }
}

function bytesOf(item: HttpItem): number {
  if (item.kind !== 'exchange') return 0
  const { request, headers, messages, bodyUp, bodyDown } = item.exchange
  const heads = [...(request?.headers ?? []), ...headers, [request?.url ?? '']].flat()
  const bodies = (bodyUp?.content?.length ?? 0) + (bodyDown?.content?.length ?? 0)
  const headChars = heads.reduce((sum, { length }) => sum + length, 0)
  return headChars + bodies + messageBytes * (messages?.list.length ?? 0)
}
