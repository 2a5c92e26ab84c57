import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import { asksTooMany, type Approval, type Approvers, type Step } from '../policy/approval.ts'
import type { AccessDeps } from './deps.ts'

/**
 * What a request takes of whom: a policy's approval, with the address of the requester's manager in it.
 * @param requester whoever asks, also for a machine
 * @throws Fault APPROVER_UNKNOWN when a step would wait for people who cannot be there
 */
export function approvalFor(
  { settings }: Pick<AccessDeps, 'settings'>,
  approval: Approval,
  requester: Person,
): Approval {
  if (approval.kind === 'none') return approval
  const manager = managerOf(requester, settings.managerClaim)
  const steps = approval.steps.map((step) => withManager(step, manager))
  if (!asksTooMany(steps, requester.email === null ? [] : [requester.email.toLowerCase()])) {
    return { kind: 'people', steps }
  }
  const isAsked = approval.steps.some(({ manager: asked, escalate }) => asked || escalate?.to.manager === true)
  throw isAsked && manager === undefined
    ? new Fault('APPROVER_UNKNOWN', 'Your manager must approve this, and nobody knows who that is.')
    : new Fault('APPROVER_UNKNOWN', 'Too few people may approve this for you.', {
        hint: 'Your operations people can name somebody else in the policy.',
      })
}

/** Nobody is their own manager here, whatever a claim says. */
function managerOf({ claims = {}, email }: Person, claim: string | undefined): string | undefined {
  if (claim === undefined || !Object.hasOwn(claims, claim)) return undefined
  const addresses = (claims[claim] ?? []).map((value) => value.trim().toLowerCase())
  return addresses.find((address) => /^[^\s@]+@[^\s@]+$/.test(address) && address !== email?.toLowerCase())
}

function withManager(step: Step, manager: string | undefined): Step {
  const { escalate } = step
  return {
    ...step,
    ...approversWith(step, manager),
    escalate: escalate === null ? null : { ...escalate, to: approversWith(escalate.to, manager) },
  }
}

function approversWith({ from, allOf, named, manager: isAsked }: Approvers, manager: string | undefined): Approvers {
  if (!isAsked || manager === undefined) return { from, allOf, named, manager: false }
  const others = named.filter((address) => address !== manager)
  return { from, allOf, named: [...others, manager], manager: true, managerAddress: manager }
}
