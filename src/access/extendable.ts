import type { Policy } from '../policy/rules.ts'
import { isUsedUp, waitsForUse } from './grant-life.ts'
import type { Active, Grant, Request, Scheduled } from './states.ts'

/** Why nobody can extend it, whatever they ask for. */
export function whyNotExtendable(grant: Scheduled | Active, isEmergency: boolean): string | undefined {
  if (grant.windows !== null) return 'Access for certain hours is not extended.'
  if (isEmergency) return 'What was taken in an emergency is not extended.'
  if (waitsForUse(grant)) return 'Its time has not begun yet: it begins with the first session.'
  if (grant.uses === 'once' && !isUsedUp(grant)) return 'It is for one session, which has not begun yet.'
  return undefined
}

/**
 * Whether a request was an emergency, whatever the file calls its policy by now; or would be one by the policy that gives
 * its access now.
 */
export function wasEmergency(
  request: Pick<Request, 'kind'> | undefined,
  policy: Pick<Policy, 'breakGlass'> | undefined,
): boolean {
  return request?.kind === 'break-glass' || policy?.breakGlass !== undefined
}

/** How much more time the policy would allow; infinite where it does not say. */
export function leftToExtendMs(grant: Grant, { grants }: Pick<Policy, 'grants'>): number {
  const totalMs = grants?.totalMs ?? null
  return totalMs === null ? Infinity : Math.max(0, totalMs - grant.lengthMs)
}
