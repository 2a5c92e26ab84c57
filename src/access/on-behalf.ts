import { isMachinePerson, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { Wish } from './access.ts'
import type { AccessDeps } from './deps.ts'

/** Machines that this person may ask for access for, as they are known now. A machine asks for itself only. */
export async function machinesFor({ machines }: AccessDeps, person: Person): Promise<readonly Person[]> {
  if (machines === undefined || isMachinePerson(person)) return []
  const found = await Promise.all(machines.askedForBy(person).map((name) => machines.byName(name)))
  return found.filter((machine) => machine !== undefined)
}

/**
 * Who gets what is asked for: whoever asks, or the machine that they name.
 * @throws Fault NOT_ALLOWED, which says nothing about which machines there are; INPUT_INVALID for an emergency
 */
export async function holderFor(
  deps: AccessDeps,
  asker: Person,
  { onBehalfOf: name, emergency }: Pick<Wish, 'onBehalfOf' | 'emergency'>,
): Promise<Person> {
  if (emergency === true && (name !== undefined || isMachinePerson(asker))) {
    throw new Fault('INPUT_INVALID', 'A machine has no emergencies.')
  }
  if (name === undefined) return asker
  const machine = (await machinesFor(deps, asker)).find((one) => one.name === name)
  if (machine === undefined) {
    throw new Fault('NOT_ALLOWED', 'You may not ask for access for this machine.', {
      hint: 'The configuration names who may: `askedForBy` of the machine.',
    })
  }
  return machine
}

/** Where somebody asks from says nothing of where the machine will be. */
export function wishOfHolder<Some extends Pick<Wish, 'asker' | 'onBehalfOf'>>(
  wish: Some,
): Omit<Some, 'asker'> & Pick<Wish, 'asker'> {
  const { asker, ...unplaced } = wish
  return wish.onBehalfOf === undefined && asker !== undefined ? { ...unplaced, asker } : unplaced
}
