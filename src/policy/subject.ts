import type { PersonId } from '../kernel/ids.ts'
import type { PersonFacts } from './weigh.ts'

/** What decisions look at in a person. */
export interface Subject extends PersonFacts {
  readonly id: PersonId
}

/** Whether both are the same human being: the same account, or two accounts with one e-mail address. */
export function sameHuman(left: Subject, right: Subject): boolean {
  if (left.id === right.id) return true
  return left.email !== null && right.email !== null && left.email.toLowerCase() === right.email.toLowerCase()
}
