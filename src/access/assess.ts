import type { Person } from '../identity/person.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import { riskOf, type Risk, type RiskyWish } from '../policy/risk.ts'
import type { Rules, Weekly } from '../policy/rules.ts'
import { sameHuman } from '../policy/subject.ts'
import type { Asker, RequestView } from './access.ts'
import type { AccessDeps } from './deps.ts'
import { usableFrom } from './grant-life.ts'

type Assessed = Pick<RiskyWish, 'resource' | 'lengthMs'> & {
  readonly startsAt: Instant | null
  /** Of recurring hours. */
  readonly windows?: readonly Weekly[] | null | undefined
  readonly asker?: Asker | undefined
}

/** How risky it is to give this to that person, by what is known of them before `now`. */
export async function assess(
  deps: Pick<AccessDeps, 'history' | 'risk'> & { readonly rules: Pick<Rules, 'countryOf'> },
  person: PersonId,
  { resource, lengthMs, startsAt, windows, asker }: Assessed,
  now: Instant,
): Promise<Risk> {
  const history = await deps.history.history(person, resource.name, now)
  const startAt = startsAt !== null && startsAt > now ? startsAt : now
  const at = windows === null || windows === undefined ? startAt : usableFrom(startAt, [{ when: windows }])
  return riskOf({ resource, lengthMs, at, address: asker?.address }, history, deps.risk, deps.rules.countryOf)
}

/** Those who ask are not told by what they stand out. */
export function seesRisk({ request, requester }: Pick<RequestView, 'request' | 'requester'>, person: Person): boolean {
  return !sameHuman(requester, person) && request.askedBy !== person.id
}
