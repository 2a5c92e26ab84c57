import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { RequestId } from '../kernel/ids.ts'
import { mayApprove, missingPeople, sameHuman } from '../policy/decide.ts'
import type { Asker } from './access.ts'
import { giveGrant, holder, refuseLocked, unknownRequest } from './ask.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { accessEvents, actor, recordRefusal } from './events.ts'
import type { Decision, Request, Requested } from './states.ts'
import type { AccessTx } from './store.ts'
import { approve, deny, expectOpen } from './transitions.ts'

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
  const requester = await knownPerson(deps, stored.person)
  checkRight(person, requester, stored)
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
  const earlier = await tx.decisionsOn(id)
  if (earlier.some((decision) => decision.person === person.id)) {
    throw new Fault('ALREADY_DECIDED', 'You have decided on this request already.')
  }
  const request = expectOpen(stored, now)
  const decision: Decision = {
    id: deps.random.id('decision'),
    request: id,
    person: person.id,
    verdict,
    comment,
    at: now,
  }
  await tx.insertDecision(decision)
  return verdict === 'deny'
    ? refuse(deps, tx, person, request, decision)
    : second(deps, tx, person, request, decision, earlier)
}

function checkRight(person: Person, requester: Person, request: Request): void {
  if (sameHuman(person, requester)) throw new Fault('SELF_APPROVAL', 'Nobody decides on their own request.')
  if (!mayApprove(request.approval, person, requester)) {
    throw new Fault('NOT_ALLOWED', 'You are not in a group that decides on this request.')
  }
}

/** One refusal decides. */
async function refuse(
  deps: AccessDeps,
  tx: AccessTx,
  person: Person,
  request: Requested,
  decision: Decision,
): Promise<Request> {
  const denied = deny(request, decision.at)
  await tx.updateRequest(denied)
  await tx.record(accessEvents.closed(denied, actor(person), decision))
  await tx.announce({ kind: 'request-closed', request: request.id, state: 'denied' })
  deps.metrics.add('curfew_requests_total', { state: 'denied' })
  return denied
}

async function second(
  deps: AccessDeps,
  tx: AccessTx,
  person: Person,
  request: Requested,
  decision: Decision,
  earlier: readonly Decision[],
): Promise<Request> {
  const others = await Promise.all(earlier.map((given) => knownPerson(deps, given.person)))
  const missing = missingPeople(request.approval, [...others, person])
  if (missing > 0) {
    await tx.record(accessEvents.seconded(request, person, decision, missing))
    await tx.announce({ kind: 'request-opened', request: request.id, seconded: decision.id })
    return request
  }
  const approved = approve(request, decision.at)
  await tx.updateRequest(approved)
  await tx.record(accessEvents.closed(approved, actor(person), decision))
  await giveGrant(deps, tx, approved, decision.at)
  return approved
}
