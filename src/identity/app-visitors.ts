import type { Change } from '../kernel/change.ts'
import type { BrowserSessionId } from '../kernel/ids.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { AppPlace, AppVisitor } from './apps.ts'
import { endsStanding } from './standing.ts'

const seenMax = 10_000
const seenMs = 10_000

interface Seen {
  readonly place: AppPlace
  readonly visitor: AppVisitor
  /** The first instant outside. */
  readonly until: Instant
  readonly atMs: number
}

/** Who was found behind which cookie within the last ten seconds. Holds at most 10,000. */
export class AppVisitors {
  readonly #clock: Clock
  /** By the cookie's text. The oldest comes first, since nothing is moved when it is read. */
  readonly #seen = new Map<string, Seen>()
  /** Counts what may have ended somebody's sign-in. */
  #endings = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(place: AppPlace, cookie: string): AppVisitor | undefined {
    const seen = this.#seen.get(cookie)
    if (seen === undefined || seen.place.host !== place.host || seen.place.resource !== place.resource) return undefined
    const fresh = this.#clock.monotonicMs() - seen.atMs < seenMs && this.#clock.now() < seen.until
    return fresh ? seen.visitor : undefined
  }

  /** To be called before the store is asked. @returns what remembers the answer, unless a sign-in ended in between. */
  asking(place: AppPlace, cookie: string): (visitor: AppVisitor, until: Instant) => void {
    const before = this.#endings
    return (visitor, until) => {
      if (before !== this.#endings) return
      this.#seen.delete(cookie)
      if (this.#seen.size >= seenMax) this.#seen.delete(this.#seen.keys().next().value!)
      this.#seen.set(cookie, { place, visitor, until, atMs: this.#clock.monotonicMs() })
    }
  }

  apply(change: Change): void {
    if (change.kind === 'person-changed') this.#drop(({ person }) => person.id === change.person)
    if (change.kind === 'signed-out' || change.kind === 'credential-revoked') {
      this.#drop(({ identified }) => endsStanding(change, identified))
    }
  }

  forget(browserSession: BrowserSessionId): void {
    this.#drop(({ identified }) => identified.browserSession === browserSession)
  }

  #drop(which: (visitor: AppVisitor) => boolean): void {
    this.#endings += 1
    for (const [cookie, { visitor }] of this.#seen) if (which(visitor)) this.#seen.delete(cookie)
  }
}
