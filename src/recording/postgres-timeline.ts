import { BoundedNames } from './bounded-names.ts'
import type { RecordedEvent } from './format.ts'
import { type BoundValue, charsOf, type PostgresEvents, type ReportText } from './postgres-events.ts'
import { readPostgresEvent } from './postgres-event-shapes.ts'
import type { StatementItem, TimelineItem } from './postgres-timeline-items.ts'

/** Items that wait for an answer before those behind them are shown. */
const waitingMax = 10_000
/** The same, by the size of their texts and values. */
const charsMax: number = 16 * 1024 * 1024
/** Named statements and portals that are remembered, each up to `charsMax` together. */
const namesMax = 10_000

/**
 * Puts what belongs together into statements, in the order in which they began. Streams: memory depends on how much is
 * unanswered, not on the recording.
 */
export async function* postgresTimeline(events: AsyncIterable<RecordedEvent>): AsyncGenerator<TimelineItem> {
  const builder = new TimelineBuilder()
  for await (const event of events) {
    builder.take(event)
    yield* builder.finished()
  }
  yield* builder.rest()
}

type Draft = { -readonly [Key in keyof StatementItem]: StatementItem[Key] } & {
  kept: { columns: StatementItem['kept']['columns']; rows: (readonly BoundValue[])[] }
  results: StatementItem['results'][number][]
  notices: ReportText[]
}
interface Text {
  sql: string
  readonly sqlBytes: number | null
}
interface Parsed extends Text {
  readonly at: number
  /** Part of an item: executed, or refused. */
  shown: boolean
}
interface Bound {
  readonly statement: Parsed | null
  readonly bind: PostgresEvents['b']
}
interface Waiting {
  readonly item: TimelineItem
  chars: number
  readonly draft: Draft | null
  readonly many: boolean
  done: boolean
}

class TimelineBuilder {
  #waiting: Waiting[] = []
  #waitingChars = 0
  #first = 0
  readonly #open = new Map<number, Waiting>()
  readonly #statements = new BoundedNames<Parsed>(namesMax, charsMax, (statement) => this.#forget(statement))
  readonly #portals = new BoundedNames<Bound>(namesMax, charsMax)
  /** Parsed, and not yet part of anything executed. */
  #parsing: Parsed | null = null
  /** Whose text came last. */
  #last: { sql: string | null; readonly n?: number } | null = null
  /** Of the statement that it is the text of; null: of a simple query. */
  #lastName: string | null = null
  /** Not yet with its statement. */
  #copied: PostgresEvents['cp'] | null = null
  #lastAt = 0

  take({ seconds: at, code, data }: RecordedEvent): void {
    const event = readPostgresEvent(code, data)
    this.#lastAt = at
    switch (event?.code) {
      case 'p':
        return this.#parse(at, event.data)
      case '+':
        return this.#more(event.data.sql)
      case 'r':
        return this.#keep(event.data)
      case 't':
        return this.#add({ kind: 'transaction', at, status: event.data.status })
      case 'b':
        return this.#bind(event.data)
      case 'q':
        return this.#begin(at, event.data.n, textOf(event.data), null, true)
      case 'x':
        return this.#execute(at, event.data)
      case 'f':
        return this.#begin(at, event.data.n, { sql: `function call ${event.data.oid}`, sqlBytes: null }, null, true)
      case 'c':
        return this.#complete(event.data)
      case 'e':
        return this.#fail(at, event.data)
      case 'n':
        return this.#notice(at, event.data)
      case 'cp':
        this.#copied = event.data
        return
      case 'g':
        return this.#add({ kind: 'guard', at, ...event.data })
      case 'k':
        return this.#add({ kind: 'cancel', at, address: event.data.address })
      case 's':
        return this.#add({ kind: 'parameter', at, ...event.data })
      case 'm': {
        const { kind: what, ...said } = event.data
        if (what === 'cut') this.#cutOff(at)
        return this.#add({ kind: 'gate', at, what, ...said })
      }
      default:
        return this.#add({ kind: 'unknown', at, code })
    }
  }

  *finished(): Generator<TimelineItem> {
    while (this.#first < this.#waiting.length) {
      const head = this.#waiting[this.#first]!
      if (!head.done && this.#waiting.length - this.#first <= waitingMax && this.#waitingChars <= charsMax) break
      if (head.draft !== null) this.#open.delete(head.draft.n)
      this.#first++
      this.#waitingChars -= head.chars
      yield head.item
    }
    if (this.#first < 1024) return
    this.#waiting = this.#waiting.slice(this.#first)
    this.#first = 0
  }

  *rest(): Generator<TimelineItem> {
    this.#statements.clear()
    for (const { item } of this.#waiting.slice(this.#first)) yield item
  }

  #add(item: TimelineItem): void {
    this.#waiting.push({ item, chars: 0, draft: null, many: false, done: true })
  }

  #begin(at: number, n: number, text: Text | null, bind: PostgresEvents['b'] | null, many: boolean): void {
    const draft: Draft = {
      kind: 'statement',
      at,
      n,
      sql: text?.sql ?? null,
      sqlBytes: text?.sqlBytes ?? null,
      binds: bind?.values ?? [],
      bindsLeftOut: bind?.more ?? 0,
      results: [],
      kept: { columns: [], rows: [] },
      error: null,
      durationMs: null,
      notices: [],
      copy: null,
      cancelled: false,
      cutOff: false,
    }
    const chars = (text?.sql.length ?? 0) + (bind === null ? 0 : charsOf(bind.values))
    const waiting: Waiting = { item: draft, chars, draft, many, done: false }
    this.#waiting.push(waiting)
    this.#waitingChars += chars
    this.#open.set(n, waiting)
    this.#parsing = null
    this.#last = draft
    this.#lastName = null
  }

  /** Goes on with the last text. */
  #more(sql: string): void {
    const last = this.#last
    if (last === null || last.sql === null) return
    last.sql += sql
    if (this.#lastName !== null) this.#statements.grow(this.#lastName, sql.length)
    const waiting = 'n' in last ? this.#open.get(last.n) : undefined
    if (waiting === undefined) return
    waiting.chars += sql.length
    this.#waitingChars += sql.length
  }

  #keep({ n, columns, rows }: PostgresEvents['r']): void {
    const waiting = n === null ? undefined : this.#open.get(n)
    if (waiting === undefined || waiting.draft === null) return
    if (columns !== undefined) waiting.draft.kept.columns = columns
    waiting.draft.kept.rows.push(...rows)
    const chars = charsOf(rows.flat())
    waiting.chars += chars
    this.#waitingChars += chars
  }

  #parse(at: number, parse: PostgresEvents['p']): void {
    this.#parsing = { ...textOf(parse), at, shown: false }
    this.#statements.set(parse.name, this.#parsing, parse.sql.length)
    this.#last = this.#parsing
    this.#lastName = parse.name
  }

  /** Its name is given away, if the server agreed. */
  #forget(statement: Parsed): void {
    if (statement.shown) return
    statement.shown = true
    this.#add({ kind: 'parsed', at: this.#lastAt, parsedAt: statement.at, sql: statement.sql })
  }

  #bind(bind: PostgresEvents['b']): void {
    const statement = this.#statements.get(bind.statement) ?? null
    this.#portals.set(bind.portal, { statement, bind }, (statement?.sql.length ?? 0) + charsOf(bind.values))
  }

  #execute(at: number, { n, portal }: PostgresEvents['x']): void {
    const bound = this.#portals.get(portal)
    if (bound?.statement) bound.statement.shown = true
    this.#begin(at, n, bound?.statement ?? null, bound?.bind ?? null, false)
  }

  #complete({ n, ms, tag, rows, suspended, ...sent }: PostgresEvents['c']): void {
    const { bytes = null, firstMs = null } = sent
    const waiting = this.#answered(n, ms)
    this.#copyOver(waiting)
    waiting?.draft?.results.push({ tag, rows, ms, suspended: suspended === true, bytes, firstMs })
    if (waiting?.many === false) waiting.done = true
  }

  #fail(at: number, { n, ms, ...said }: PostgresEvents['e']): void {
    const { severity, sqlstate, message, detail, rows } = said
    const error = { severity, sqlstate, message, ...(detail !== undefined && { detail }), rows }
    const waiting = this.#answered(n, ms)
    this.#copyOver(waiting)
    if (waiting === undefined || waiting.draft === null) {
      if (this.#parsing !== null) this.#parsing.shown = true
      this.#add({ kind: 'error', at, error, sql: this.#parsing?.sql ?? null })
      this.#parsing = null
      return
    }
    waiting.draft.error = error
    waiting.draft.cancelled = error.sqlstate === '57014'
    waiting.done = true
  }

  /** What has no answer by now gets none. */
  #cutOff(at: number): void {
    for (const waiting of this.#open.values()) {
      waiting.done = true
      if (waiting.draft === null || waiting.draft.results.length > 0 || waiting.draft.error !== null) continue
      waiting.draft.cutOff = true
      waiting.draft.durationMs = Math.round((at - waiting.draft.at) * 1000)
    }
    this.#open.clear()
  }

  /** Answers come in order: whatever began before the one that is answered now gets no more. */
  #answered(n: number | null, ms: number | null): Waiting | undefined {
    const waiting = n === null ? undefined : this.#open.get(n)
    if (waiting === undefined || waiting.draft === null) return undefined
    for (const [before, earlier] of this.#open) {
      if (before >= waiting.draft.n) break
      earlier.done = true
      this.#open.delete(before)
    }
    if (ms !== null) waiting.draft.durationMs = (waiting.draft.durationMs ?? 0) + ms
    return waiting
  }

  /** Whose answer is due. A simple query may have more results to come, but hardly when others began behind it. */
  #current(): Draft | null {
    let answered: Draft | null = null
    for (const { done, draft } of this.#open.values()) {
      if (done || draft === null) continue
      if (draft.results.length === 0) return draft
      answered = draft
    }
    return answered
  }

  #notice(at: number, notice: ReportText): void {
    const current = this.#current()
    if (current === null) this.#add({ kind: 'notice', at, notice })
    else if (current.notices.length < 1000) current.notices.push(notice)
  }

  /** Its size is told just before the answer to what copied. */
  #copyOver(waiting: Waiting | undefined): void {
    if (this.#copied !== null && waiting?.draft) waiting.draft.copy = this.#copied
    this.#copied = null
  }
}

function textOf({ sql, bytes }: { sql: string; bytes?: number }): Text {
  return { sql, sqlBytes: bytes ?? null }
}
