import type { Facts } from '../audit/facts.ts'
import type { BundleId, GrantId, LockId, PersonId, RequestId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { SessionRow } from '../sessions/session.ts'
import type { CampaignReads, CampaignTx } from './campaign-store.ts'
import type { QuestionReads, QuestionTx } from './question-store.ts'
import type { WorkKeyReads, WorkKeyTx } from './once.ts'
import type { ReviewReads, ReviewTx } from './review-store.ts'
import type { Active, Decision, Grant, Lock, Request, Requested } from './states.ts'

export interface AccessReads extends ReviewReads, CampaignReads, QuestionReads, WorkKeyReads {
  request(id: RequestId): Promise<Request | undefined>
  /** What they filed under this key after `since`. */
  requestByKey(person: PersonId, key: string, since: Instant): Promise<Request | undefined>
  requestsOf(person: PersonId, limit: number): Promise<readonly Request[]>
  /** Filed by them on behalf of others. */
  requestsAskedBy(person: PersonId, limit: number): Promise<readonly Request[]>
  /** By resource and role. */
  requestsOfBundle(bundle: BundleId): Promise<readonly Request[]>
  /** State `requested`, oldest first. */
  openRequests(): Promise<readonly Requested[]>
  /** Newest first, any state but `requested`. */
  closedRequests(limit: number): Promise<readonly Request[]>
  /** Oldest first. */
  decisionsOn(request: RequestId): Promise<readonly Decision[]>
  /** On all requests in state `requested`. */
  decisionsOnOpen(): Promise<readonly Decision[]>
  grant(id: GrantId): Promise<Grant | undefined>
  grantOf(request: RequestId): Promise<Grant | undefined>
  /** In state `scheduled` or `active`, of one person or of all. */
  livingGrants(person?: PersonId): Promise<readonly Grant[]>
  /** In state `active` for exactly this; the one that lasts longest first. At most 50. */
  activeGrants(person: PersonId, resource: string, role: string): Promise<readonly Active[]>
  /** Newest first, any state. */
  grantsOf(person: PersonId, limit: number): Promise<readonly Grant[]>
  /** Those on one resource, whichever role, and not of this request; the last that began or will first. */
  pastGrants(person: PersonId, resource: string, except: RequestId, limit: number): Promise<readonly Grant[]>
  /** Their sessions under any of these grants that began at or after `since`, the newest first. */
  sessionsUnder(
    person: PersonId,
    grants: readonly GrantId[],
    since: Instant,
    limit: number,
  ): Promise<readonly SessionRow[]>
  /** Not lifted. Their time may be over all the same: `lockStands` knows. */
  standingLocks(): Promise<readonly Lock[]>
  /** Lifted or over, the last that was first. */
  pastLocks(limit: number): Promise<readonly Lock[]>
  lock(id: LockId): Promise<Lock | undefined>
  /** Requests whose `lapsesAt` has come, and extensions of what is over. */
  requestsToLapse(at: Instant): Promise<readonly Requested[]>
  /** Open requests whose step has waited so long that others are called, and were not yet. */
  requestsToEscalate(at: Instant): Promise<readonly Requested[]>
  /** Scheduled grants whose start has come, and those whose end has come, or that were not used in time. */
  grantsToSettle(at: Instant): Promise<readonly Grant[]>
  /** Not lifted, and their end has come. */
  locksToEnd(at: Instant): Promise<readonly Lock[]>
}

/** The database refuses what the types forbid: illegal steps, deleting, self-approval, a second decision by one person. */
export interface AccessTx extends AccessReads, ReviewTx, CampaignTx, QuestionTx, WorkKeyTx, Facts {
  insertRequest(request: Request): Promise<void>
  /** Forgets all keys that were kept at `since` or before. */
  keepRequestKey(person: PersonId, key: string, request: RequestId, at: Instant, since: Instant): Promise<void>
  /** Writes the state that follows. @throws Fault GRANT_IN_WRONG_STATE / REQUEST_CLOSED when the stored state does not lead there. */
  updateRequest(request: Request): Promise<void>
  /** @throws Fault ALREADY_DECIDED on a second decision by one person; SELF_APPROVAL for the requester. */
  insertDecision(decision: Decision): Promise<void>
  insertGrant(grant: Grant): Promise<void>
  updateGrant(grant: Grant): Promise<void>
  insertLock(lock: Lock): Promise<void>
  /** False if it had been lifted already. `by` null: its time is over. */
  liftLock(id: LockId, by: PersonId | null, at: Instant): Promise<boolean>
}

export interface AccessStore extends AccessReads {
  /** All of `work` happens, durably, or nothing of it; runs as if alone. */
  transact<T>(work: (tx: AccessTx) => Promise<T>): Promise<T>
}
