import { Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId } from '../kernel/ids.ts'
import { later, type Instant } from '../kernel/time.ts'
import { currentStep } from '../policy/approval.ts'
import type { Policy } from '../policy/rules.ts'
import { endOfTime, grantLife, lastsUntil } from './grant-life.ts'
import type {
  Active,
  Approved,
  Cancelled,
  Denied,
  Ended,
  Expired,
  Grant,
  Lapsed,
  Request,
  Requested,
  Revoked,
  Scheduled,
} from './states.ts'

// Pure steps over values, with time as an argument. A step that is not here does not exist.

export function approve(request: Requested, at: Instant): Approved {
  return { ...request, state: 'approved', closedAt: at }
}

export function deny(request: Requested, at: Instant): Denied {
  return { ...request, state: 'denied', closedAt: at }
}

export function cancel(request: Requested, at: Instant): Cancelled {
  return { ...request, state: 'cancelled', closedAt: at }
}

/** There is nothing left that it could be about. */
export function lapse(request: Requested, at: Instant): Lapsed {
  return { ...request, state: 'lapsed', closedAt: at }
}

/** The step of its approval is done; the next one is waited for from now on. */
export function nextStep(request: Requested, at: Instant): Requested {
  return { ...request, step: request.step + 1, stepSince: at, escalatedAt: null }
}

/** Others are called to a step that waited for long enough. @returns undefined: not now, or they were called already */
export function escalate(request: Requested, now: Instant): Requested | undefined {
  const escalation = currentStep(request)?.escalate ?? null
  if (escalation === null || request.escalatedAt !== null) return undefined
  const isDue = now >= later(request.stepSince, escalation.afterMs) && now < request.lapsesAt
  return isDue ? { ...request, escalatedAt: now } : undefined
}

/** What time alone does to a request. At `lapsesAt` itself it is over. */
export function settleRequest(request: Requested, now: Instant): Requested | Lapsed {
  return now < request.lapsesAt ? request : { ...request, state: 'lapsed', closedAt: request.lapsesAt }
}

/**
 * The grant that an approval gives. It starts now, or when it was asked for if that is later.
 * @param policy that decides what its grants are like; undefined: there is none any more.
 */
export function grantFrom(
  request: Approved,
  id: GrantId,
  now: Instant,
  policy?: Pick<Policy, 'grants' | 'when' | 'dates'>,
): Scheduled | Active {
  const startsAt = request.startsAt !== null && request.startsAt > now ? request.startsAt : now
  const given = {
    id,
    request: request.id,
    person: request.person,
    resource: request.resource,
    role: request.role,
    policy: request.policy,
    startsAt,
    ...grantLife(request, startsAt, policy),
    databases: null,
    networks: null,
  }
  return startsAt > now ? { ...given, state: 'scheduled' } : { ...given, state: 'active' }
}

/** Why a grant is over before its time, as its person reads it. */
export const notUsed = 'It was not used in time.'
export const usedUp = 'It was for one session, and that is over.'

/** What time alone does to a grant. The end instant itself is already outside. */
export function settleGrant(grant: Scheduled | Active, now: Instant): Scheduled | Active | Expired {
  const endsAt = endOfTime(grant)
  if (now >= endsAt) {
    const isUnused = grant.firstUsedAt === null && endsAt === grant.useBy
    return { ...grant, state: 'expired', endedAt: endsAt, endedBy: null, comment: isUnused ? notUsed : null }
  }
  if (grant.state === 'scheduled' && now >= grant.startsAt) return { ...grant, state: 'active' }
  return grant
}

/** Its first session begins, and its clock if it waited for that. @throws Fault GRANT_IN_WRONG_STATE when it is over */
export function useFirst(grant: Active, at: Instant): Active {
  if (grant.firstUsedAt !== null) return grant
  if (at >= endOfTime(grant)) throw new Fault('GRANT_IN_WRONG_STATE', 'The grant was not used in time.')
  return { ...grant, firstUsedAt: at, expiresAt: lastsUntil(grant, at) }
}

/** Its only session is over. */
export function useUp(grant: Active, at: Instant): Expired {
  return { ...grant, state: 'expired', endedAt: at, endedBy: null, comment: usedUp }
}

/** More time, counted from its end as it is now. */
export function extend<Living extends Scheduled | Active>(grant: Living, byMs: number): Living {
  return { ...grant, expiresAt: later(grant.expiresAt, byMs), lengthMs: grant.lengthMs + byMs }
}

export function revoke(grant: Scheduled | Active, by: PersonId, comment: string, at: Instant): Revoked {
  return { ...grant, state: 'revoked', endedAt: at, endedBy: by, comment }
}

export function handBack(grant: Scheduled | Active, at: Instant): Ended {
  return { ...grant, state: 'ended', endedAt: at, endedBy: grant.person, comment: null }
}

/** The one door from what the store returns to a request that can still be decided. */
export function expectOpen(request: Request, now: Instant): Requested {
  if (request.state === 'requested') {
    if (settleRequest(request, now).state === 'requested') return request
    throw new Fault('REQUEST_LAPSED', 'Nobody decided in time; the request has lapsed.')
  }
  if (request.state === 'lapsed') throw new Fault('REQUEST_LAPSED', 'The request has lapsed.')
  throw new Fault('REQUEST_CLOSED', `The request was ${request.state} already.`)
}

/** The one door to a grant that can still be ended. */
export function expectLiving(grant: Grant, now: Instant): Scheduled | Active {
  if (grant.state === 'scheduled' || grant.state === 'active') {
    const settled = settleGrant(grant, now)
    if (settled.state !== 'expired') return settled
    throw new Fault('GRANT_IN_WRONG_STATE', 'The grant has expired already.')
  }
  const how = { expired: 'has expired', revoked: 'was revoked', ended: 'was handed back' }[grant.state]
  throw new Fault('GRANT_IN_WRONG_STATE', `The grant ${how} already.`)
}
