import type { Grant, Request } from '../access/states.ts'
import type { Person } from '../identity/person.ts'
import { isoTime } from '../kernel/time.ts'
import type { Resource } from '../resources/catalogue.ts'
import type { Site } from './site.ts'

/** How a person stands with a role; both instants are of the grant. */
export interface RoleState {
  readonly state: 'active' | 'scheduled' | 'requested' | 'available'
  readonly startsAt: string | null
  readonly until: string | null
}

export interface Reachable<Kind extends Resource['kind']> {
  readonly resource: Extract<Resource, { kind: Kind }>
  /** At least one. */
  readonly roles: readonly {
    readonly role: Extract<Resource, { kind: Kind }>['roles'][string]
    readonly state: RoleState
  }[]
}

const requestsMax = 200

/** The resources of a kind, with the roles that this person has or may ask for; the others stay unnamed. */
export async function reachable<Kind extends Resource['kind']>(
  { deps: { access, catalogue } }: Site,
  person: Person,
  kind: Kind,
): Promise<readonly Reachable<Kind>[]> {
  const [grants, requests] = await Promise.all([access.livingGrants(person.id), access.requestsOf(person, requestsMax)])
  const offered = new Set(access.offers(person).map(({ resource, role }) => keyOf(resource.name, role.name)))
  return catalogue.resources
    .filter((resource): resource is Extract<Resource, { kind: Kind }> => resource.kind === kind)
    .map((resource) => ({ resource, roles: rolesOf(resource, offered, grants, requests) }))
    .filter(({ roles }) => roles.length > 0)
}

function rolesOf<Kind extends Resource['kind']>(
  { name, roles }: Extract<Resource, { kind: Kind }>,
  offered: ReadonlySet<string>,
  grants: readonly Grant[],
  requests: readonly Request[],
): Reachable<Kind>['roles'] {
  const isOf = (role: string) => (one: Grant | Request) => one.resource === name && one.role === role
  return Object.values(roles as Readonly<Record<string, Reachable<Kind>['roles'][number]['role']>>).flatMap((role) => {
    const isOffered = offered.has(keyOf(name, role.name))
    const state = stateOf(grants.filter(isOf(role.name)), requests.filter(isOf(role.name)), isOffered)
    return state === undefined ? [] : [{ role, state }]
  })
}

/** Names have no blanks. */
function keyOf(resource: string, role: string): string {
  return `${resource} ${role}`
}

function stateOf(grants: readonly Grant[], requests: readonly Request[], isOffered: boolean): RoleState | undefined {
  const lasting = grants.toSorted((left, right) => right.expiresAt - left.expiresAt)
  const grant = lasting.find(({ state }) => state === 'active') ?? lasting.find(({ state }) => state === 'scheduled')
  if (grant?.state === 'active' || grant?.state === 'scheduled') {
    return { state: grant.state, startsAt: isoTime(grant.startsAt), until: isoTime(grant.expiresAt) }
  }
  const isAsked = requests.some(({ state }) => state === 'requested')
  if (!isAsked && !isOffered) return undefined
  return { state: isAsked ? 'requested' : 'available', startsAt: null, until: null }
}
