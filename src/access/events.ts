import { auditEvent, refusalData, theGateway, type Actor, type AuditEvent, type AuditValue } from '../audit/event.ts'
import { asFault } from '../kernel/fault.ts'
import type { AccessDeps } from './deps.ts'
import type { RefusalType } from './refusals.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { ReviewId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { ClosedReview } from './review.ts'
import { approversWords, type Approvers } from '../policy/approval.ts'
import type { Decision, Grant, Lock, Request } from './states.ts'
import { termsWords } from './terms-words.ts'

/** How a decision came, if not from a page or the API. */
interface Via {
  readonly via?: string
}

/** The audit events of this room: one helper for each fact. */
export const accessEvents = {
  opened: (request: Request, by: Person): AuditEvent =>
    auditEvent('request.opened', request.askedAt, actor(by), {
      ...requestData(request),
      lengthMs: request.lengthMs,
      reason: request.reason,
      ticket: request.ticket,
      policy: request.policy,
      origin: request.origin,
      riskScore: request.risk?.score,
      riskLevel: request.risk?.level,
      riskFactors: request.risk?.factors.map(({ code }) => code),
      startsAt: request.startsAt === null ? null : isoTime(request.startsAt),
    }),
  closed: (
    request: Exclude<Request, { state: 'requested' }>,
    by: Actor,
    decision?: Decision,
    via: Via = {},
  ): AuditEvent =>
    auditEvent(`request.${request.state}`, request.closedAt, by, {
      ...requestData(request),
      requester: request.person,
      ...(decision !== undefined && decisionData(decision)),
      ...via,
    }),
  /** A word that settles nothing alone. `missing`: people that the step that is waited for needs. */
  seconded: (request: Request, by: Person, decision: Decision, missing: number, via: Via): AuditEvent =>
    auditEvent(`request.${decision.verdict === 'approve' ? 'approval' : 'refusal'}-given`, decision.at, actor(by), {
      ...requestData(request),
      requester: request.person,
      ...decisionData(decision),
      missing,
      ...via,
    }),
  escalated: (request: Request, to: Approvers | undefined, at: Instant): AuditEvent =>
    auditEvent('request.escalated', at, theGateway, {
      ...requestData(request),
      requester: request.person,
      step: request.step + 1,
      called: to && approversWords(to),
    }),
  brokeGlass: (request: Request, grant: Grant | undefined, review: ReviewId, by: Person): AuditEvent =>
    auditEvent('request.break-glass', request.askedAt, actor(by), {
      ...requestData(request),
      grant: grant?.id,
      expiresAt: grant && isoTime(grant.expiresAt),
      reason: request.reason,
      ticket: request.ticket,
      policy: request.policy,
      origin: request.origin,
      review,
    }),
  reviewed: (review: ClosedReview, request: Request, by: Person): AuditEvent =>
    auditEvent('review.closed', review.closedAt, actor(by), {
      review: review.id,
      ...requestData(request),
      requester: review.person,
      verdict: review.verdict,
      comment: review.comment,
    }),
  started: (grant: Grant, at: Instant): AuditEvent =>
    auditEvent('grant.started', at, theGateway, {
      ...grantData(grant),
      state: grant.state,
      startsAt: isoTime(grant.startsAt),
      expiresAt: isoTime(grant.expiresAt),
    }),
  extended: (grant: Grant, request: Request, byMs: number, by: Actor, at: Instant): AuditEvent =>
    auditEvent('grant.extended', at, by, {
      ...grantData(grant),
      request: request.id,
      lengthMs: byMs,
      expiresAt: isoTime(grant.expiresAt),
    }),
  ended: (grant: Extract<Grant, { endedAt: Instant }>, by: Actor): AuditEvent =>
    auditEvent(grantEnds[grant.state], grant.endedAt, by, { ...grantData(grant), comment: grant.comment }),
  locked: (lock: Lock, by: Person): AuditEvent =>
    auditEvent('lock.placed', lock.placedAt, actor(by), {
      lock: lock.id,
      ...scopeData(lock),
      reason: lock.reason,
      until: lock.until === null ? null : isoTime(lock.until),
    }),
  lifted: (lock: Lock, by: Actor, at: Instant): AuditEvent =>
    auditEvent('lock.lifted', at, by, { lock: lock.id, ...scopeData(lock) }),
}

const grantEnds = { expired: 'grant.expired', revoked: 'grant.revoked', ended: 'grant.handed-back' } as const

export function actor(person: Person): Actor {
  return { id: person.id, name: displayName(person) }
}

function requestData({ id, person, askedBy, resource, role }: Request) {
  return { request: id, resource, role, holder: askedBy === null ? undefined : person }
}

/** `step` counts from 1, as people do. */
function decisionData({ id, step, terms, comment }: Decision) {
  return { decision: id, step: step + 1, terms: termsWords(terms, isoTime) || undefined, comment }
}

function grantData({ id, request, person, resource, role }: Grant) {
  return { grant: id, request, holder: person, resource, role }
}

function scopeData({ scope }: Lock) {
  return {
    ...{ scopePerson: scope.person, scopeGroup: scope.group ?? null, scopeResource: scope.resource },
    ...{ scopeRole: scope.role, scopeAddress: scope.address ?? null },
  }
}

/**
 * What was refused leaves a trace too, of the same only so often in a minute. A failing store is the caller's bigger
 * problem, and goes on to them.
 */
export async function recordRefusal(
  { store, clock, metrics, refusals }: Pick<AccessDeps, 'store' | 'clock' | 'metrics' | 'refusals'>,
  type: RefusalType,
  person: Person,
  error: unknown,
  data: Readonly<Record<string, AuditValue>>,
): Promise<void> {
  const fault = asFault(error)
  if (fault === undefined || fault.code === 'STORE_FAILED') return
  metrics.add('curfew_refusals_total', { kind: type, code: fault.code })
  const { isKept, before } = refusals.count(actor(person), type, fault.code)
  const about = { ...data, ...refusalData(fault.code, fault.message) }
  await recordAll(store, [...before, ...(isKept ? [auditEvent(type, clock.now(), actor(person), about)] : [])])
}

/** Does what may be refused; a refusal leaves its trace. */
export async function orRefused<T>(
  deps: Parameters<typeof recordRefusal>[0],
  type: RefusalType,
  person: Person,
  data: Readonly<Record<string, AuditValue>>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    await recordRefusal(deps, type, person, error, data)
    throw error
  }
}

/** Writes how many refusals were left out. @returns 0: time alone decided nothing about access. */
export async function settleRefusals({ store, refusals }: Pick<AccessDeps, 'store' | 'refusals'>): Promise<0> {
  await recordAll(store, refusals.takeOver())
  return 0
}

async function recordAll(store: AccessDeps['store'], events: readonly AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  await store.transact(async (tx) => {
    for (const event of events) await tx.record(event)
  })
}
