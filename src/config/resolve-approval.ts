import type { Approval, Approvers, Step } from '../policy/approval.ts'
import { stepsIn, type ApprovalEntry, type ApproversEntry, type StepEntry } from './schema-approval.ts'

/** Absent: what is for emergencies takes nobody. */
export function resolveApproval(entry: ApprovalEntry | undefined): Approval {
  if (entry === undefined || entry === 'none') return { kind: 'none' }
  return { kind: 'people', steps: stepsIn(entry).map(({ step }) => resolveStep(step)) }
}

export function resolveApprovers({ from = [], allOf = [], named = [], manager = false }: ApproversEntry): Approvers {
  return { from, allOf, named: [...new Set(named.map((address) => address.toLowerCase()))], manager }
}

/** Whether what decides on requests must know managers. */
export function asksForManager(approval: Approval): boolean {
  if (approval.kind === 'none') return false
  return approval.steps.some(({ manager, escalate }) => manager || escalate?.to.manager === true)
}

export function resolveStep({ people = 1, refusals = 1, escalate, ...approvers }: StepEntry): Step {
  return {
    people,
    ...resolveApprovers(approvers),
    refusals,
    escalate: escalate === undefined ? null : { afterMs: escalate.after, to: resolveApprovers(escalate.to) },
  }
}
