import type { Person } from '../../identity/person.ts'
import type { GrantId, PersonId, RequestId, SessionId, TokenId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { Request } from '../states.ts'
import type { Grant } from '../states.ts'

/** What came in page by page, so that however much there is, little of it is held at once. */
export type Paged<Row> = AsyncIterable<readonly Row[]>

/** The time that a report is about: from the first, before the second. */
export interface Period {
  readonly from: Instant
  readonly to: Instant
}

export interface KnownRequest {
  readonly request: Request
  /** Who gets it, as they are known now. */
  readonly person: Person
}

export interface KnownGrant {
  readonly grant: Grant
  readonly person: Person
  /** By name, in the order of their words. */
  readonly approvedBy: readonly string[]
  /** When its last session began; null: it had none. */
  readonly lastUsedAt: Instant | null
  /** As it was asked for. */
  readonly request: Request
}

export interface UnusedGrant {
  readonly id: GrantId
  readonly request: RequestId
  readonly personName: string
  readonly resource: string
  readonly role: string
  readonly policy: string
  readonly startsAt: Instant
  readonly state: Grant['state']
}

export interface KnownSession {
  readonly id: SessionId
  readonly person: PersonId
  readonly personName: string
  readonly resource: string
  readonly role: string
  readonly startedAt: Instant
  /** Null: it lives. */
  readonly endedAt: Instant | null
  /** Null: not known yet. */
  readonly bytesFromClient: number | null
  readonly bytesFromTarget: number | null
}

export interface LongToken {
  readonly id: TokenId
  readonly personName: string
  readonly label: string
  readonly scopes: readonly string[]
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly lastUsedAt: Instant | null
}

/** What reports look up. Each look-up has an index and comes in pages, so that others get their turn in between. */
export interface ReportReads {
  /** Everybody who has ever signed in, and every machine that came. */
  people(): Paged<Person>
  /** Asked within the period; newest first. */
  requests(period: Period): Paged<KnownRequest>
  /** Begun within the period; newest first. */
  sessions(period: Period): Paged<KnownSession>
  /** In state `scheduled` or `active`. */
  livingGrants(): Paged<KnownGrant>
  /** Begun within the period, without a session; newest first. */
  unusedGrants(period: Period): Paged<UnusedGrant>
  /** That work at `at` and were made for at least `lengthMsMin`; longest first. */
  longTokens(at: Instant, lengthMsMin: number, limit: number): Promise<readonly LongToken[]>
  /** When the last session of that role began; null: there was none. */
  lastSessionAs(resource: string, role: string): Promise<Instant | null>
  /** When the last grant by that policy began; null: there was none. */
  lastGrantBy(policy: string): Promise<Instant | null>
}
