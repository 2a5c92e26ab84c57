import type { Person } from '../identity/person.ts'
import { currentStep, isApprover, mayDecideNow, missingInStep, type ApprovalPlace } from '../policy/approval.ts'
import { sameHuman } from '../policy/subject.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import type { Decision, Request } from './states.ts'

/** A decision, and whose it is. */
export interface Given {
  readonly decision: Decision
  readonly person: Person
}

/** Where the approval of a request stands. */
export function placeOf({ approval, step, escalatedAt }: Request): ApprovalPlace {
  return { approval, step, isEscalated: escalatedAt !== null }
}

/** Whoever gets it, and whoever asked for it: none of them decides. */
export async function requestersOf(
  deps: Pick<AccessDeps, 'person'>,
  { person, askedBy }: Request,
): Promise<readonly Person[]> {
  const ids = askedBy === null ? [person] : [person, askedBy]
  return Promise.all(ids.map((id) => knownPerson(deps, id)))
}

/** Whether this person decides on it in some step, now, before or later. */
export function decidesOn(request: Request, person: Person, requesters: readonly Person[]): boolean {
  return isApprover(request.approval, person) && !requesters.some((requester) => sameHuman(person, requester))
}

/** Whether their word is waited for. */
export function isWaitedFor(request: Request, person: Person, requesters: readonly Person[]): boolean {
  return request.state === 'requested' && mayDecideNow(placeOf(request), person, requesters)
}

/** By this or by another account. */
export function hasDecided(person: Person, decisions: readonly Given[]): boolean {
  return decisions.some((given) => sameHuman(given.person, person))
}

/** How many more people the present step needs; 0 when nobody is waited for. */
export function missingNow(request: Request, decisions: readonly Given[]): number {
  const step = request.state === 'requested' ? currentStep(request) : undefined
  if (step === undefined) return 0
  const approvals = decisions.filter(({ decision }) => decision.step === request.step && decision.verdict === 'approve')
  return missingInStep(
    step,
    approvals.map(({ person }) => person),
  )
}
