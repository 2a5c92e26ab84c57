import type { Policy } from '../policy/rules.ts'
import { isUsedUp, waitsForUse } from './grant-life.ts'
import type { Active, Grant, Scheduled } from './states.ts'

/** Why nobody can extend it, whatever they ask for. `policy`: the one that gives it. */
export function whyNotExtendable(grant: Scheduled | Active, policy: Pick<Policy, 'breakGlass'>): string | undefined {
  if (grant.windows !== null) return 'Access for certain hours is not extended.'
  if (policy.breakGlass !== undefined) return 'What was taken in an emergency is not extended.'
  if (waitsForUse(grant)) return 'Its time has not begun yet: it begins with the first session.'
  if (grant.uses === 'once' && !isUsedUp(grant)) return 'It is for one session, which has not begun yet.'
  return undefined
}

/** How much more time the policy would allow; infinite where it does not say. */
export function leftToExtendMs(grant: Grant, { grants }: Pick<Policy, 'grants'>): number {
  const totalMs = grants?.totalMs ?? null
  return totalMs === null ? Infinity : Math.max(0, totalMs - grant.lengthMs)
}
