import type { Person } from '../identity/person.ts'
import { later } from '../kernel/time.ts'
import { currentStep, missingInStep, type Approvers, type Step } from '../policy/approval.ts'
import type { StepView, WaitsFor } from './access.ts'
import { missingNow, type Given } from './place.ts'
import type { Decision, Request } from './states.ts'

/** Each step of a request, and who said what in it. */
export function stepsOf(request: Request, decisions: readonly Given[]): readonly StepView[] {
  if (request.approval.kind === 'none') return []
  return request.approval.steps.map((step, index) => {
    const approved = voices(decisions, index, 'approve')
    return {
      step,
      state: stateOf(request, index),
      approved,
      refused: voices(decisions, index, 'deny'),
      missing: missingInStep(step, approved),
    }
  })
}

function voices(decisions: readonly Given[], step: number, verdict: Decision['verdict']): readonly Person[] {
  return decisions
    .filter(({ decision }) => decision.step === step && decision.verdict === verdict)
    .map(({ person }) => person)
}

function stateOf(request: Request, step: number): StepView['state'] {
  if (step < request.step || request.state === 'approved') return 'done'
  if (request.state !== 'requested') return 'stopped'
  return step === request.step ? 'waits' : 'to-come'
}

/** Whom a request waits for; null when it is closed. */
export function waitsFor(request: Request, decisions: readonly Given[]): WaitsFor | null {
  const step = request.state === 'requested' ? currentStep(request) : undefined
  if (step === undefined) return null
  const { from, allOf, named, manager, managerAddress, refusals } = step
  return {
    ...{ from, allOf, named, manager, ...(managerAddress !== undefined && { managerAddress }) },
    missing: missingNow(request, decisions),
    since: request.stepSince,
    refused: voices(decisions, request.step, 'deny').length,
    refusals,
    others: othersIn(request, step),
  }
}

/** What calls on others comes too late after the request has lapsed. */
function othersIn(request: Request, { escalate }: Step): WaitsFor['others'] {
  if (escalate === null) return null
  const to: Approvers = escalate.to
  if (request.escalatedAt !== null) return { ...to, called: true, at: request.escalatedAt }
  const at = later(request.stepSince, escalate.afterMs)
  return at < request.lapsesAt ? { ...to, called: false, at } : null
}
