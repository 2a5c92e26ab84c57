import type { Decision, Grant, Lock, Recurrence, Request, RequestKind, Requested, Terms } from '../../access/states.ts'
import type { BundleId, DecisionId, GrantId, LockId, PersonId, RequestId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { Approval } from '../../policy/approval.ts'
import type { Risk } from '../../policy/risk.ts'
import type { Weekly } from '../../policy/rules.ts'
import type { DecisionRow, GrantRow, LockRow, RequestRow } from './tables.ts'

// Between the values of the access room and their rows. The database's own checks vouch for what the casts say.

export function fromRequest(request: Request): RequestRow {
  return {
    id: request.id,
    person_id: request.person,
    resource: request.resource,
    role: request.role,
    length_ms: request.lengthMs,
    reason: request.reason,
    ticket: request.ticket,
    starts_at: request.startsAt,
    policy: request.policy,
    approval: JSON.stringify(request.approval),
    origin: request.origin,
    asked_at: request.askedAt,
    lapses_at: request.lapsesAt,
    state: request.state,
    closed_at: request.state === 'requested' ? null : request.closedAt,
    kind: request.kind,
    asked_by: request.askedBy,
    extends_grant_id: request.extends,
    bundle_id: request.bundle?.id ?? null,
    bundle_name: request.bundle?.name ?? null,
    recurrence: json(request.recurrence),
    risk: json(request.risk),
    step: request.step,
    step_since: request.stepSince,
    escalated_at: request.escalatedAt,
  }
}

function json(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value)
}

function parsed<T>(text: string | null): T | null {
  return text === null ? null : (JSON.parse(text) as T)
}

function toAsked(row: RequestRow): Omit<Requested, 'state'> {
  return {
    id: row.id as RequestId,
    person: row.person_id as PersonId,
    resource: row.resource,
    role: row.role,
    lengthMs: row.length_ms,
    reason: row.reason,
    ticket: row.ticket,
    startsAt: row.starts_at as Instant | null,
    policy: row.policy,
    approval: JSON.parse(row.approval) as Approval,
    origin: row.origin,
    askedAt: row.asked_at as Instant,
    lapsesAt: row.lapses_at as Instant,
    kind: row.kind as RequestKind,
    askedBy: row.asked_by as PersonId | null,
    extends: row.extends_grant_id as GrantId | null,
    bundle: row.bundle_id === null ? null : { id: row.bundle_id as BundleId, name: row.bundle_name ?? '' },
    recurrence: parsed<Recurrence>(row.recurrence),
    risk: parsed<Risk>(row.risk),
    step: row.step,
    stepSince: row.step_since as Instant,
    escalatedAt: row.escalated_at as Instant | null,
  }
}

export function toRequested(row: RequestRow): Requested {
  return { ...toAsked(row), state: 'requested' }
}

export function toRequest(row: RequestRow): Request {
  if (row.state === 'requested') return toRequested(row)
  const state = row.state as Exclude<Request['state'], 'requested'>
  return { ...toAsked(row), state, closedAt: row.closed_at as Instant }
}

export function fromDecision({ id, request, person, verdict, step, terms, comment, at }: Decision): DecisionRow {
  return { id, request_id: request, person_id: person, verdict, step, terms: json(terms), comment, at }
}

export function toDecision(row: DecisionRow): Decision {
  return {
    id: row.id as DecisionId,
    request: row.request_id as RequestId,
    person: row.person_id as PersonId,
    verdict: row.verdict as Decision['verdict'],
    step: row.step,
    terms: parsed<Terms>(row.terms),
    comment: row.comment,
    at: row.at as Instant,
  }
}

export function fromGrant(grant: Grant): GrantRow {
  const over = grant.state === 'scheduled' || grant.state === 'active' ? undefined : grant
  return {
    id: grant.id,
    request_id: grant.request,
    person_id: grant.person,
    resource: grant.resource,
    role: grant.role,
    policy: grant.policy,
    starts_at: grant.startsAt,
    expires_at: grant.expiresAt,
    state: grant.state,
    ended_at: over?.endedAt ?? null,
    ended_by: over?.endedBy ?? null,
    comment: over?.comment ?? null,
    length_ms: grant.lengthMs,
    clock: grant.clock,
    uses: grant.uses,
    first_used_at: grant.firstUsedAt,
    use_by: grant.useBy,
    windows: json(grant.windows),
    databases: json(grant.databases),
    networks: json(grant.networks),
  }
}

export function toGrant(row: GrantRow): Grant {
  const given = {
    id: row.id as GrantId,
    request: row.request_id as RequestId,
    person: row.person_id as PersonId,
    resource: row.resource,
    role: row.role,
    policy: row.policy,
    startsAt: row.starts_at as Instant,
    expiresAt: row.expires_at as Instant,
    lengthMs: row.length_ms,
    clock: row.clock as Grant['clock'],
    uses: row.uses as Grant['uses'],
    firstUsedAt: row.first_used_at as Instant | null,
    useBy: row.use_by as Instant | null,
    windows: parsed<readonly Weekly[]>(row.windows),
    databases: parsed<readonly string[]>(row.databases),
    networks: parsed<readonly string[]>(row.networks),
  }
  const state = row.state as Grant['state']
  if (state === 'scheduled' || state === 'active') return { ...given, state }
  return {
    ...given,
    state,
    endedAt: row.ended_at as Instant,
    endedBy: row.ended_by as PersonId | null,
    comment: row.comment,
  }
}

export function fromLock(lock: Lock): LockRow {
  return {
    id: lock.id,
    person_id: lock.scope.person,
    group_name: lock.scope.group ?? null,
    resource: lock.scope.resource,
    role: lock.scope.role,
    address: lock.scope.address ?? null,
    reason: lock.reason,
    placed_by: lock.placedBy,
    placed_at: lock.placedAt,
    until: lock.until,
    lifted_by: lock.liftedBy,
    lifted_at: lock.liftedAt,
  }
}

export function toLock(row: LockRow): Lock {
  return {
    id: row.id as LockId,
    scope: {
      person: row.person_id as PersonId | null,
      group: row.group_name,
      resource: row.resource,
      role: row.role,
      address: row.address,
    },
    reason: row.reason,
    placedBy: row.placed_by as PersonId,
    placedAt: row.placed_at as Instant,
    until: row.until as Instant | null,
    liftedBy: row.lifted_by as PersonId | null,
    liftedAt: row.lifted_at as Instant | null,
  }
}
