import type { Lock } from '../access/states.ts'
import type { Person } from '../identity/person.ts'
import { closest } from '../kernel/closest.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Site } from './site.ts'

/** A lock as somebody types it. */
export interface LockWish {
  /** E-mail address or id. */
  readonly person: string | null
  /** Instead of a person: a machine's name, whether it ever came or not. */
  readonly machine: string | null
  readonly group: string | null
  readonly resource: string | null
  readonly role: string | null
  readonly address: string | null
  readonly reason: string
  /** From now; null: until it is lifted. */
  readonly lengthMs: number | null
  /** The same key within 24 hours is the same lock. */
  readonly key?: string | undefined
}

/** @throws Fault NOT_ALLOWED; INPUT_INVALID, also for names that nothing here has: such a lock would stop nobody. */
export async function placeLock(site: Site, by: Person, wish: LockWish): Promise<Lock> {
  const { access, catalogue } = site.deps
  const { group, resource, role, address, reason, lengthMs, key } = wish
  // Who may not place locks does not learn who is known here: they are refused there, on record.
  if (!access.isOperator(by)) return access.placeLock(by, { person: null, group, resource, role, address }, reason)
  const resources = catalogue.resources.map(({ name }) => name)
  const roles = catalogue.resources
    .filter(({ name }) => resource === null || name === resource)
    .flatMap((one) => Object.keys(one.roles))
  checkName('resource', resource, resources)
  checkName('role', role, roles)
  const person = await holderOf(site, wish)
  return access.placeLock(by, { person, group, resource, role, address }, reason, lengthMs, key)
}

function checkName(kind: 'resource' | 'role' | 'machine', name: string | null, names: readonly string[]): void {
  if (name === null || names.includes(name)) return
  const near = closest(name, names)
  const hint = near.length > 0 ? `Did you mean ${near.map((one) => `"${one}"`).join(' or ')}?` : 'Check the spelling.'
  throw new Fault('INPUT_INVALID', `There is no ${kind} "${name}" here.`, { hint })
}

/** Whom it stops; null: whoever. A machine is somebody, too. */
async function holderOf(site: Site, { person, machine }: LockWish): Promise<PersonId | null> {
  if (machine === null) return person === null ? null : personNamed(site, person)
  if (person !== null) {
    throw new Fault('INPUT_INVALID', 'Nobody is a person and a machine.', { hint: 'Place a lock for each.' })
  }
  const { machines } = site.deps.identity
  const known = await machines.byName(machine)
  if (known !== undefined) return known.id
  checkName('machine', machine, machines.names)
  throw new Fault('STORE_FAILED', `The state does not know the machine "${machine}".`)
}

/** By id, or by an e-mail address that belongs to exactly one person. */
async function personNamed({ deps }: Site, text: string): Promise<PersonId> {
  const byId = text.startsWith('person-') ? await deps.identity.person(text as PersonId) : undefined
  if (byId !== undefined) return byId.id
  const [found, another] = await deps.identity.peopleByEmail(text)
  if (found === undefined) {
    throw new Fault('INPUT_INVALID', 'Nobody with that e-mail address or id has signed in here.', {
      hint: 'Check it; whoever has never signed in is stopped at the identity provider.',
    })
  }
  if (another !== undefined) {
    throw new Fault('INPUT_INVALID', 'More than one person has that e-mail address.', {
      hint: 'Give the id (person-…).',
    })
  }
  return found.id
}
