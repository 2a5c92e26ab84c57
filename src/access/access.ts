import type { Person } from '../identity/person.ts'
import type { LockScope } from '../kernel/change.ts'
import type { FaultCode } from '../kernel/fault.ts'
import type { GrantId, LockId, PersonId, RequestId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Approval, Approvers, Step } from '../policy/approval.ts'
import type { Policy, Weekly } from '../policy/rules.ts'
import type { Resource, Role } from '../resources/catalogue.ts'
import type { Identified } from '../sessions/session.ts'
import type { BundleOffer, BundleWish } from './ask-bundle.ts'
import type { ExtensionOffer, ExtensionWish } from './extend.ts'
import type { PastUse } from './past-use.ts'
import type { Campaigns } from './campaigns.ts'
import type { Reviews } from './reviews.ts'
import type { StatementQuestions } from './statement-questions.ts'
import type { Decision, Grant, Lock, Request, Requested, Terms } from './states.ts'
import type { Agreed } from './terms.ts'

/** Something that a person may ask for, and what it takes. */
export interface Offer {
  readonly resource: Resource
  readonly role: Role
  readonly policy: Policy
  /** Why it cannot be used now, and when it can; absent: nothing is known that speaks against it. */
  readonly stopped?: { readonly code: FaultCode; readonly why: string; readonly opensAt: Instant | null } | undefined
}

/** Where somebody asks from, as far as it is known. */
export interface Asker {
  readonly address: string
}

export interface Wish {
  readonly resource: string
  readonly role: string
  readonly lengthMs: number
  readonly reason: string
  readonly ticket: string | null
  readonly startsAt: Instant | null
  /** Only in these, again and again while it lasts. Absent or null: all the time. */
  readonly windows?: readonly Weekly[] | null
  /** At once, by a policy for emergencies, loudly, and reviewed afterwards; absent: in the usual way. */
  readonly emergency?: boolean
  /** For the approver: `browser at 203.0.113.9`. */
  readonly origin: string
  /** Name of the machine that is to have it; absent: whoever asks. */
  readonly onBehalfOf?: string | undefined
  /** Absent: where it is used from is looked at when it is used. */
  readonly asker?: Asker
  /** What a program calls it: the same again within a day is the same request, not another one. */
  readonly key?: string | undefined
}

/** As programs may say it. */
export interface LooseWish extends Omit<Wish, 'role' | 'lengthMs'> {
  /** Null: the only one there that the person may ask for. */
  readonly role: string | null
  /** Null: as long as the policy offers. */
  readonly lengthMs: number | null
}

/** Somebody who decides elsewhere than on a page of the gateway, from an address that nobody knows. */
export interface Elsewhere {
  readonly via: 'slack'
}

/** Somebody known who waits, and where. */
export interface Waiting extends Identified {
  readonly address?: string
  /** What they filed for it, where that is known: it may be closed by the time they begin to wait. */
  readonly request?: RequestId | undefined
}

/** A step of an approval, as people are told of it. */
export interface StepView {
  readonly step: Step
  /** `stopped`: the request was closed while it was waited for, or before. */
  readonly state: 'done' | 'waits' | 'to-come' | 'stopped'
  /** Who approved and who refused in it, in that order. */
  readonly approved: readonly Person[]
  readonly refused: readonly Person[]
  /** Distinct people that it still needs. */
  readonly missing: number
}

/** Whom an open request waits for. */
export interface WaitsFor extends Approvers {
  /** More distinct people. */
  readonly missing: number
  readonly since: Instant
  /** Refusals so far in this step, and how many decide. */
  readonly refused: number
  readonly refusals: number
  /** Others whose word counts as well; `called`: already, and since when; otherwise from when on. */
  readonly others: (Approvers & { readonly called: boolean; readonly at: Instant }) | null
}

/** A request with everything a page shows of it. */
export interface RequestView {
  readonly request: Request
  readonly requester: Person
  /** The requester, and who asked on their behalf: none of them decides. */
  readonly requesters: readonly Person[]
  /** Of the requester's groups, those by which the policy is for them now. */
  readonly requesterGroups: readonly string[]
  readonly decisions: readonly { readonly decision: Decision; readonly person: Person }[]
  /** What came of it; of an extension, the grant that it is about. */
  readonly grant: Grant | undefined
  /** Distinct people that the present step still needs; 0 when it is closed. */
  readonly missing: number
  readonly approval: Approval
  /** In order; none where nobody is needed. */
  readonly steps: readonly StepView[]
  /** Null when it is closed. */
  readonly waitsFor: WaitsFor | null
  /** What the approvals so far come to; as it was asked for when nobody narrowed it. */
  readonly agreed: Agreed
  /** Roles that an approver may give: the one that was asked for first. */
  readonly rolesToGive: readonly string[]
  /** The link that the policy makes of the ticket. */
  readonly ticketLink: string | null
  /** What was asked for together with it, each decided by itself; `hidden`: how many more there are. */
  readonly bundle: { readonly name: string; readonly siblings: readonly Request[]; readonly hidden: number } | null
}

/** The use cases from request to grant. Each is one transaction, with its audit event and its change. */
export interface Access {
  /** What the person may ask for now or later, in the file's order. @param resource: of this one alone. */
  offers(person: Person, asker?: Asker, resource?: string): readonly Offer[]
  /** What the person may ask for, and what they have as an emergency now. */
  usable(person: Person, asker?: Asker): Promise<readonly Offer[]>
  /** What the person may have in an emergency, and only then. */
  emergencies(person: Person, asker?: Asker, resource?: string): readonly Offer[]
  /** @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN, as `offer` does */
  emergency(person: Person, resource: string, role: string, asker?: Asker): Offer
  /** What is done with emergencies afterwards. */
  readonly reviews: Reviews
  /** Reviews of standing access. */
  readonly campaigns: Campaigns
  /** Statements that wait for somebody's word. */
  readonly questions: StatementQuestions
  /** @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN (with what they could have meant), NOT_ALLOWED; NO_GRANT for what can be had in an emergency only */
  offer(person: Person, resource: string, role: string, asker?: Asker): Offer
  /**
   * Files a request; where the policy needs nobody, it is approved at once and the grant exists when this resolves.
   * @throws Fault NOT_ALLOWED, OUTSIDE_WINDOW, POLICY_DENIES, FROM_ELSEWHERE (at the wished start), REASON_REQUIRED, TICKET_REQUIRED, LENGTH_REFUSED, LOCKED, INPUT_INVALID
   */
  ask(person: Person, wish: LooseWish): Promise<Request>
  /** Of which the person may ask for every part. */
  bundles(person: Person, asker?: Asker): readonly BundleOffer[]
  /** @throws Fault RESOURCE_UNKNOWN (with what they could have meant) */
  bundle(person: Person, name: string, asker?: Asker): BundleOffer
  /** Files a request for each part, or none. @throws Fault what `ask` throws, for any of them */
  askBundle(person: Person, wish: BundleWish): Promise<readonly Request[]>
  /**
   * More time for a living grant of one's own, counted from its end; its sessions live on. Decided as the grant was.
   * @throws Fault GRANT_UNKNOWN, GRANT_IN_WRONG_STATE, NOT_ALLOWED (where it cannot be extended), LENGTH_REFUSED, and what `ask` throws
   */
  extend(person: Person, grant: GrantId, wish: ExtensionWish): Promise<Request>
  /** How much more time may be asked for. @throws Fault GRANT_UNKNOWN, GRANT_IN_WRONG_STATE, NOT_ALLOWED */
  extension(person: Person, grant: GrantId): Promise<ExtensionOffer>
  /** Machines that this person may ask for; what they may have is what is offered to them. */
  machinesFor(person: Person): Promise<readonly Person[]>
  /** Who would have it: the machine of that name, or the person. @throws Fault NOT_ALLOWED */
  holder(person: Person, onBehalfOf: string | undefined): Promise<Person>
  /** Called off by its own requester, or by who asked on their behalf. @throws Fault REQUEST_UNKNOWN, REQUEST_CLOSED */
  cancel(person: Person, request: RequestId): Promise<void>
  /**
   * @param terms what an approver makes of it: shorter, narrower, later; never more than was asked for.
   * @throws Fault REQUEST_UNKNOWN, SELF_APPROVAL, NOT_ALLOWED, ALREADY_DECIDED, REQUEST_CLOSED, REQUEST_LAPSED, LOCKED; INPUT_INVALID, LENGTH_REFUSED (terms)
   * @returns the request as it is after this decision.
   */
  decide(
    person: Person,
    request: RequestId,
    verdict: Decision['verdict'],
    comment: string,
    asker?: Asker | Elsewhere,
    terms?: Terms | null,
  ): Promise<Request>
  /** By an approver of that grant or an operator. Ends live sessions. @throws Fault GRANT_UNKNOWN, GRANT_IN_WRONG_STATE, NOT_ALLOWED */
  revoke(person: Person, grant: GrantId, comment: string): Promise<void>
  /** By its own person, or by who asked on their behalf, early. */
  handBack(person: Person, grant: GrantId): Promise<void>
  /** By operators. `lengthMs` absent: until it is lifted. @throws Fault NOT_ALLOWED, INPUT_INVALID (empty scope, no address, no reason, over already; the key stands for another) */
  placeLock(person: Person, scope: LockScope, reason: string, lengthMs?: number | null, key?: string): Promise<Lock>
  liftLock(person: Person, lock: LockId): Promise<void>
  /** Those that stand now, oldest first. */
  locks(): Promise<readonly Lock[]>
  /** Lifted or over, the last that was first. */
  pastLocks(limit: number): Promise<readonly Lock[]>

  /** Whether their word is waited for now. */
  mayDecide(person: Person, view: RequestView): boolean
  /** Whether they decide on such a request, in whatever step. */
  decidesOn(person: Person, view: RequestView): boolean
  isOperator(person: Person): boolean
  isReviewer(person: Person): boolean

  /** The requester, possible approvers, reviewers and operators may see it. @throws Fault REQUEST_UNKNOWN otherwise. */
  view(person: Person, request: RequestId): Promise<RequestView>
  /** What the requester did with their last grants on that resource; newest first. */
  pastUses(view: RequestView): Promise<readonly PastUse[]>
  /** Open requests that wait for this person's word, oldest first. */
  waitingFor(person: Person): Promise<readonly Requested[]>
  /** The same with everything a page shows of them. */
  toDecide(person: Person): Promise<readonly RequestView[]>
  /** Requests that were decided lately and that this person may see. */
  decided(person: Person, limit: number): Promise<readonly RequestView[]>
  requestsOf(person: Person, limit: number): Promise<readonly Request[]>
  /** Those that this person filed on behalf of machines, newest first. */
  requestsAskedBy(person: Person, limit: number): Promise<readonly Request[]>
  livingGrants(person: PersonId): Promise<readonly Grant[]>
  /** The link to a prefilled request page. */
  askLink(resource: string, role: string): URL
  /** The same for an emergency. */
  emergencyLink(resource: string, role: string): URL
  requestLink(request: RequestId): URL
  /** Where more time is asked for. */
  extendLink(grant: GrantId): URL

  /**
   * Waits until this person may open sessions as that role: an approval, or a grant by other means. Ends when what they
   * are known by does.
   * @throws Fault REQUEST_DENIED, REQUEST_LAPSED, REQUEST_WAIT_OVER, LOCKED, SIGNED_OUT; rejects with `signal.reason` when it aborts.
   */
  waitForGrant(who: Waiting, resource: string, role: string, waitMs: number, signal: AbortSignal): Promise<void>
  /** Settles what time alone decides: lapses requests, starts and expires grants. Returns how many it found. */
  sweep(): Promise<number>
}
