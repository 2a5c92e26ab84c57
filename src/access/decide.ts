import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { RequestId } from '../kernel/ids.ts'
import { currentStep, isApprover, mayDecideNow } from '../policy/approval.ts'
import { sameHuman } from '../policy/subject.ts'
import type { Asker } from './access.ts'
import { giveGrant, holder, refuseLocked, unknownRequest } from './ask.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { accessEvents, actor, recordRefusal } from './events.ts'
import type { Decision, Request, Requested } from './states.ts'
import { missingNow, placeOf, requestersOf } from './place.ts'
import type { AccessTx } from './store.ts'
import { approve, deny, expectOpen, nextStep } from './transitions.ts'

export const commentLengthMax = 1000

/** One person's word. The transaction runs as if alone, so two people at one instant cannot both be "one more needed". */
export async function decide(
  deps: AccessDeps,
  person: Person,
  id: RequestId,
  verdict: Decision['verdict'],
  comment: string,
  asker?: Asker,
): Promise<Request> {
  if (comment.length > commentLengthMax) {
    throw new Fault('INPUT_INVALID', `The comment is longer than ${commentLengthMax} characters.`)
  }
  try {
    return await deps.store.transact((tx) =>
      decideIn(deps, tx, { person, id, verdict, comment: comment.trim(), asker }),
    )
  } catch (error) {
    await recordRefusal(deps, 'decision.refused', person, error, { request: id })
    throw error
  }
}

interface Word {
  readonly person: Person
  readonly id: RequestId
  readonly verdict: Decision['verdict']
  readonly comment: string
  readonly asker: Asker | undefined
}

async function decideIn(
  deps: AccessDeps,
  tx: AccessTx,
  { person, id, verdict, comment, asker }: Word,
): Promise<Request> {
  const stored = await tx.request(id)
  if (stored === undefined) throw unknownRequest()
  const now = deps.clock.now()
  const earlier = await given(deps, await tx.decisionsOn(id))
  await checkRight(deps, person, stored, earlier)
  await refuseLocked(
    tx,
    {
      ...holder(person),
      resource: stored.resource,
      role: stored.role,
      addresses: asker === undefined ? [] : [asker.address],
    },
    now,
  )
  const request = expectOpen(stored, now)
  const decision: Decision = {
    id: deps.random.id('decision'),
    request: id,
    person: person.id,
    verdict,
    step: request.step,
    terms: null,
    comment,
    at: now,
  }
  await tx.insertDecision(decision)
  const all = [...earlier, { decision, person }]
  return verdict === 'deny' ? refuse(deps, tx, request, all) : second(deps, tx, request, all)
}

/** A decision, and whose it is. */
interface Given {
  readonly decision: Decision
  readonly person: Person
}

function given(deps: AccessDeps, decisions: readonly Decision[]): Promise<readonly Given[]> {
  return Promise.all(
    decisions.map(async (decision) => ({ decision, person: await knownPerson(deps, decision.person) })),
  )
}

async function checkRight(
  deps: AccessDeps,
  person: Person,
  request: Request,
  earlier: readonly Given[],
): Promise<void> {
  const requesters = await requestersOf(deps, request)
  if (requesters.some((requester) => sameHuman(person, requester))) {
    throw new Fault('SELF_APPROVAL', 'Nobody decides on their own request.')
  }
  if (!isApprover(request.approval, person)) {
    throw new Fault('NOT_ALLOWED', 'You are not among those who decide on this request.')
  }
  if (earlier.some((one) => sameHuman(one.person, person))) {
    throw new Fault('ALREADY_DECIDED', 'You have decided on this request already.')
  }
  if (request.state === 'requested' && !mayDecideNow(placeOf(request), person, requesters)) {
    throw new Fault('NOT_ALLOWED', 'Others decide on this request first.', {
      hint: 'You are told when it is your turn, and it appears under "Approvals".',
    })
  }
}

/** Enough refusals in a step decide. */
async function refuse(deps: AccessDeps, tx: AccessTx, request: Requested, all: readonly Given[]): Promise<Request> {
  const step = stepOf(request)
  const refusals = all.filter(({ decision }) => decision.step === request.step && decision.verdict === 'deny')
  if (refusals.length < step.refusals) return goOn(tx, request, all)
  const { decision, person } = all.at(-1)!
  const denied = deny(request, decision.at)
  await tx.updateRequest(denied)
  await tx.record(accessEvents.closed(denied, actor(person), decision))
  await tx.announce({ kind: 'request-closed', request: request.id, state: 'denied' })
  deps.metrics.add('curfew_requests_total', { state: 'denied' })
  return denied
}

async function second(deps: AccessDeps, tx: AccessTx, request: Requested, all: readonly Given[]): Promise<Request> {
  if (missingNow(request, all) > 0) return goOn(tx, request, all)
  const { decision, person } = all.at(-1)!
  const next = nextStep(request, decision.at)
  if (currentStep(next) !== undefined) {
    await tx.updateRequest(next)
    return goOn(tx, next, all)
  }
  const approved = approve(next, decision.at)
  await tx.updateRequest(approved)
  await tx.record(accessEvents.closed(approved, actor(person), decision))
  await giveGrant(deps, tx, approved, decision.at)
  return approved
}

/** A word that does not settle it. */
async function goOn(tx: AccessTx, request: Requested, all: readonly Given[]): Promise<Request> {
  const { decision, person } = all.at(-1)!
  await tx.record(accessEvents.seconded(request, person, decision, missingNow(request, all)))
  await tx.announce({ kind: 'request-opened', request: request.id, seconded: decision.id })
  return request
}

function stepOf(request: Requested) {
  const step = currentStep(request)
  if (step === undefined) throw new Fault('REQUEST_CLOSED', 'Nobody is waited for.')
  return step
}
