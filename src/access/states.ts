import type { DecisionId, GrantId, LockId, PersonId, RequestId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { LockScope } from '../kernel/change.ts'
import type { Approval } from '../policy/rules.ts'

// ---- request: requested -> approved | denied | cancelled | lapsed

interface Asked {
  readonly id: RequestId
  readonly person: PersonId
  readonly resource: string
  readonly role: string
  readonly lengthMs: number
  readonly reason: string
  readonly ticket: string | null
  /** The grant must not start earlier; null: at approval. */
  readonly startsAt: Instant | null
  /** The policy that let it be asked, and what it takes, as they were then. */
  readonly policy: string
  readonly approval: Approval
  /** Where it came from, for the approver: `psql at 203.0.113.9`, `browser at …`. */
  readonly origin: string
  readonly askedAt: Instant
  /** Undecided at this instant, it lapses. */
  readonly lapsesAt: Instant
}
interface Closed extends Asked {
  readonly closedAt: Instant
}
export interface Requested extends Asked {
  readonly state: 'requested'
}
export interface Approved extends Closed {
  readonly state: 'approved'
}
export interface Denied extends Closed {
  readonly state: 'denied'
}
export interface Cancelled extends Closed {
  readonly state: 'cancelled'
}
export interface Lapsed extends Closed {
  readonly state: 'lapsed'
}
export type Request = Requested | Approved | Denied | Cancelled | Lapsed

/** One person's word on a request. A policy that needs nobody leaves none. */
export interface Decision {
  readonly id: DecisionId
  readonly request: RequestId
  readonly person: PersonId
  readonly verdict: 'approve' | 'deny'
  readonly comment: string
  readonly at: Instant
}

// ---- grant: scheduled -> active -> expired | revoked | ended

interface Given {
  readonly id: GrantId
  readonly request: RequestId
  readonly person: PersonId
  readonly resource: string
  readonly role: string
  readonly policy: string
  readonly startsAt: Instant
  /** The first instant outside. */
  readonly expiresAt: Instant
}
interface Over extends Given {
  readonly endedAt: Instant
  readonly endedBy: PersonId | null
  readonly comment: string | null
}
export interface Scheduled extends Given {
  readonly state: 'scheduled'
}
export interface Active extends Given {
  readonly state: 'active'
}
export interface Expired extends Over {
  readonly state: 'expired'
}
export interface Revoked extends Over {
  readonly state: 'revoked'
}
/** Handed back early by its own person. */
export interface Ended extends Over {
  readonly state: 'ended'
}
export type Grant = Scheduled | Active | Expired | Revoked | Ended

export interface Lock {
  readonly id: LockId
  readonly scope: LockScope
  readonly reason: string
  readonly placedBy: PersonId
  readonly placedAt: Instant
  /** The first instant at which it stops nothing any more; null: until somebody lifts it. */
  readonly until: Instant | null
  /** Null while it stands, and where its time was over. */
  readonly liftedBy: PersonId | null
  readonly liftedAt: Instant | null
}
