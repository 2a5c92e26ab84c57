import { unknownName } from '../resources/catalogue.ts'
import { CliProblem } from './problem.ts'
import { forPeople } from './print.ts'

/** Of a directory of the gateway's: what somebody may use, of one protocol. */
export interface ListedRole {
  readonly name: string
  readonly description: string
  readonly state: 'active' | 'scheduled' | 'requested' | 'available'
  readonly startsAt: string | null
  readonly until: string | null
}

interface Listed<Role extends ListedRole> {
  readonly name: string
  readonly roles: readonly Role[]
}

/**
 * The role that is named, the only one, or the only one that is open now.
 * @param command what to type, up to the resource.
 * @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN; CliProblem when there are several roles and none is named.
 */
export function chooseRole<Role extends ListedRole>(
  resources: readonly Listed<Role>[],
  resource: string,
  role: string | undefined,
  command: string,
): Role {
  const found = resources.find(({ name }) => name === resource)
  if (found === undefined) throw unknownName('resource', resource, namesOf(resources))
  if (role !== undefined) return namedRole(found, role)
  const open = found.roles.filter(({ state }) => state === 'active')
  const [only, ...others] = open.length === 1 ? open : found.roles
  if (only !== undefined && others.length === 0) return only
  const rows = found.roles.map((one) => `${one.name} (${standingOf(one)})`)
  throw new CliProblem(`${resource} has several roles: ${rows.join(', ')}`, {
    exitCode: 2,
    hint: `Say which: ${command} ${resource} ${only?.name ?? 'ROLE'}`,
  })
}

function namedRole<Role extends ListedRole>({ roles }: Listed<Role>, role: string): Role {
  const found = roles.find(({ name }) => name === role)
  if (found !== undefined) return found
  throw unknownName('role', role, namesOf(roles))
}

/** How it stands with this person and the role, in words. */
export function standingOf({ state, startsAt, until }: ListedRole): string {
  if (state === 'active') return `open until ${forPeople(until ?? '')}`
  if (state === 'scheduled') return `from ${forPeople(startsAt ?? '')} until ${forPeople(until ?? '')}`
  return state === 'requested' ? 'asked for, not decided' : 'can be asked for'
}

function namesOf(all: readonly { readonly name: string }[]): readonly string[] {
  return all.map(({ name }) => name)
}
