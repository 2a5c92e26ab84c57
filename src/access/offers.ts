import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import { isVisible, judge, verdictWords } from '../policy/judge.ts'
import type { Policy } from '../policy/rules.ts'
import type { Situation } from '../policy/weigh.ts'
import { unknownName } from '../resources/catalogue.ts'
import type { Asker, Offer } from './access.ts'
import type { AccessDeps } from './deps.ts'

/**
 * @param emergency what may be had in an emergency, instead of what may be asked for in the usual way.
 * @param resource of this one alone; there may be thousands.
 */
export function offersFor(
  deps: AccessDeps,
  person: Person,
  asker?: Asker,
  emergency = false,
  resource?: string,
): Offer[] {
  const asked = { person, client: asker, emergency, at: deps.clock.now() }
  if (resource === undefined) return deps.catalogue.resources.flatMap((one) => offersOf(deps, one, asked))
  const named = deps.catalogue.resource(resource)
  return named === undefined ? [] : offersOf(deps, named, asked)
}

function offersOf(
  deps: AccessDeps,
  resource: Offer['resource'],
  asked: Pick<Situation, 'client' | 'emergency' | 'at'> & { readonly person: Person },
): Offer[] {
  return Object.values<Offer['role']>(resource.roles).flatMap((role) =>
    isVisible(deps.rules, { ...asked, resource, role: role.name }) ? [offerIn(deps, { ...asked, resource, role })] : [],
  )
}

/** With what is had as an emergency now and cannot be asked for otherwise. */
export async function usableOffers(deps: AccessDeps, person: Person, asker?: Asker): Promise<readonly Offer[]> {
  const usual = offersFor(deps, person, asker)
  const living = await deps.store.livingGrants(person.id)
  const names = new Set(living.map(({ resource }) => resource))
  const taken = [...names].flatMap((name) => offersFor(deps, person, asker, true, name))
  const isHad = ({ resource, role }: Offer) =>
    living.some((grant) => grant.resource === resource.name && grant.role === role.name)
  const isUsual = ({ resource, role }: Offer) =>
    usual.some((offer) => offer.resource.name === resource.name && offer.role.name === role.name)
  return [...usual, ...taken.filter((offer) => isHad(offer) && !isUsual(offer))]
}

/** One that is stopped is offered all the same: people see why, and when it opens. */
function offerIn(
  deps: AccessDeps,
  { role, resource, ...rest }: Omit<Situation, 'role' | 'resource'> & Pick<Offer, 'role' | 'resource'>,
): Offer {
  const situation = { ...rest, resource, role: role.name }
  const verdict = judge(deps.rules, situation)
  if (verdict.kind === 'allow') return { resource, role, policy: verdict.policy }
  const { person, emergency } = situation
  const policy = verdict.policy ?? judgedFor(deps, { person, resource, role: role.name, emergency })
  return { resource, role, policy, stopped: { ...verdictWords(verdict, situation), opensAt: verdict.opensAt } }
}

/** The policy that would decide if nothing denied it; there is one for whatever is visible. */
function judgedFor({ rules: { policies } }: AccessDeps, situation: Situation): Policy {
  const verdict = judge({ policies }, situation)
  if (verdict.kind === 'allow') return verdict.policy
  throw new Fault('NOT_ALLOWED', 'No policy lets you have this.')
}

/** @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN: never says whether a name exists that the person may not see. */
export function offerFor(
  deps: AccessDeps,
  person: Person,
  resource: string,
  role: string,
  asker?: Asker,
  emergency = false,
): Offer {
  const there = offersFor(deps, person, asker, emergency, resource)
  const isMeant = (offer: Offer) => offer.role.name === role
  const known = there.find(isMeant)
  if (known !== undefined) return known
  if (!emergency && offersFor(deps, person, asker, true, resource).some(isMeant)) {
    throw new Fault('NO_GRANT', `${resource} as ${role} is for emergencies only.`, {
      hint: `In an emergency: ${emergencyLink(deps, resource, role)}`,
    })
  }
  if (there.length === 0) {
    const all = offersFor(deps, person, asker, emergency)
    throw unknownName('resource', resource, [...new Set(all.map((offer) => offer.resource.name))])
  }
  throw unknownName(
    'role',
    role,
    there.map((candidate) => candidate.role.name),
  )
}

export function emergencyLink({ publicUrl }: Pick<AccessDeps, 'publicUrl'>, resource: string, role: string): URL {
  return new URL(`/ask/emergency?${new URLSearchParams({ resource, role })}`, publicUrl)
}

/** Whether some policy lets them ask for it now or later, as their groups are now. */
export async function isAllowed(
  deps: AccessDeps,
  { person: id, resource: name, role }: { readonly person: PersonId; readonly resource: string; readonly role: string },
): Promise<boolean> {
  const [person, resource] = [await deps.person(id), deps.catalogue.resource(name)]
  if (person === undefined || resource === undefined || !Object.hasOwn(resource.roles, role)) return false
  return isVisible(deps.rules, { person, resource, role })
}
