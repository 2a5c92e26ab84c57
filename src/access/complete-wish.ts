import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import { unknownName } from '../resources/catalogue.ts'
import type { LooseWish, Wish } from './access.ts'
import type { AccessDeps } from './deps.ts'
import { offerFor, offersFor } from './offers.ts'

/**
 * With the role and the length that were left to us, as the policies have them now.
 * @param person who would have it.
 * @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN; INPUT_INVALID where there are several roles
 */
export function completeWish<Some extends LooseWish>(
  deps: AccessDeps,
  person: Person,
  wish: Some,
): Some & Pick<Wish, 'role' | 'lengthMs'> {
  const { resource, asker, emergency = false } = wish
  const role = wish.role ?? onlyRole(deps, person, wish)
  const usualMs = () => offerFor(deps, person, resource, role, asker, emergency).policy.length.defaultMs
  return { ...wish, role, lengthMs: wish.lengthMs ?? usualMs() }
}

function onlyRole(deps: AccessDeps, person: Person, { resource, asker, emergency = false }: LooseWish): string {
  const roles = offersFor(deps, person, asker, emergency, resource).map(({ role }) => role.name)
  const [role, another] = roles
  if (role === undefined) {
    const offers = offersFor(deps, person, asker, emergency)
    throw unknownName('resource', resource, [...new Set(offers.map((offer) => offer.resource.name))])
  }
  if (another === undefined) return role
  throw new Fault('INPUT_INVALID', `${resource} has several roles.`, { hint: `Say which: ${roles.join(', ')}` })
}
