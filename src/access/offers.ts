import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import { isVisible, judge, verdictWords } from '../policy/judge.ts'
import type { Policy } from '../policy/rules.ts'
import type { Situation } from '../policy/weigh.ts'
import { unknownName } from '../resources/catalogue.ts'
import type { Asker, Offer } from './access.ts'
import type { AccessDeps } from './deps.ts'

/** @param emergency what may be had in an emergency, instead of what may be asked for in the usual way. */
export function offersFor(deps: AccessDeps, person: Person, asker?: Asker, emergency = false): Offer[] {
  const asked = { person, client: asker, emergency, at: deps.clock.now() }
  return deps.catalogue.resources.flatMap((resource) => offersOf(deps, resource, asked))
}

function offersOf(
  deps: AccessDeps,
  resource: Offer['resource'],
  asked: Pick<Situation, 'client' | 'emergency' | 'at'> & { readonly person: Person },
): Offer[] {
  return Object.values<Offer['role']>(resource.roles).flatMap((role) =>
    isVisible(deps, { ...asked, resource, role: role.name }) ? [offerIn(deps, { ...asked, resource, role })] : [],
  )
}

/** With what is had as an emergency now and cannot be asked for otherwise. */
export async function usableOffers(deps: AccessDeps, person: Person, asker?: Asker): Promise<readonly Offer[]> {
  const usual = offersFor(deps, person, asker)
  const taken = offersFor(deps, person, asker, true).filter(
    (offer) =>
      !usual.some(({ resource, role }) => resource.name === offer.resource.name && role.name === offer.role.name),
  )
  if (taken.length === 0) return usual
  const living = await deps.store.livingGrants(person.id)
  const isHad = ({ resource, role }: Offer) =>
    living.some((grant) => grant.resource === resource.name && grant.role === role.name)
  return [...usual, ...taken.filter(isHad)]
}

/** One that is stopped is offered all the same: people see why, and when it opens. */
function offerIn(
  deps: AccessDeps,
  { role, resource, ...rest }: Omit<Situation, 'role' | 'resource'> & Pick<Offer, 'role' | 'resource'>,
): Offer {
  const situation = { ...rest, resource, role: role.name }
  const verdict = judge(deps, situation)
  if (verdict.kind === 'allow') return { resource, role, policy: verdict.policy }
  const { person, emergency } = situation
  const policy = verdict.policy ?? judgedFor(deps, { person, resource, role: role.name, emergency })
  return { resource, role, policy, stopped: { ...verdictWords(verdict, situation), opensAt: verdict.opensAt } }
}

/** The policy that would decide if nothing denied it; there is one for whatever is visible. */
function judgedFor({ policies }: AccessDeps, situation: Situation): Policy {
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
  const named = deps.catalogue.resource(resource)
  const asked = { person, client: asker, emergency, at: deps.clock.now() }
  const known = named && offersOf(deps, named, asked).find((offer) => offer.role.name === role)
  if (known !== undefined) return known
  // All others are looked at only to say what might have been meant.
  const offers = offersFor(deps, person, asker, emergency)
  const isMeant = (offer: Offer) => offer.resource.name === resource && offer.role.name === role
  if (!emergency && !offers.some(isMeant) && offersFor(deps, person, asker, true).some(isMeant)) {
    throw new Fault('NO_GRANT', `${resource} as ${role} is for emergencies only.`, {
      hint: `In an emergency: ${emergencyLink(deps, resource, role)}`,
    })
  }
  const there = offers.filter((offer) => offer.resource.name === resource)
  if (there.length === 0) {
    throw unknownName('resource', resource, [...new Set(offers.map((offer) => offer.resource.name))])
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
  if (person === undefined || resource === undefined) return false
  return isVisible(deps, { person, resource, role })
}
