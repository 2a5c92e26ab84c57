import type { Decision, Grant, Lock, Request, Requested } from '../../access/states.ts'
import type { DecisionId, GrantId, LockId, PersonId, RequestId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { Approval } from '../../policy/rules.ts'
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
  }
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

export function fromDecision({ id, request, person, verdict, comment, at }: Decision): DecisionRow {
  return { id, request_id: request, person_id: person, verdict, comment, at }
}

export function toDecision(row: DecisionRow): Decision {
  return {
    id: row.id as DecisionId,
    request: row.request_id as RequestId,
    person: row.person_id as PersonId,
    verdict: row.verdict as Decision['verdict'],
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
