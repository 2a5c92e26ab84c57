import { unknownName } from '../../resources/catalogue.ts'
import { CliProblem } from '../problem.ts'
import { forPeople } from '../print.ts'
import type { Directory } from './files.ts'

type Listed = Directory['resources'][number]
type ListedRole = Listed['roles'][number]

/** @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN; CliProblem when there are several roles and none is named. */
export function chooseRole({ resources }: Directory, resource: string, role: string | undefined): string {
  const found = resources.find(({ name }) => name === resource)
  if (found === undefined) throw unknownName('resource', resource, namesOf(resources))
  if (role !== undefined) return namedRole(found, role)
  const [only, ...others] = found.roles
  if (only !== undefined && others.length === 0) return only.name
  const rows = found.roles.map((one) => `${one.name} (${standingOf(one)})`)
  throw new CliProblem(`${resource} has several roles: ${rows.join(', ')}`, {
    exitCode: 2,
    hint: `Say which: curfew ssh ${resource} ${only?.name ?? 'ROLE'}`,
  })
}

function namedRole({ roles }: Listed, role: string): string {
  if (roles.some(({ name }) => name === role)) return role
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
