import type { RecordedEvent } from './format.ts'
import { readHttpEvent, type HttpEvent } from './http-event-shapes.ts'
import type { HttpBytes, HttpEvents, HttpHeaders, HttpResult } from './http-events.ts'

/** One request and what came of it, as far as was read when it was told. */
export interface HttpExchange {
  readonly n: number
  /** Seconds since the start of the recording: of its request, else of the first thing that was read about it. */
  readonly at: number
  /** null: it is not in what was read. */
  readonly request: Omit<HttpEvents['q'], 'n'> | null
  /** null: there is no answer, or none yet. */
  readonly status: number | null
  /** Of the answer, or of the upgrade. */
  readonly headers: HttpHeaders
  readonly trailers: HttpHeaders
  /** Which of the target's addresses answered, where there are several. */
  readonly address: string | null
  /** Bytes of the bodies; of a WebSocket, all after the upgrade. null until its end. */
  readonly bytesUp: number | null
  readonly bytesDown: number | null
  /** null also while it goes on: the head of an answer may be written a moment after it passed. */
  readonly waitMs: number | null
  readonly totalMs: number | null
  /** null: it goes on, or the recording ends before it does. */
  readonly result: HttpResult | null
  readonly code: string | null
  readonly why: string | null
  /** What the connection speaks since the upgrade: `websocket`. */
  readonly protocol: string | null
  readonly messages: HttpMessages | null
  readonly bodyUp: HttpBody | null
  readonly bodyDown: HttpBody | null
}

/** A long message is recorded in parts: the first counts, and the others have the opcode of a continuation. */
export interface HttpMessages {
  readonly up: { readonly count: number; readonly bytes: number }
  readonly down: { readonly count: number; readonly bytes: number }
  /** The first of them; how many is the reader's choice. */
  readonly list: readonly HttpMessage[]
  /** Messages and parts of them beyond the list. */
  readonly leftOut: number
}

export interface HttpMessage {
  /** Seconds since the start of the recording. */
  readonly at: number
  readonly direction: 'up' | 'down'
  /** RFC 6455, section 5.2. */
  readonly opcode: number
  /** Of the payload, as it passed. */
  readonly bytes: number
}

export interface HttpBody {
  /** What was recorded of it. */
  readonly bytes: number
  readonly type: string | null
  /** As it passed, and so as it is recorded: `gzip`. */
  readonly encoding: string | null
  /** Why not all of it was recorded; null: it was. */
  readonly leftOut: HttpEvents['bx']['why'] | null
  /** null unless the reader asked for it. Shorter than `bytes` when too much was held at once. */
  readonly content: Buffer | null
}

export type HttpItem =
  /** A request came. `exchange` fills as more of it is read, until it is told as over: the same object. */
  | { readonly kind: 'begin'; readonly at: number; readonly exchange: HttpExchange }
  /** It is over. With `result` null: the recording ended first. `at` is that of its request. */
  | { readonly kind: 'exchange'; readonly at: number; readonly exchange: HttpExchange }
  /** The gate spoke to the person. */
  | ({ readonly kind: 'gate'; readonly at: number; readonly what: HttpEvents['m']['kind'] } & Omit<
      HttpEvents['m'],
      'kind'
    >)
  /** A line that this version does not know. */
  | { readonly kind: 'unknown'; readonly at: number; readonly code: string }

/** What is kept of exchanges beyond the facts. */
export interface HttpKeeping {
  /** Of each WebSocket, so many messages; the others are only counted. */
  readonly messagesMax?: number
  /** What bodies hold. */
  readonly bodies?: boolean
}

/** Open exchanges that are remembered; of more, the oldest are told as they are. */
const openMax = 4096
/** The same, by the size of their heads. */
const openCharsMax = 32 * 1024 * 1024
/** Contents and messages of open exchanges, together. */
const keptBytesMax = 64 * 1024 * 1024
const messageBytes = 64
/** The opcode. */
const continuation = 0

/**
 * What happened, in the order in which it began and ended: http-order.ts has the order of the requests alone. Streams:
 * memory depends on how many requests are open at once, not on the recording.
 */
export async function* httpTimeline(
  events: AsyncIterable<RecordedEvent>,
  keeping: HttpKeeping = {},
): AsyncGenerator<HttpItem> {
  const builder = new TimelineBuilder(keeping)
  for await (const event of events) yield* builder.take(event)
  yield* builder.rest()
}

type Mutable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] }
type MutableBody = Mutable<HttpBody>
interface MutableMessages extends HttpMessages {
  readonly up: { count: number; bytes: number }
  readonly down: { count: number; bytes: number }
  readonly list: HttpMessage[]
  leftOut: number
}
type Told = Mutable<Omit<HttpExchange, 'messages' | 'bodyUp' | 'bodyDown'>> & {
  messages: MutableMessages | null
  bodyUp: MutableBody | null
  bodyDown: MutableBody | null
}

/** An exchange that is open, and what only its reading needs. */
interface Draft {
  readonly told: Told
  /** When its last line of messages was written, or the upgrade. */
  messagesAt: number
  readonly headChars: number
  keptBytes: number
  /** What bodies hold, where that is asked for. */
  readonly parts: { up: Buffer[] | null; down: Buffer[] | null }
  /** Bytes of `parts`, counted: whoever is recorded may send a body a byte at a time. */
  readonly held: { up: number; down: number }
}

class TimelineBuilder {
  readonly #open = new Map<number, Draft>()
  readonly #messagesMax: number
  readonly #bodies: boolean
  #openChars = 0
  #keptBytes = 0

  constructor({ messagesMax = 1000, bodies = false }: HttpKeeping) {
    this.#messagesMax = messagesMax
    this.#bodies = bodies
  }

  *take(recorded: RecordedEvent): Generator<HttpItem> {
    const at = recorded.seconds
    const event = readHttpEvent(recorded)
    if (event === undefined) return yield { kind: 'unknown', at, code: recorded.code }
    if (event.code === 'm') {
      const { kind: what, ...said } = event.data
      return yield { kind: 'gate', at, what, ...said }
    }
    if (event.code === 'q') yield* this.#begin(at, event.data)
    else yield* this.#goOn(at, event)
  }

  *rest(): Generator<HttpItem> {
    for (const draft of this.#open.values()) yield ended(draft)
    this.#open.clear()
  }

  *#begin(at: number, { n, ...request }: HttpEvents['q']): Generator<HttpItem> {
    const draft = newDraft(n, at, request)
    yield* this.#remember(draft)
    yield { kind: 'begin', at, exchange: draft.told }
  }

  *#goOn(at: number, event: OfExchange): Generator<HttpItem> {
    const known = this.#open.get(event.data.n)
    const draft = known ?? newDraft(event.data.n, at, null)
    if (known === undefined) yield* this.#remember(draft)
    this.#note(draft, at, event)
    if (event.code !== 'a') return
    this.#forget(draft)
    yield ended(draft)
  }

  *#remember(draft: Draft): Generator<HttpItem> {
    const before = this.#open.get(draft.told.n)
    if (before !== undefined) {
      this.#forget(before)
      yield ended(before)
    }
    this.#open.set(draft.told.n, draft)
    this.#openChars += draft.headChars
    while (this.#open.size > openMax || (this.#openChars > openCharsMax && this.#open.size > 1)) {
      const [oldest] = this.#open.values()
      this.#forget(oldest!)
      yield ended(oldest!)
    }
  }

  #forget(draft: Draft): void {
    this.#open.delete(draft.told.n)
    this.#openChars -= draft.headChars
    this.#keptBytes -= draft.keptBytes
  }

  #note(draft: Draft, at: number, event: OfExchange): void {
    const { told } = draft
    switch (event.code) {
      case 's':
        told.status = event.data.status
        told.headers = event.data.headers
        return
      case 'a':
        return noteAnswer(told, event.data)
      case 'u':
        told.protocol = event.data.protocol
        told.headers = event.data.headers
        told.messages ??= noMessages()
        draft.messagesAt = at
        return
      case 'w':
        return this.#noteMessages(draft, at, event.data.messages)
      case 'bx':
        bodyOf(told, event.data.direction).leftOut = event.data.why
        return
      case '=b':
        return this.#noteBody(draft, event.data, event.bytes)
    }
  }

  #noteMessages(draft: Draft, at: number, messages: HttpEvents['w']['messages']): void {
    const noted = (draft.told.messages ??= noMessages())
    for (const [ms, direction, opcode, bytes] of messages) {
      if (opcode !== continuation) noted[direction].count++
      noted[direction].bytes += bytes
      const kept = noted.list.length < this.#messagesMax && this.#keep(draft, messageBytes)
      if (kept) noted.list.push({ at: draft.messagesAt + ms / 1000, direction, opcode, bytes })
      else noted.leftOut++
    }
    draft.messagesAt = at
  }

  #noteBody(draft: Draft, { direction, type, encoding }: HttpBytes['=b'], bytes: Buffer): void {
    const body = bodyOf(draft.told, direction)
    const isWhole = draft.held[direction] === body.bytes
    body.bytes += bytes.length
    body.type ??= type ?? null
    body.encoding ??= encoding ?? null
    if (!this.#bodies) return
    const parts = (draft.parts[direction] ??= [])
    // a copy: the event's bytes are a view of a whole segment
    if (!isWhole || !this.#keep(draft, bytes.length)) return
    parts.push(Buffer.from(bytes))
    draft.held[direction] += bytes.length
  }

  #keep(draft: Draft, bytes: number): boolean {
    if (this.#keptBytes + bytes > keptBytesMax) return false
    this.#keptBytes += bytes
    draft.keptBytes += bytes
    return true
  }
}

type OfExchange = Exclude<HttpEvent, { code: 'q' | 'm' }>

function noteAnswer(told: Told, answer: HttpEvents['a']): void {
  told.status = answer.status === 0 ? null : answer.status
  if (told.headers.length === 0) told.headers = answer.headers ?? []
  told.trailers = answer.trailers ?? []
  told.address = answer.address ?? null
  told.bytesUp = answer.bytesUp
  told.bytesDown = answer.bytesDown
  told.waitMs = answer.waitMs ?? null
  told.totalMs = answer.totalMs
  told.result = answer.result
  told.code = answer.code ?? null
  told.why = answer.why ?? null
}

function bodyOf(told: Told, direction: 'up' | 'down'): MutableBody {
  const name = direction === 'up' ? 'bodyUp' : 'bodyDown'
  return (told[name] ??= { bytes: 0, type: null, encoding: null, leftOut: null, content: null })
}

function ended({ told, parts }: Draft): HttpItem {
  if (parts.up !== null) bodyOf(told, 'up').content = Buffer.concat(parts.up)
  if (parts.down !== null) bodyOf(told, 'down').content = Buffer.concat(parts.down)
  return { kind: 'exchange', at: told.at, exchange: told }
}

function noMessages(): MutableMessages {
  return { up: { count: 0, bytes: 0 }, down: { count: 0, bytes: 0 }, list: [], leftOut: 0 }
}

function newDraft(n: number, at: number, request: HttpExchange['request']): Draft {
  const headChars = request === null ? 0 : charsOf(request)
  return {
    told: newExchange(n, at, request),
    messagesAt: at,
    headChars,
    keptBytes: 0,
    parts: { up: null, down: null },
    held: { up: 0, down: 0 },
  }
}

function charsOf({ url, headers }: Omit<HttpEvents['q'], 'n'>): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length, url.length)
}

function newExchange(n: number, at: number, request: HttpExchange['request']): Told {
  return {
    n,
    at,
    request,
    status: null,
    headers: [],
    trailers: [],
    address: null,
    bytesUp: null,
    bytesDown: null,
    waitMs: null,
    totalMs: null,
    result: null,
    code: null,
    why: null,
    protocol: null,
    messages: null,
    bodyUp: null,
    bodyDown: null,
  }
}
