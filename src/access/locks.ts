import type { LockScope } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import { isIn, networksOf } from '../policy/networks.ts'
import type { Lock } from './states.ts'

/** Somebody who wants to use something, or does. */
export interface LockTarget {
  readonly person: PersonId
  /** In which they are now. */
  readonly groups: readonly string[]
  readonly resource: string
  readonly role: string
  /** Every address that it is used from; none when that is not known: then no lock by address speaks of it. */
  readonly addresses: Iterable<string>
}

/**
 * What a scope stops: all of its fields that are set must match. An empty one stops nothing. Made once for many targets.
 * @throws TypeError for an address that is neither an IP address nor a network
 */
export function lockMatch(scope: LockScope): (target: LockTarget) => boolean {
  if (isEmpty(scope)) return () => false
  const { person, resource, role, group = null, address = null } = scope
  const networks = address === null ? undefined : networksOf([address])
  return (target) =>
    (person === null || person === target.person) &&
    (resource === null || resource === target.resource) &&
    (role === null || role === target.role) &&
    (group === null || target.groups.includes(group)) &&
    (networks === undefined || [...target.addresses].some((used) => isIn(networks, used)))
}

export function isEmpty({ person, resource, role, group = null, address = null }: LockScope): boolean {
  return [person, resource, role, group, address].every((field) => field === null)
}

/** Neither lifted nor over. The end instant itself is already outside. */
export function lockStands({ liftedAt, until }: Pick<Lock, 'liftedAt' | 'until'>, now: Instant): boolean {
  return liftedAt === null && (until === null || now < until)
}

/** The first that stands and stops it. */
export function stoppingLock(locks: readonly Lock[], target: LockTarget, now: Instant): Lock | undefined {
  return locks.find((lock) => lockStands(lock, now) && lockMatch(lock.scope)(target))
}

export function lockedFault(reason: string): Fault {
  return new Fault('LOCKED', `Access is locked: ${reason}`)
}
