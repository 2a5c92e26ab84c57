import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { RequestId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import { currentStep, isApprover, mayDecideNow } from '../policy/approval.ts'
import { sameHuman } from '../policy/subject.ts'
import type { Asker, Elsewhere } from './access.ts'
import { agreementOn } from './agree.ts'
import { holder, refuseLocked, unknownRequest } from './ask.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { fulfil } from './give.ts'
import { accessEvents, actor, recordRefusal } from './events.ts'
import { hasDecided, missingNow, placeOf, requestersOf, type Given } from './place.ts'
import type { Decision, Request, Requested, Terms } from './states.ts'
import type { AccessTx } from './store.ts'
import { readTerms } from './terms.ts'
import { approve, deny, expectOpen, nextStep } from './transitions.ts'

export const commentLengthMax = 1000

/** One person's word. */
export interface Word {
  readonly person: Person
  readonly id: RequestId
  readonly verdict: Decision['verdict']
  readonly comment: string
  readonly asker: Asker | Elsewhere | undefined
  readonly terms: Terms | null
}

/** The transaction runs as if alone, so two people at one instant cannot both be "one more needed". */
export async function decide(deps: AccessDeps, word: Word): Promise<Request> {
  if (word.comment.length > commentLengthMax) {
    throw new Fault('INPUT_INVALID', `The comment is longer than ${commentLengthMax} characters.`)
  }
  try {
    return await deps.store.transact((tx) => decideIn(deps, tx, word))
  } catch (error) {
    await recordRefusal(deps, 'decision.refused', word.person, error, {
      request: word.id.slice(0, 80),
      ...viaData(word),
    })
    throw error
  }
}

async function decideIn(deps: AccessDeps, tx: AccessTx, word: Word): Promise<Request> {
  const { person, id, verdict, asker } = word
  const stored = await tx.request(id)
  if (stored === undefined) throw unknownRequest()
  const now = deps.clock.now()
  const earlier = await given(deps, await tx.decisionsOn(id))
  await checkRight(deps, person, stored, earlier)
  const { resource, role } = stored
  const addresses = asker !== undefined && 'address' in asker ? [asker.address] : []
  await refuseLocked(tx, { ...holder(person), resource, role, addresses }, now)
  const request = expectOpen(stored, now)
  const all = [...earlier, { decision: decisionOf(deps, request, word, now), person }]
  await checkAgreement(deps, request, all)
  await tx.insertDecision(all.at(-1)!.decision)
  return verdict === 'deny' ? refuse(deps, tx, request, all, word) : second(deps, tx, request, all, word)
}

/** Where it came from, unless from a page of ours. */
function viaData({ asker }: Pick<Word, 'asker'>): { readonly via?: string } {
  return asker !== undefined && 'via' in asker ? { via: asker.via } : {}
}

function decisionOf(
  { random }: AccessDeps,
  request: Requested,
  { person, verdict, comment, terms }: Word,
  now: Instant,
): Decision {
  if (verdict === 'deny' && terms !== null) throw new Fault('INPUT_INVALID', 'Who refuses, narrows nothing.')
  return {
    ...{ id: random.id('decision'), request: request.id, person: person.id, verdict, step: request.step },
    terms: terms === null ? null : readTerms(request, terms, now),
    ...{ comment: comment.trim(), at: now },
  }
}

/** Nobody's terms may leave nothing, or something that cannot be had. */
async function checkAgreement(deps: AccessDeps, request: Requested, all: readonly Given[]): Promise<void> {
  if (all.at(-1)!.decision.terms === null) return
  await agreementOn(
    deps,
    request,
    all.map(({ decision }) => decision),
  )
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
  if (hasDecided(person, earlier)) {
    throw new Fault('ALREADY_DECIDED', 'You have decided on this request already.')
  }
  if (request.state === 'requested' && !mayDecideNow(placeOf(request), person, requesters)) {
    throw new Fault('NOT_ALLOWED', 'Others decide on this request first.', {
      hint: 'You are told when it is your turn, and it appears under "Approvals".',
    })
  }
}

/** Enough refusals in a step decide. */
async function refuse(
  deps: AccessDeps,
  tx: AccessTx,
  request: Requested,
  all: readonly Given[],
  word: Word,
): Promise<Request> {
  const step = stepOf(request)
  const refusals = all.filter(({ decision }) => decision.step === request.step && decision.verdict === 'deny')
  if (refusals.length < step.refusals) return goOn(tx, request, all, word)
  const { decision, person } = all.at(-1)!
  const denied = deny(request, decision.at)
  await tx.updateRequest(denied)
  await tx.record(accessEvents.closed(denied, actor(person), decision, viaData(word)))
  await tx.announce({ kind: 'request-closed', request: request.id, state: 'denied' })
  deps.metrics.add('curfew_requests_total', { state: 'denied' })
  return denied
}

async function second(
  deps: AccessDeps,
  tx: AccessTx,
  request: Requested,
  all: readonly Given[],
  word: Word,
): Promise<Request> {
  if (missingNow(request, all) > 0) return goOn(tx, request, all, word)
  const { decision, person } = all.at(-1)!
  const next = nextStep(request, decision.at)
  if (currentStep(next) !== undefined) {
    await tx.updateRequest(next)
    await goOn(tx, next, all, word)
    await tx.announce({ kind: 'request-advanced', request: next.id, step: next.step })
    return next
  }
  const approved = approve(next, decision.at)
  await tx.updateRequest(approved)
  await tx.record(accessEvents.closed(approved, actor(person), decision, viaData(word)))
  await fulfil(deps, tx, approved, decision.at)
  return approved
}

/** A word that does not settle it. */
async function goOn(tx: AccessTx, request: Requested, all: readonly Given[], word: Word): Promise<Request> {
  const { decision, person } = all.at(-1)!
  await tx.record(accessEvents.seconded(request, person, decision, missingNow(request, all), viaData(word)))
  await tx.announce({ kind: 'request-opened', request: request.id, seconded: decision.id })
  return request
}

function stepOf(request: Requested) {
  const step = currentStep(request)
  if (step === undefined) throw new Fault('REQUEST_CLOSED', 'Nobody is waited for.')
  return step
}
