import type { LockScope } from '../kernel/change.ts'
import type { BundleId, DecisionId, GrantId, LockId, PersonId, RequestId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Approval } from '../policy/approval.ts'
import type { Risk } from '../policy/risk.ts'
import type { Weekly } from '../policy/rules.ts'

// ---- request: requested -> approved | denied | cancelled | lapsed

/** `extension`: more time for a living grant. `break-glass`: at once, and looked at afterwards. */
export type RequestKind = 'access' | 'extension' | 'break-glass'

/** One request for a stretch of windows: the grant lasts from its start for the whole length, and is used inside them. */
export interface Recurrence {
  readonly windows: readonly Weekly[]
}

interface Asked {
  readonly id: RequestId
  readonly kind: RequestKind
  /** Who gets it. */
  readonly person: PersonId
  /** Who asked on behalf of the person, which is a machine then; null: the person. */
  readonly askedBy: PersonId | null
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
  /** The grant that is to last longer; set for an extension, and only for one. */
  readonly extends: GrantId | null
  /** Asked for together with others, each decided by itself. */
  readonly bundle: { readonly id: BundleId; readonly name: string } | null
  readonly recurrence: Recurrence | null
  /** What spoke for looking twice when it was filed; null: not worked out. */
  readonly risk: Risk | null
  /** Where it came from, for the approver: `psql at 203.0.113.9`, `browser at …`. */
  readonly origin: string
  readonly askedAt: Instant
  /** Undecided at this instant, it lapses. */
  readonly lapsesAt: Instant
  /** The step of the approval that is waited for, from 0; the number of steps when all are done. */
  readonly step: number
  /** Since when. */
  readonly stepSince: Instant
  /** When others were called to this step; null: they were not. */
  readonly escalatedAt: Instant | null
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

/** What an approver made of what was asked for. Null: as it was asked for. */
export interface Terms {
  /** At most what was asked for. */
  readonly lengthMs: number | null
  /** Not before what was asked for. */
  readonly startsAt: Instant | null
  /** Another role of the same resource. */
  readonly role: string | null
  /** Only these. */
  readonly databases: readonly string[] | null
  /** Only from these addresses and networks. */
  readonly networks: readonly string[] | null
}

/** One person's word on a request. A policy that needs nobody leaves none. */
export interface Decision {
  readonly id: DecisionId
  readonly request: RequestId
  readonly person: PersonId
  readonly verdict: 'approve' | 'deny'
  /** The step of the approval that it counts in, from 0. */
  readonly step: number
  /** Null: as it was asked for. */
  readonly terms: Terms | null
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
  /** The first instant outside. Of one whose clock starts at the first use, and that was not used: when it is too late. */
  readonly expiresAt: Instant
  /** How long it lasts, once its clock has started. */
  readonly lengthMs: number
  readonly clock: 'start' | 'first-use'
  /** `once`: for one session. */
  readonly uses: 'many' | 'once'
  /** When its first session began. */
  readonly firstUsedAt: Instant | null
  /** Unused at this instant, it is over; null: it may stay unused. */
  readonly useBy: Instant | null
  /** Used only inside these; null: at any time. */
  readonly windows: readonly Weekly[] | null
  /** Only these; null: those of the role. */
  readonly databases: readonly string[] | null
  /** Only from these addresses and networks; null: from wherever the policy says. */
  readonly networks: readonly string[] | null
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
