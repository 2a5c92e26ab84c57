import { later, type Instant } from '../kernel/time.ts'
import type { Circumstances, Policy } from '../policy/rules.ts'
import { isInside, nextEdge } from '../policy/times.ts'
import type { Grant, Request } from './states.ts'

/** What a grant knows of its own time. */
export type GrantLife = Pick<Grant, 'expiresAt' | 'lengthMs' | 'clock' | 'uses' | 'firstUsedAt' | 'useBy' | 'windows'>

/** A grant whose clock starts at the first use cannot stay unused for ever. */
export const unusedMsOfFirstUse: number = 86_400_000
const edgesMax = 3000

/**
 * How long a grant lives, and what ends it early. A stretch of windows runs from its start, whatever the policy says
 * of clocks, as its windows are on the wall.
 * @param policy undefined: nothing is known of it any more.
 */
export function grantLife(
  { lengthMs, recurrence }: Pick<Request, 'lengthMs' | 'recurrence'>,
  startsAt: Instant,
  policy: Pick<Policy, 'grants' | 'when' | 'dates'> | undefined,
): GrantLife {
  const windows = recurrence?.windows ?? null
  const { clock: wanted = 'start', uses = 'many', unusedMs: bound = null } = policy?.grants ?? {}
  const clock = windows === null ? wanted : 'start'
  const unusedMs = bound ?? (clock === 'first-use' ? unusedMsOfFirstUse : null)
  const usableAt = usableFrom(startsAt, [policy ?? {}, windows === null ? {} : { when: windows }])
  const lateAt = unusedMs === null ? null : later(usableAt, unusedMs)
  const given = { lengthMs, clock, uses, firstUsedAt: null, windows }
  if (clock === 'first-use' && lateAt !== null) return { ...given, expiresAt: lateAt, useBy: lateAt }
  const expiresAt = later(startsAt, lengthMs)
  return { ...given, expiresAt, useBy: lateAt !== null && lateAt < expiresAt ? lateAt : null }
}

/** The first instant that is inside all of these; `at` itself when none is in sight. */
export function usableFrom(at: Instant, all: readonly Pick<Circumstances, 'when' | 'dates'>[]): Instant {
  let edge: Instant | null = at
  for (let step = 0; step < edgesMax && edge !== null; step++) {
    const from: Instant = edge
    if (all.every((times) => isInside(times, from))) return from
    const edges = all.map((times) => nextEdge(times, from)).filter((next) => next !== null)
    edge = edges.length === 0 ? null : (Math.min(...edges) as Instant)
  }
  return at
}

/** When time ends it, as things are: it is too late to use it, or its time is over. */
export function endOfTime({
  expiresAt,
  useBy,
  firstUsedAt,
}: Pick<Grant, 'expiresAt' | 'useBy' | 'firstUsedAt'>): Instant {
  return firstUsedAt === null && useBy !== null && useBy < expiresAt ? useBy : expiresAt
}

/** When it would end for somebody who uses it now. */
export function lastsUntil(grant: Grant, now: Instant): Instant {
  return grant.clock === 'first-use' && grant.firstUsedAt === null ? later(now, grant.lengthMs) : grant.expiresAt
}

/** Whether it was for one session, and that one has begun. */
export function isUsedUp({ uses, firstUsedAt }: Pick<Grant, 'uses' | 'firstUsedAt'>): boolean {
  return uses === 'once' && firstUsedAt !== null
}

/** Whether its clock waits for the first use. */
export function waitsForUse({ clock, firstUsedAt }: Pick<Grant, 'clock' | 'firstUsedAt'>): boolean {
  return clock === 'first-use' && firstUsedAt === null
}
