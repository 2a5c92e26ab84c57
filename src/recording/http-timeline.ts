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

export interface HttpMessages {
  readonly up: { readonly count: number; readonly bytes: number }
  readonly down: { readonly count: number; readonly bytes: number }
  /** The first of them; how many is the reader's choice. */
  readonly list: readonly HttpMessage[]
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
  /** A request came. It is told again, with all that came of it, as `exchange`. */
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

type Told = { -readonly [Key in keyof HttpExchange]: HttpExchange[Key] }
type DraftBody = { -readonly [Key in keyof Omit<HttpBody, 'content'>]: HttpBody[Key] } & { parts: Buffer[] | null }
interface DraftMessages {
  readonly up: { count: number; bytes: number }
  readonly down: { count: number; bytes: number }
  readonly list: HttpMessage[]
}
type Draft = Omit<Told, 'messages' | 'bodyUp' | 'bodyDown'> & {
  messages: DraftMessages | null
  up: DraftBody | null
  down: DraftBody | null
  /** When its last line of messages was written, or the upgrade. */
  messagesAt: number
  headChars: number
  keptBytes: number
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
    const draft = { ...emptyDraft(n, at), request, headChars: charsOf(request) }
    yield* this.#remember(draft)
    yield { kind: 'begin', at, exchange: told(draft) }
  }

  *#goOn(at: number, event: OfExchange): Generator<HttpItem> {
    const known = this.#open.get(event.data.n)
    const draft = known ?? emptyDraft(event.data.n, at)
    if (known === undefined) yield* this.#remember(draft)
    this.#note(draft, at, event)
    if (event.code !== 'a') return
    this.#forget(draft)
    yield ended(draft)
  }

  *#remember(draft: Draft): Generator<HttpItem> {
    const before = this.#open.get(draft.n)
    if (before !== undefined) {
      this.#forget(before)
      yield ended(before)
    }
    this.#open.set(draft.n, draft)
    this.#openChars += draft.headChars
    while (this.#open.size > openMax || (this.#openChars > openCharsMax && this.#open.size > 1)) {
      const [oldest] = this.#open.values()
      this.#forget(oldest!)
      yield ended(oldest!)
    }
  }

  #forget(draft: Draft): void {
    this.#open.delete(draft.n)
    this.#openChars -= draft.headChars
    this.#keptBytes -= draft.keptBytes
  }

  #note(draft: Draft, at: number, event: OfExchange): void {
    switch (event.code) {
      case 's':
        draft.status = event.data.status
        draft.headers = event.data.headers
        draft.waitMs = draft.request === null ? null : Math.max(0, Math.round((at - draft.at) * 1e6) / 1000)
        return
      case 'a':
        return noteAnswer(draft, event.data)
      case 'u':
        draft.protocol = event.data.protocol
        draft.headers = event.data.headers
        draft.messagesAt = at
        draft.messages ??= noMessages()
        return
      case 'w':
        return this.#noteMessages(draft, at, event.data.messages)
      case 'bx':
        bodyOf(draft, event.data.direction).leftOut = event.data.why
        return
      case '=b':
        return this.#noteBody(draft, event.data, event.bytes)
    }
  }

  #noteMessages(draft: Draft, at: number, messages: HttpEvents['w']['messages']): void {
    const noted = (draft.messages ??= noMessages())
    for (const [ms, direction, opcode, bytes] of messages) {
      noted[direction].count++
      noted[direction].bytes += bytes
      if (noted.list.length >= this.#messagesMax || !this.#keep(draft, messageBytes)) continue
      noted.list.push({ at: draft.messagesAt + ms / 1000, direction, opcode, bytes })
    }
    draft.messagesAt = at
  }

  #noteBody(draft: Draft, { direction, type, encoding }: HttpBytes['=b'], bytes: Buffer): void {
    const body = bodyOf(draft, direction)
    body.bytes += bytes.length
    body.type ??= type ?? null
    body.encoding ??= encoding ?? null
    if (!this.#bodies) return
    body.parts ??= []
    // a copy: the event's bytes are a view of a whole segment
    if (heldBytes(body.parts) === body.bytes - bytes.length && this.#keep(draft, bytes.length)) {
      body.parts.push(Buffer.from(bytes))
    }
  }

  #keep(draft: Draft, bytes: number): boolean {
    if (this.#keptBytes + bytes > keptBytesMax) return false
    this.#keptBytes += bytes
    draft.keptBytes += bytes
    return true
  }
}

type OfExchange = Exclude<HttpEvent, { code: 'q' | 'm' }>

function noteAnswer(draft: Draft, answer: HttpEvents['a']): void {
  draft.status = answer.status === 0 ? null : answer.status
  if (draft.headers.length === 0) draft.headers = answer.headers ?? []
  draft.trailers = answer.trailers ?? []
  draft.address = answer.address ?? null
  draft.bytesUp = answer.bytesUp
  draft.bytesDown = answer.bytesDown
  draft.waitMs = answer.waitMs ?? draft.waitMs
  draft.totalMs = answer.totalMs
  draft.result = answer.result
  draft.code = answer.code ?? null
  draft.why = answer.why ?? null
}

function bodyOf(draft: Draft, direction: 'up' | 'down'): DraftBody {
  return (draft[direction] ??= { bytes: 0, type: null, encoding: null, leftOut: null, parts: null })
}

function heldBytes(parts: readonly Buffer[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0)
}

function charsOf({ url, headers }: Omit<HttpEvents['q'], 'n'>): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length, url.length)
}

function ended(draft: Draft): HttpItem {
  return { kind: 'exchange', at: draft.at, exchange: told(draft) }
}

/** What was told does not change any more. */
function told({ messages, up, down, messagesAt: _at, headChars: _chars, keptBytes: _bytes, ...facts }: Draft) {
  return {
    ...facts,
    messages: messages && { up: { ...messages.up }, down: { ...messages.down }, list: [...messages.list] },
    bodyUp: up && toldBody(up),
    bodyDown: down && toldBody(down),
  }
}

function toldBody({ parts, ...body }: DraftBody): HttpBody {
  return { ...body, content: parts && Buffer.concat(parts) }
}

function noMessages(): DraftMessages {
  return { up: { count: 0, bytes: 0 }, down: { count: 0, bytes: 0 }, list: [] }
}

function emptyDraft(n: number, at: number): Draft {
  return {
    n,
    at,
    request: null,
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
    up: null,
    down: null,
    messagesAt: at,
    headChars: 0,
    keptBytes: 0,
  }
}
