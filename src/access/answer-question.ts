import { displayName, isMachinePerson, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { QuestionId, RequestId } from '../kernel/ids.ts'
import { isAmong } from '../policy/approval.ts'
import { sameHuman } from '../policy/subject.ts'
import type { Asker } from './access.ts'
import { holder, refuseLocked } from './ask.ts'
import { isOperator, knownPerson, type AccessDeps } from './deps.ts'
import { recordRefusal } from './events.ts'
import { decidesOn, requestersOf } from './place.ts'
import { answerQuestion, expectWaiting, type StatementQuestion } from './question.ts'
import { questionEvents } from './question-events.ts'
import type { Request } from './states.ts'
import type { AccessTx } from './store.ts'

export const questionCommentLengthMax = 1000

export type Verdict = 'approve' | 'refuse'
/** Where a word comes from. */
export type From = Pick<Asker, 'address'>

export interface QuestionView {
  readonly question: StatementQuestion
  readonly person: Person
  readonly request: Request
  readonly decidedBy: Person | null
  /** Whether this person's word is waited for. */
  readonly mayDecide: boolean
}

export async function waitingQuestions(deps: AccessDeps, person: Person): Promise<readonly QuestionView[]> {
  const now = deps.clock.now()
  const waiting = (await deps.store.waitingQuestions()).filter(({ lapsesAt }) => now < lapsesAt)
  const views = await Promise.all(waiting.map((question) => seen(deps, person, question)))
  return views.filter((one) => one?.mayDecide === true).map((one) => one!)
}

export async function closedQuestions(
  deps: AccessDeps,
  person: Person,
  limit: number,
): Promise<readonly QuestionView[]> {
  const all = await deps.store.closedQuestions(limit)
  const views = await Promise.all(all.map((question) => seen(deps, person, question)))
  return views.filter((one) => one !== undefined)
}

export async function viewQuestion(deps: AccessDeps, person: Person, id: QuestionId): Promise<QuestionView> {
  const question = await deps.store.question(id)
  const shown = question && (await seen(deps, person, question))
  if (shown === undefined) throw unknownQuestion()
  return shown
}

/** Undefined where this person may not see it. */
async function seen(deps: AccessDeps, person: Person, question: StatementQuestion): Promise<QuestionView | undefined> {
  const request = await requestOf(deps.store, question.request)
  const requesters = await requestersOf(deps, request)
  const isOwn = requesters.some((requester) => sameHuman(requester, person))
  const decides = answers(question, request, person, requesters)
  if (!isOwn && !decides && !isOperator(deps, person)) return undefined
  const isOpen = question.state === 'waiting' && deps.clock.now() < question.lapsesAt
  const by = question.state === 'approved' || question.state === 'refused' ? question.decidedBy : null
  return {
    question,
    request,
    person: await knownPerson(deps, question.person),
    decidedBy: by === null ? null : await knownPerson(deps, by),
    mayDecide: isOpen && decides,
  }
}

async function requestOf(reads: Pick<AccessTx, 'request'>, id: RequestId): Promise<Request> {
  const request = await reads.request(id)
  if (request === undefined) throw new Fault('STORE_FAILED', `The state names ${id}, which it does not know.`)
  return request
}

/** Whether their word counts: never on their own. */
function answers(
  { askers }: StatementQuestion,
  request: Request,
  person: Person,
  requesters: readonly Person[],
): boolean {
  if (isMachinePerson(person)) return false
  if (askers === null) return decidesOn(request, person, requesters)
  return isAmong(askers, person) && !requesters.some((requester) => sameHuman(requester, person))
}

function unknownQuestion(): Fault {
  return new Fault('NOT_FOUND', 'There is no such statement that you may see.')
}

export async function decideQuestion(
  deps: AccessDeps,
  person: Person,
  id: QuestionId,
  verdict: Verdict,
  comment: string,
  from: From | undefined,
): Promise<QuestionView> {
  if (comment.length > questionCommentLengthMax) {
    throw new Fault('INPUT_INVALID', `The comment is longer than ${questionCommentLengthMax} characters.`)
  }
  try {
    await deps.store.transact((tx) => decideIn(deps, tx, person, id, verdict, comment.trim(), from))
  } catch (error) {
    await recordRefusal(deps, 'decision.refused', person, error, { question: id.slice(0, 80) })
    throw error
  }
  return viewQuestion(deps, person, id)
}

async function decideIn(
  deps: AccessDeps,
  tx: AccessTx,
  person: Person,
  id: QuestionId,
  verdict: Verdict,
  comment: string,
  from: From | undefined,
): Promise<void> {
  const stored = await tx.question(id)
  if (stored === undefined) throw unknownQuestion()
  const request = await requestOf(tx, stored.request)
  const requesters = await requestersOf(deps, request)
  if (requesters.some((requester) => sameHuman(requester, person))) {
    throw new Fault('SELF_APPROVAL', 'Nobody agrees to their own statements.', { hint: 'Somebody else has to.' })
  }
  if (!answers(stored, request, person, requesters)) {
    throw isOperator(deps, person)
      ? new Fault('NOT_ALLOWED', 'You are not among those who are asked about this statement.')
      : unknownQuestion()
  }
  const now = deps.clock.now()
  const addresses = from === undefined ? [] : [from.address]
  await refuseLocked(tx, { ...holder(person), resource: stored.resource, role: stored.role, addresses }, now)
  const answer = answerQuestion(expectWaiting(stored, now), verdict, person.id, comment, now)
  await tx.updateQuestion(answer)
  await tx.record(questionEvents.closed(answer, { id: person.id, name: displayName(person) }))
  await tx.announce({ kind: 'statement-answered', question: id, state: answer.state })
}
