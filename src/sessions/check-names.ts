import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import { isVisible } from '../policy/judge.ts'
import type { Rules } from '../policy/rules.ts'
import { unknownName, type Catalogue, type PostgresRole, type Resource, type Role } from '../resources/catalogue.ts'
import type { Ask } from './admission.ts'

export interface Names {
  /** As they are now: another file may have been taken over. */
  readonly rules: Rules
  readonly catalogue: Catalogue
  /** What to type to reach it; undefined when its protocol has no listener. */
  readonly connectCommand: (resource: string, role: Role) => string | undefined
}

/**
 * Whether what is asked for exists, can be reached by the client's protocol, and may be seen by this person.
 * @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN, DATABASE_REFUSED
 */
export function checkNames(ask: Ask, person: Person, names: Names): void {
  const role = visibleRole(ask, person, names)
  if (role.kind === 'postgres') checkDatabase(role, ask.database)
}

function visibleRole(ask: Ask, person: Person, names: Names): Role {
  const visible = names.catalogue.resources.filter((resource) => rolesOf(resource, person, names).length > 0)
  const reachable = visible.filter(({ kind }) => kind === ask.client.protocol)
  const resource = reachable.find(({ name }) => name === ask.resource)
  if (resource === undefined) {
    const other = visible.find(({ name }) => name === ask.resource)
    throw other === undefined
      ? unknownName('resource', ask.resource, namesOf(reachable))
      : otherProtocol(ask, other, rolesOf(other, person, names), names)
  }
  const roles = rolesOf(resource, person, names)
  const role = roles.find(({ name }) => name === ask.role)
  if (role === undefined) throw unknownName('role', ask.role, namesOf(roles))
  return role
}

function rolesOf(resource: Resource, person: Person, names: Names): readonly Role[] {
  return Object.values<Role>(resource.roles).filter(({ name }) =>
    isVisible(names.rules, { person, resource, role: name }),
  )
}

function namesOf(named: readonly { readonly name: string }[]): readonly string[] {
  return named.map(({ name }) => name)
}

const targets = { postgres: 'a PostgreSQL target', ssh: 'an SSH target', http: 'a web application' } as const

/** The person may know the resource, and only took the wrong program. */
function otherProtocol(ask: Ask, { name, kind }: Resource, roles: readonly Role[], { connectCommand }: Names): Fault {
  const role = roles.find((one) => one.name === ask.role) ?? roles[0]!
  const command = connectCommand(name, role)
  const wanted = targets[ask.client.protocol].replace(/^an? /, '')
  return new Fault('RESOURCE_UNKNOWN', `There is no ${wanted} "${name}".`, {
    hint: `${name} is ${targets[kind]}${command === undefined ? '.' : `: ${command}`}`,
  })
}

function checkDatabase({ name, databases }: PostgresRole, database: string | null): void {
  if (database === null || databases.includes(database)) return
  throw new Fault('DATABASE_REFUSED', `The role ${name} may not open the database "${database.slice(0, 80)}".`, {
    hint: `It may open: ${databases.join(', ')}`,
  })
}
