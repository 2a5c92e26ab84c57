import { currentStep } from '../policy/approval.ts'
import type { AccessDeps } from './deps.ts'
import { accessEvents } from './events.ts'
import type { AccessTx } from './store.ts'
import { escalate } from './transitions.ts'

/** Calls others to the steps that waited for too long. @returns how many. */
export async function escalateAll(deps: AccessDeps): Promise<number> {
  const due = await deps.store.requestsToEscalate(deps.clock.now())
  return due.length === 0 ? 0 : deps.store.transact((tx) => escalateIn(deps, tx))
}

async function escalateIn({ clock }: AccessDeps, tx: AccessTx): Promise<number> {
  const now = clock.now()
  const due = (await tx.requestsToEscalate(now)).flatMap((request) => escalate(request, now) ?? [])
  for (const request of due) {
    await tx.updateRequest(request)
    await tx.record(accessEvents.escalated(request, currentStep(request)?.escalate?.to, now))
    await tx.announce({ kind: 'request-escalated', request: request.id, step: request.step })
  }
  return due.length
}
