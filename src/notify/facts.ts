import type { AccessReads } from '../access/store.ts'
import type { Given } from '../access/place.ts'
import type { Decision, Grant, Lock, Request, Terms } from '../access/states.ts'
import { waitsFor } from '../access/steps.ts'
import type { NoticeType } from '../access/outbox.ts'
import type { Campaign } from '../access/campaign.ts'
import type { StatementQuestion } from '../access/question.ts'
import type { Review } from '../access/review.ts'
import { approversWords } from '../policy/approval.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { CampaignId, EntryId, GrantId, LockId, PersonId, QuestionId, RequestId, ReviewId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { Risk } from '../policy/risk.ts'
import type { Policy } from '../policy/rules.ts'
import { grantLifeFacts, requestLife, type GrantLifeFacts, type RequestLifeFacts } from './life-facts.ts'
import { readCampaign, type CampaignEntryFacts, type CampaignFacts } from './campaign-facts.ts'
import { readReview, type ReviewFacts } from './review-facts.ts'
import { readStatement, type StatementFacts } from './statement-facts.ts'

// What notices say. Webhooks carry these shapes as they are, so a field is added but never taken away or given another
// meaning: docs/notifications.md.

export interface PersonFacts {
  readonly id: PersonId
  readonly name: string
  readonly email: string | null
}
/** Null fields: as it was asked for. */
export interface TermsFacts {
  readonly lengthSeconds: number | null
  readonly startsAt: string | null
  readonly role: string | null
  readonly databases: readonly string[] | null
  readonly networks: readonly string[] | null
}
/** Whom an open request waits for. */
export interface WaitsForFacts {
  /** From 1, of so many. */
  readonly step: number
  readonly steps: number
  /** Such as `dba or leads`. */
  readonly who: string
  /** More distinct people. */
  readonly missing: number
  readonly since: string
  /** Who is called as well, and when they were or will be; null: nobody. */
  readonly escalation: { readonly to: string; readonly at: string; readonly called: boolean } | null
}
export interface DecisionFacts {
  readonly by: PersonFacts
  readonly verdict: Decision['verdict']
  /** From 1. */
  readonly step: number
  /** What an approver made of it; null: as it was asked for. */
  readonly terms: TermsFacts | null
  /** Null when the operator keeps people's words out of messages. */
  readonly comment: string | null
  readonly at: string
}
export interface RequestFacts extends RequestLifeFacts {
  readonly id: RequestId
  readonly link: string
  readonly state: Request['state']
  readonly resource: string
  readonly role: string
  readonly requester: PersonFacts
  readonly lengthSeconds: number
  readonly reason: string | null
  readonly ticket: string | null
  readonly policy: string
  readonly origin: string
  readonly askedAt: string
  readonly startsAt: string | null
  readonly lapsesAt: string
  readonly closedAt: string | null
  readonly decisions: readonly DecisionFacts[]
  /** Null when it is closed. */
  readonly waitsFor: WaitsForFacts | null
  /** Null where it was not worked out. */
  readonly risk: Risk | null
}
export interface GrantFacts extends GrantLifeFacts {
  readonly id: GrantId
  readonly request: RequestId
  readonly link: string
  readonly state: Grant['state']
  readonly resource: string
  readonly role: string
  readonly person: PersonFacts
  readonly startsAt: string
  readonly expiresAt: string
  readonly endedAt: string | null
  readonly endedBy: PersonFacts | null
  readonly comment: string | null
}
export interface LockFacts {
  readonly id: LockId
  readonly link: string
  readonly person: PersonFacts | null
  readonly group: string | null
  readonly resource: string | null
  readonly role: string | null
  readonly address: string | null
  readonly reason: string | null
  readonly placedBy: PersonFacts
  readonly placedAt: string
  /** Null: until somebody lifts it. */
  readonly until: string | null
  readonly liftedBy: PersonFacts | null
  readonly liftedAt: string | null
}
/** Exactly one of them is there. */
export interface NoticeFacts {
  readonly request?: RequestFacts
  readonly grant?: GrantFacts
  readonly review?: ReviewFacts
  /** With `entry` when one of its entries ended. */
  readonly campaign?: CampaignFacts
  readonly entry?: CampaignEntryFacts
  readonly statement?: StatementFacts
  readonly lock?: LockFacts
  readonly test?: { readonly by: PersonFacts; readonly link: string }
}

export interface FactsDeps {
  readonly reads: Pick<
    AccessReads,
    'request' | 'decisionsOn' | 'grant' | 'grantOf' | 'review' | 'campaign' | 'entriesOf' | 'question' | 'lock'
  >
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly policy: (name: string) => Policy | undefined
  readonly publicUrl: URL
  readonly includeReason: boolean
}

/** A notice before it has an id: what happened, and to whom it belongs. */
export interface Happening {
  readonly type: NoticeType
  readonly at: Instant
  readonly subject: RequestId | GrantId | ReviewId | CampaignId | EntryId | QuestionId | LockId
  readonly facts: NoticeFacts
  readonly about: About | null
  /** Of an emergency. */
  readonly review?: Review
  readonly campaign?: Campaign
  /** A statement that waits, or did. */
  readonly question?: StatementQuestion
  /** Who is told in person, where there is no request. */
  readonly holder?: Person
}

export interface About {
  readonly request: Request
  readonly requester: Person
  /** The requester, and who asked on their behalf. */
  readonly requesters: readonly Person[]
  /** Who said what already. */
  readonly voices: readonly Given[]
}

/** Reads what is true now and puts it into the words of notices. Links carry ids only. */
export class Facts {
  readonly #deps: FactsDeps

  constructor(deps: FactsDeps) {
    this.#deps = deps
  }

  async request(type: NoticeType, id: RequestId): Promise<Happening | undefined> {
    const { reads } = this.#deps
    const request = await reads.request(id)
    const requester = request && (await this.#deps.person(request.person))
    if (request === undefined || requester === undefined) return undefined
    const given = await reads.decisionsOn(id)
    const decisions = await Promise.all(given.map((decision) => this.#decision(decision)))
    const about = await this.#about(request, requester, given)
    const closedAt = request.state === 'requested' ? null : request.closedAt
    const facts: RequestFacts = {
      ...{ id, link: this.#link('requests', id), state: request.state },
      ...{ resource: request.resource, role: request.role, requester: factsOf(requester) },
      lengthSeconds: Math.ceil(request.lengthMs / 1000),
      reason: this.#words(request.reason),
      ticket: this.#words(request.ticket),
      ...{ policy: request.policy, origin: request.origin },
      ...{ askedAt: isoTime(request.askedAt), lapsesAt: isoTime(request.lapsesAt) },
      ...{ startsAt: timeOrNull(request.startsAt), closedAt: timeOrNull(closedAt), decisions },
      waitsFor: waitsForFacts(request, about.voices),
      risk: request.risk,
      ...requestLife(request),
    }
    const at = closedAt ?? happenedAt(type, request, given)
    return { type, at, subject: id, facts: { request: facts }, about }
  }

  async grant(type: NoticeType, id: GrantId): Promise<Happening | undefined> {
    const grant = await this.#deps.reads.grant(id)
    const request = grant && (await this.#deps.reads.request(grant.request))
    const requester = grant && (await this.#deps.person(grant.person))
    if (grant === undefined || request === undefined || requester === undefined) return undefined
    const ended = 'endedAt' in grant ? grant : null
    const facts: GrantFacts = {
      ...{ id, request: grant.request, link: this.#link('requests', grant.request), state: grant.state },
      ...{ resource: grant.resource, role: grant.role, person: factsOf(requester) },
      ...{ startsAt: isoTime(grant.startsAt), expiresAt: isoTime(grant.expiresAt) },
      endedAt: timeOrNull(ended?.endedAt ?? null),
      endedBy: await this.#person(ended?.endedBy ?? null),
      comment: this.#words(ended?.comment ?? null),
      ...grantLifeFacts(grant, request, this.#deps.policy(grant.policy), ({ id: of }) =>
        this.#link('grants', of, 'extend'),
      ),
    }
    const at = ended?.endedAt ?? grant.startsAt
    return { type, at, subject: id, facts: { grant: facts }, about: await this.#about(request, requester, []) }
  }

  async review(type: NoticeType, id: ReviewId): Promise<Happening | undefined> {
    const read = await readReview(this.#deps, type, id)
    if (read === undefined) return undefined
    const { at, facts, review, request, requester } = read
    return { type, at, subject: id, facts: { review: facts }, about: await this.#about(request, requester, []), review }
  }

  async campaign(type: NoticeType, id: CampaignId, entry: EntryId | undefined): Promise<Happening | undefined> {
    const read = await readCampaign(this.#deps, type, id, entry)
    return read && { type, subject: entry ?? id, about: null, ...read }
  }

  async statement(type: NoticeType, id: QuestionId): Promise<Happening | undefined> {
    const read = await readStatement(this.#deps, type, id)
    if (read === undefined) return undefined
    const { at, facts, question, request, requester } = read
    const about = await this.#about(request, requester, [])
    return { type, at, subject: id, facts: { statement: facts }, about, question }
  }

  async lock(type: NoticeType, id: LockId): Promise<Happening | undefined> {
    const lock = await this.#deps.reads.lock(id)
    if (lock === undefined) return undefined
    const facts = await this.#lock(lock)
    const at = type === 'lock.lifted' ? (lock.liftedAt ?? lock.placedAt) : lock.placedAt
    return { type, at, subject: id, facts: { lock: facts }, about: null }
  }

  test(by: Person): NoticeFacts {
    return { test: { by: factsOf(by), link: this.#link('operations', 'notifications') } }
  }

  async #lock(lock: Lock): Promise<LockFacts> {
    const { scope } = lock
    return {
      ...{ id: lock.id, link: this.#link('locks') },
      person: await this.#person(scope.person),
      ...{ group: scope.group ?? null, resource: scope.resource, role: scope.role, address: scope.address ?? null },
      ...{ reason: this.#words(lock.reason), until: timeOrNull(lock.until) },
      ...{ placedBy: await this.#known(lock.placedBy), placedAt: isoTime(lock.placedAt) },
      ...{ liftedBy: await this.#person(lock.liftedBy), liftedAt: timeOrNull(lock.liftedAt) },
    }
  }

  async #decision({ person, verdict, step, terms, comment, at }: Decision): Promise<DecisionFacts> {
    return {
      ...{ by: await this.#known(person), verdict, step: step + 1, terms: termsFacts(terms) },
      ...{ comment: this.#words(comment), at: isoTime(at) },
    }
  }

  async #about(request: Request, requester: Person, given: readonly Decision[]): Promise<About> {
    const asker = request.askedBy === null ? undefined : await this.#deps.person(request.askedBy)
    const voices = await Promise.all(
      given.map(async (decision) => {
        const person = await this.#deps.person(decision.person)
        return person === undefined ? [] : [{ decision, person }]
      }),
    )
    return {
      request,
      requester,
      requesters: asker === undefined ? [requester] : [requester, asker],
      voices: voices.flat(),
    }
  }

  async #person(id: PersonId | null): Promise<PersonFacts | null> {
    return id === null ? null : this.#known(id)
  }

  async #known(id: PersonId): Promise<PersonFacts> {
    const person = await this.#deps.person(id)
    return person === undefined ? { id, name: id, email: null } : factsOf(person)
  }

  #words(text: string | null): string | null {
    return this.#deps.includeReason && text !== '' ? text : null
  }

  #link(...path: readonly string[]): string {
    return new URL(path.map(encodeURIComponent).join('/'), this.#deps.publicUrl).href
  }
}

function termsFacts(terms: Terms | null): TermsFacts | null {
  if (terms === null) return null
  const { lengthMs, startsAt, role, databases, networks } = terms
  const lengthSeconds = lengthMs === null ? null : Math.ceil(lengthMs / 1000)
  return { lengthSeconds, startsAt: timeOrNull(startsAt), role, databases, networks }
}

function waitsForFacts(request: Request, voices: readonly Given[]): WaitsForFacts | null {
  const waits = waitsFor(request, voices)
  if (waits === null || request.approval.kind === 'none') return null
  const { missing, since, others } = waits
  return {
    ...{ step: request.step + 1, steps: request.approval.steps.length, who: approversWords(waits), missing },
    since: isoTime(since),
    escalation: others === null ? null : { to: approversWords(others), at: isoTime(others.at), called: others.called },
  }
}

function happenedAt(type: NoticeType, request: Request, given: readonly Decision[]): Instant {
  if (type === 'request.advanced') return request.stepSince
  if (type === 'request.escalated') return request.escalatedAt ?? request.stepSince
  return type === 'request.opened' ? request.askedAt : (given.at(-1)?.at ?? request.askedAt)
}

export function factsOf(person: Person): PersonFacts {
  return { id: person.id, name: displayName(person), email: person.email }
}

function timeOrNull(at: Instant | null): string | null {
  return at === null ? null : isoTime(at)
}
