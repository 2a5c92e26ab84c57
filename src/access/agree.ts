import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { Approval, Approvers } from '../policy/approval.ts'
import { checkWish } from '../policy/decide.ts'
import { judge } from '../policy/judge.ts'
import type { Policy } from '../policy/rules.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import type { Decision, Request } from './states.ts'
import { agreedTerms, checkThere, type Agreed } from './terms.ts'

/** What comes of a request, and the policy that lets its person have that. */
export interface Agreement extends Agreed {
  readonly policy: string
}

/**
 * What everybody agreed to, held against the catalogue and the rules as they are now.
 * @throws Fault INPUT_INVALID when nothing is left, or it cannot be had
 */
export async function agreementOn(
  deps: AccessDeps,
  request: Request,
  decisions: readonly Pick<Decision, 'verdict' | 'terms'>[],
): Promise<Agreement> {
  const agreed = agreedTerms(request, decisions)
  if (agreed.role === request.role && agreed.databases === null) return { ...agreed, policy: request.policy }
  checkThere(deps.catalogue.resource(request.resource), agreed)
  if (agreed.role === request.role) return { ...agreed, policy: request.policy }
  const requester = await knownPerson(deps, request.person)
  const policy = givingPolicy(deps, request, requester, agreed)
  if (policy !== undefined) return { ...agreed, policy: policy.name }
  const others = rolesToGive(deps, request, requester)
  throw new Fault('INPUT_INVALID', `Your approval cannot give them ${request.resource} as ${agreed.role}.`, {
    hint: others.length === 1 ? 'They can have no other role by it.' : `They can have: ${others.join(', ')}.`,
  })
}

/** The role that was asked for, and those that approvers may give instead of it. */
export function rolesToGive(deps: AccessDeps, request: Request, requester: Person): readonly string[] {
  if (request.kind === 'extension') return [request.role]
  const asked = agreedTerms(request, [])
  const all = Object.keys(deps.catalogue.resource(request.resource)?.roles ?? {})
  const others = all.filter((role) => givingPolicy(deps, request, requester, { ...asked, role }) !== undefined)
  return [request.role, ...others.filter((role) => role !== request.role)]
}

/** It lets the requester have that role, and takes nobody whom the policy of the request does not take. */
function givingPolicy(
  deps: AccessDeps,
  request: Request,
  requester: Person,
  { role, lengthMs, startsAt }: Agreed,
): Policy | undefined {
  const resource = deps.catalogue.resource(request.resource)
  if (resource === undefined || request.kind !== 'access') return undefined
  const now = deps.clock.now()
  const at = startsAt !== null && startsAt > now ? startsAt : now
  const asked = { lengthMs, reason: request.reason, ticket: request.ticket }
  const verdict = judge(deps.rules, { person: requester, resource, role, at, request: asked, risk: request.risk })
  if (verdict.kind !== 'allow') return undefined
  const { policy } = verdict
  if (policy.name === request.policy) return policy
  if (request.recurrence !== null || !couldAskFor(policy, asked)) return undefined
  return policy.approval.kind === 'none' || sameApproval(policy.approval, request.approval) ? policy : undefined
}

/** Whether what was said when they asked is enough for this policy, too. */
function couldAskFor(policy: Policy, asked: Parameters<typeof checkWish>[1]): boolean {
  try {
    checkWish(policy, asked)
    return true
  } catch (error) {
    if (error instanceof Fault) return false
    throw error
  }
}

function sameApproval(left: Approval, right: Approval): boolean {
  return JSON.stringify(plain(left)) === JSON.stringify(plain(right))
}

/** In one order, and without who the manager is: that is known of the request and not of the policy. */
function plain(approval: Approval): unknown {
  if (approval.kind === 'none') return []
  return approval.steps.map(({ people, refusals, escalate, ...approvers }) => [
    people,
    refusals,
    ...plainApprovers(approvers),
    escalate === null ? null : [escalate.afterMs, ...plainApprovers(escalate.to)],
  ])
}

function plainApprovers({ from, allOf, named, manager, managerAddress }: Approvers): readonly unknown[] {
  return [from, allOf, named.filter((address) => address !== managerAddress), manager]
}
