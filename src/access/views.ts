import type { Person } from '../identity/person.ts'
import type { RequestId } from '../kernel/ids.ts'
import { inAny, mayApprove, missingPeople, sameHuman, ticketLink } from '../policy/decide.ts'
import type { RequestView } from './access.ts'
import { unknownRequest } from './ask.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import type { Request } from './states.ts'

const historyMax = 5

export async function viewRequest(deps: AccessDeps, person: Person, id: RequestId): Promise<RequestView> {
  const request = await deps.store.request(id)
  if (request === undefined || !(await maySee(deps, person, request))) throw unknownRequest()
  return expand(deps, request)
}

async function maySee(deps: AccessDeps, person: Person, request: Request): Promise<boolean> {
  if (request.person === person.id) return true
  if (inAny(person.groups, [...deps.staff.reviewers, ...deps.staff.operators])) return true
  return mayApprove(request.approval, person, await knownPerson(deps, request.person))
}

async function expand(deps: AccessDeps, request: Request): Promise<RequestView> {
  const [requester, given, grant, grants] = await Promise.all([
    knownPerson(deps, request.person),
    deps.store.decisionsOn(request.id),
    deps.store.grantOf(request.id),
    deps.store.grantsOf(request.person, 50),
  ])
  const decisions = await Promise.all(
    given.map(async (decision) => ({ decision, person: await knownPerson(deps, decision.person) })),
  )
  const approvers = decisions.filter(({ decision }) => decision.verdict === 'approve').map(({ person }) => person)
  const policy = deps.policies.find((candidate) => candidate.name === request.policy)
  return {
    request,
    requester,
    decisions,
    grant,
    missing: request.state === 'requested' ? missingPeople(request.approval, approvers) : 0,
    approval: request.approval,
    ticketLink: ticketLink(policy, request.ticket),
    history: grants
      .filter((past) => past.resource === request.resource && past.request !== request.id)
      .slice(0, historyMax),
  }
}

/** Open, not lapsed by now, decidable by this person and not yet decided by them. */
export async function toDecide(deps: AccessDeps, person: Person): Promise<RequestView[]> {
  const now = deps.clock.now()
  const open = (await deps.store.openRequests()).filter((request) => now < request.lapsesAt)
  const views = await Promise.all(
    open.filter((request) => couldDecide(person, request)).map((one) => expand(deps, one)),
  )
  return views.filter(
    ({ requester, decisions }) =>
      !sameHuman(requester, person) && !decisions.some(({ decision }) => decision.person === person.id),
  )
}

export async function decided(deps: AccessDeps, person: Person, limit: number): Promise<RequestView[]> {
  const closed = (await deps.store.closedRequests(limit * 4)).filter(
    (request) => request.approval.kind === 'people' && couldDecide(person, request),
  )
  return Promise.all(closed.slice(0, limit).map((request) => expand(deps, request)))
}

/** By groups and id alone; without looking the requester up. */
export function couldDecide(person: Person, request: Request): boolean {
  return (
    request.approval.kind === 'people' && request.person !== person.id && inAny(person.groups, request.approval.from)
  )
}
