import type { LockScope } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'

/** Whether a lock stops this person as this role on this resource. An empty scope stops nothing. */
export function lockStops(
  scope: LockScope,
  what: { readonly person: PersonId; readonly resource: string; readonly role: string },
): boolean {
  if (scope.person === null && scope.resource === null && scope.role === null) return false
  return (
    (scope.person === null || scope.person === what.person) &&
    (scope.resource === null || scope.resource === what.resource) &&
    (scope.role === null || scope.role === what.role)
  )
}

export function lockedFault(reason: string): Fault {
  return new Fault('LOCKED', `Access is locked: ${reason}`)
}
