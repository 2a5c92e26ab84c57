import type { Answer } from '../../recording/postgres-events.ts'
import type { Moment } from './moment.ts'
import type { KnownPortal } from './statement-book.ts'

/** Where a Sync or the end of a simple query stands in the row of what is unanswered. */
const syncMark = 0

/** So many unanswered executions in one pipeline are followed; beyond, answers carry no number any more. */
const unansweredMax = 100_000

/** What all of their portals may weigh; beyond, it is not known what they are of. */
const portalsWeightMax = 100_000

/** A row up to this long is used again. */
const keptMax = 4

interface Unanswered {
  /** Number of the event, or `syncMark`. */
  readonly n: number
  /** A simple query may be answered several times, up to ReadyForQuery. */
  readonly many: boolean
  startMs: number
  /** What an Execute executes, as far as that is known; null for a simple query. */
  readonly portal: KnownPortal | null
  /** What the portal weighed when it came in here. */
  readonly weight: number
  /** A Sync right behind an Execute. */
  readonly behindExecute: boolean
}

const unknownPortal: KnownPortal = { statement: null, formats: [], columns: null }

/** Tells which statement an answer belongs to, and how long that took. Pipelines are answered in order. */
export class Pending {
  readonly #moment: Moment
  #queue: Unanswered[] = []
  #first = 0
  #last = 0
  #lost = false
  #weight = 0
  /** The target takes data, and a Sync right behind the Execute has not come yet. */
  #passesSync = false

  constructor(moment: Moment) {
    this.#moment = moment
  }

  /** A simple query or a function call begins; ReadyForQuery ends it. @returns its number. */
  query(): number {
    return this.#push(true, null, 0)
  }

  execute(portal: KnownPortal = unknownPortal): number {
    const weight = portal.formats.length + (portal.statement?.parameterTypes.length ?? 0)
    return this.#weight + weight > portalsWeightMax
      ? this.#push(false, unknownPortal, 0)
      : this.#push(false, portal, weight)
  }

  /**
   * @param behindExecute the last message was one.
   * @returns false when the target passes over it.
   */
  sync(behindExecute = false): boolean {
    const passes = this.#passesSync && behindExecute
    this.#passesSync = false
    if (passes) return false
    this.#add({ n: syncMark, many: true, startMs: 0, portal: null, weight: 0, behindExecute })
    return true
  }

  /**
   * The target takes data now, and passes over a Sync right behind the Execute: see `Activity`.
   * @returns whether there is one.
   */
  copyIn(): boolean {
    const [execute, sync] = this.#queue.slice(this.#first, this.#first + 2)
    if (execute === undefined || execute.many) return false
    this.#passesSync = sync === undefined
    if (sync?.behindExecute !== true) return false
    this.#queue.splice(this.#first + 1, 1)
    return true
  }

  /** The number that what begins next will have. */
  get next(): number {
    return this.#last + 1
  }

  /** Nothing is left to be answered. */
  get isEmpty(): boolean {
    return this.#first >= this.#queue.length
  }

  /** The number of what is being answered; null when that is not known. */
  get running(): number | null {
    return this.#head()?.n || null
  }

  get portal(): KnownPortal | null {
    return this.#head()?.portal ?? null
  }

  /** How long what is being answered runs by now. */
  sinceBegunMs(): number {
    const head = this.#head()
    return head === undefined || head.n === syncMark ? 0 : rounded(this.#moment.nowMs - head.startMs)
  }

  answered(): Answer {
    const n = this.running
    const us = this.answeredUs()
    return us === null ? { n: null, ms: null } : { n, ms: us / 1000 }
  }

  /** @returns how long what was answered ran; null when that is not known. Ask for `running` before. */
  answeredUs(): number | null {
    const head = this.#head()
    if (head === undefined || head.n === syncMark) return null
    const nowMs = this.#moment.nowMs
    const us = Math.round((nowMs - head.startMs) * 1000)
    // What ran behind this one began now: the next statement of a simple query, or the next execution.
    if (head.many) head.startMs = nowMs
    else this.#shift(nowMs)
    return us
  }

  /** After an error the server skips to the next Sync. */
  failed(): Answer {
    this.#passesSync = false
    const answer = this.answered()
    this.#skipExecutions()
    return answer
  }

  ready(): void {
    this.#skipExecutions()
    this.#shift(this.#moment.nowMs)
  }

  #skipExecutions(): void {
    for (let head = this.#head(); head !== undefined && !head.many; head = this.#head()) this.#pass(head)
  }

  #pass({ weight }: Unanswered): void {
    this.#weight -= weight
    this.#first += 1
  }

  #push(many: boolean, portal: KnownPortal | null, weight: number): number {
    this.#last += 1
    this.#add({ n: this.#last, many, startMs: this.#moment.nowMs, portal, weight, behindExecute: false })
    return this.#last
  }

  #add(entry: Unanswered): void {
    if (this.#queue.length - this.#first >= unansweredMax) this.#lost = true
    if (this.#lost) return this.#clear()
    this.#weight += entry.weight
    this.#queue.push(entry)
  }

  #head(): Unanswered | undefined {
    return this.#queue[this.#first]
  }

  #shift(nowMs: number): void {
    const before = this.#head()
    if (before !== undefined) this.#pass(before)
    const head = this.#head()
    if (head !== undefined && head.startMs < nowMs && head.n !== syncMark) head.startMs = nowMs
    if (this.#first >= this.#queue.length) this.#clear()
    else if (this.#first > 1024) {
      this.#queue = this.#queue.slice(this.#first)
      this.#first = 0
    }
  }

  #clear(): void {
    // One by one, so that the array keeps its memory for the next statement.
    if (this.#queue.length <= keptMax) while (this.#queue.length > 0) this.#queue.pop()
    else this.#queue = []
    this.#first = 0
    this.#weight = 0
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
