import { endOfTime, isUsedUp, lastsUntil } from '../access/grant-life.ts'
import type { Active } from '../access/states.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import type { Rules } from '../policy/rules.ts'
import type { Ask } from './admission.ts'
import { foresee, refusal, type Basis } from './basis.ts'

/** A grant, and what a session under it would hang on. */
export interface Candidate {
  readonly grant: Active
  readonly basis: Basis
}

type Wanted = Pick<Ask, 'database' | 'reachesAllDatabases' | 'client'>

/**
 * Of several grants for one role, the one under which this client's session would last longest.
 * @returns why each refuses, in the words of the one that could have lasted longest; undefined when none is left.
 */
export function chooseGrant(
  rules: Rules,
  candidates: readonly Candidate[],
  ask: Wanted,
  now: Instant,
): Candidate | Fault | undefined {
  const living = candidates
    .filter(({ grant }) => now < endOfTime(grant))
    .toSorted((left, right) => lastsUntil(right.grant, now) - lastsUntil(left.grant, now))
  const weighed = living.map((one) => ({ one, fault: whyNot(rules, one, ask, now) }))
  const admitting = weighed.filter(({ fault }) => fault === undefined).map(({ one }) => one)
  if (admitting.length < 2) return admitting[0] ?? telling(weighed.flatMap(({ fault }) => fault ?? []))
  const endsAt = (one: Candidate) => endOf(rules, one, ask, now)
  return admitting.toSorted((left, right) => endsAt(right) - endsAt(left))[0]
}

function whyNot(rules: Rules, { grant, basis }: Candidate, ask: Wanted, now: Instant) {
  if (isUsedUp(grant)) return usedUpFault(grant)
  return databaseRefusal(grant, ask) ?? refusal(rules, basis, ask.client.address, now)
}

function databaseRefusal({ databases, resource, role }: Active, { database, reachesAllDatabases }: Wanted) {
  if (databases === null) return undefined
  const isWhole = reachesAllDatabases === true
  if (!isWhole && database !== null && databases.includes(database)) return undefined
  const which = isWhole ? 'every database, as replication is' : 'this database'
  return new Fault('DATABASE_REFUSED', `Your access to ${resource} as ${role} is not for ${which}.`, {
    hint: `It was approved for ${databases.join(', ')} only.`,
  })
}

/** Something can be done about most; what is used up is told last. */
function telling(faults: readonly Fault[]): Fault | undefined {
  return faults.find(({ code }) => code !== 'GRANT_USED_UP') ?? faults[0]
}

export function usedUpFault({ resource, role }: Pick<Active, 'resource' | 'role'>): Fault {
  return new Fault('GRANT_USED_UP', `Your access to ${resource} as ${role} was for one session, which has begun.`)
}

function endOf(rules: Rules, { grant, basis }: Candidate, { client }: Pick<Ask, 'client'>, now: Instant): number {
  const until = lastsUntil(grant, now)
  return foresee(rules, basis, client.address, now, until).closing?.at ?? until
}
