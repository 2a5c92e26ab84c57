import type { Machines } from '../identity/identity.ts'
import { isMachinePerson, type Person } from '../identity/person.ts'
import type { ChangeFeed } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId, Random } from '../kernel/ids.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Clock } from '../kernel/time.ts'
import type { Bundle } from '../policy/bundle.ts'
import { inAny } from '../policy/decide.ts'
import type { RiskSettings } from '../policy/risk.ts'
import type { Rules } from '../policy/rules.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import type { HistoryReads } from './history.ts'
import type { Refusals } from './refusals.ts'
import type { AccessStore } from './store.ts'

/** What the use cases stand on. */
export interface AccessDeps {
  /** As they are now: another file may have been taken over. */
  readonly rules: Rules
  /** What is asked for together, as it is now; absent: nothing. */
  readonly bundles?: () => readonly Bundle[]
  readonly store: AccessStore
  readonly history: HistoryReads
  readonly risk: RiskSettings
  readonly changes: ChangeFeed
  readonly catalogue: Catalogue
  readonly staff: { readonly reviewers: readonly string[]; readonly operators: readonly string[] }
  /** `managerClaim` absent: nobody knows whose manager is who. */
  readonly settings: { readonly requestMs: number; readonly managerClaim?: string }
  readonly publicUrl: URL
  readonly person: (id: PersonId) => Promise<Person | undefined>
  /** Everybody with that address, in whatever letters. */
  readonly peopleByEmail: (email: string) => Promise<readonly Person[]>
  /** Absent: there are none. */
  readonly machines?: Pick<Machines, 'askedForBy' | 'byName'>
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  readonly refusals: Refusals
}

/** The person behind an id that the state itself holds. */
export async function knownPerson(deps: Pick<AccessDeps, 'person'>, id: PersonId): Promise<Person> {
  const person = await deps.person(id)
  if (person === undefined) throw new Fault('STORE_FAILED', `The state names ${id}, whom it does not know.`)
  return person
}

export function isOperator({ staff }: Pick<AccessDeps, 'staff'>, person: Person): boolean {
  return isStaff(person, staff.operators)
}

/** Duties on the gateway itself are for people, whatever groups a machine is in. */
export function isStaff(person: Person, groups: readonly string[]): boolean {
  return !isMachinePerson(person) && inAny(person.groups, groups)
}
