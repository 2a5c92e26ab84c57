import type { Person } from '../identity/person.ts'
import type { RequestId } from '../kernel/ids.ts'
import { isAmong, isApprover } from '../policy/approval.ts'
import { ticketLink } from '../policy/decide.ts'
import type { RequestView } from './access.ts'
import { rolesToGive } from './agree.ts'
import { unknownRequest } from './ask.ts'
import { isStaff, knownPerson, type AccessDeps } from './deps.ts'
import { decidesOn, missingNow, requestersOf } from './place.ts'
import type { Request } from './states.ts'
import { stepsOf, waitsFor } from './steps.ts'
import { agreedTerms } from './terms.ts'
import { waitingFor } from './waiting-list.ts'

export async function viewRequest(deps: AccessDeps, person: Person, id: RequestId): Promise<RequestView> {
  const request = await deps.store.request(id)
  if (request === undefined || !(await maySee(deps, person, request))) throw unknownRequest()
  return expand(deps, person, request)
}

async function maySee(deps: AccessDeps, person: Person, request: Request): Promise<boolean> {
  if (request.person === person.id || request.askedBy === person.id) return true
  if (isStaff(person, [...deps.staff.reviewers, ...deps.staff.operators])) return true
  const review = request.kind === 'break-glass' ? await deps.store.reviewOf(request.id) : undefined
  if (review !== undefined && isAmong(review.reviewers, person)) return true
  return decidesOn(request, person, await requestersOf(deps, request))
}

async function expand(deps: AccessDeps, viewer: Person, request: Request): Promise<RequestView> {
  const [requesters, given, grant, bundle] = await Promise.all([
    requestersOf(deps, request),
    deps.store.decisionsOn(request.id),
    request.extends === null ? deps.store.grantOf(request.id) : deps.store.grant(request.extends),
    togetherWith(deps, viewer, request),
  ])
  const decisions = await Promise.all(
    given.map(async (decision) => ({ decision, person: await knownPerson(deps, decision.person) })),
  )
  const policy = deps.rules.policies.find((candidate) => candidate.name === request.policy)
  return {
    request,
    requester: requesters[0]!,
    requesters,
    requesterGroups: requesters[0]!.groups.filter((group) => policy?.who.groups?.includes(group)),
    decisions,
    grant,
    missing: missingNow(request, decisions),
    approval: request.approval,
    steps: stepsOf(request, decisions),
    waitsFor: waitsFor(request, decisions),
    agreed: agreedTerms(
      request,
      decisions.map(({ decision }) => decision),
    ),
    rolesToGive: rolesToGive(deps, request, requesters[0]!),
    ticketLink: ticketLink(policy, request.ticket),
    bundle,
  }
}

/** What was asked for together with it; of what the viewer may not see, only how many there are. */
async function togetherWith(deps: AccessDeps, viewer: Person, request: Request): Promise<RequestView['bundle']> {
  if (request.bundle === null) return null
  const others = (await deps.store.requestsOfBundle(request.bundle.id)).filter(({ id }) => id !== request.id)
  const seen = await Promise.all(others.map((other) => maySee(deps, viewer, other)))
  const siblings = others.filter((_, index) => seen[index])
  return { name: request.bundle.name, siblings, hidden: others.length - siblings.length }
}

/** Open, not lapsed by now, waiting for this person's word. */
export async function toDecide(deps: AccessDeps, person: Person): Promise<RequestView[]> {
  return Promise.all((await waitingFor(deps, person)).map((request) => expand(deps, person, request)))
}

export async function decided(deps: AccessDeps, person: Person, limit: number): Promise<RequestView[]> {
  const closed = (await deps.store.closedRequests(limit * 4)).filter(
    (request) => isApprover(request.approval, person) && request.person !== person.id,
  )
  return Promise.all(closed.slice(0, limit).map((request) => expand(deps, person, request)))
}
