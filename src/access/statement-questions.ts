import { theGateway } from '../audit/event.ts'
import { FailureLimit } from '../identity/failure-limit.ts'
import { displayName, isMachinePerson, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId, QuestionId, RequestId, SessionId } from '../kernel/ids.ts'
import { later, type Instant } from '../kernel/time.ts'
import { isAmong, type Approvers } from '../policy/approval.ts'
import { sameHuman } from '../policy/subject.ts'
import type { Asker } from './access.ts'
import { holder, refuseLocked } from './ask.ts'
import { isOperator, knownPerson, type AccessDeps } from './deps.ts'
import { recordRefusal } from './events.ts'
import { decidesOn, requestersOf } from './place.ts'
import {
  answerQuestion,
  dropQuestion,
  expectWaiting,
  type StatementQuestion,
  type WaitingQuestion,
} from './question.ts'
import { questionEvents, type GuardFact } from './question-events.ts'
import type { Request } from './states.ts'
import type { AccessTx } from './store.ts'

export const questionCommentLengthMax = 1000
/** What is kept of a statement, in UTF-16 units; the recording has more. */
export const questionSqlCharsMax: number = 64 * 1024
const waitingPerPersonMax = 20
/** Each is told to others and kept. */
const givenUpMax = 20
const givenUpWithinMs = 10 * 60_000

type Verdict = 'approve' | 'refuse'
/** Where a word comes from. */
type From = Pick<Asker, 'address'>

/** A session that asks. */
export interface AskingSession {
  readonly id: SessionId
  readonly grant: GrantId
  readonly person: PersonId
  readonly personName: string
  readonly resource: string
  readonly role: string
}

export interface QuestionWish {
  readonly session: AskingSession
  /** Passwords masked. */
  readonly sql: string
  readonly rule: string | null
  readonly about: string
  readonly message: string | null
  readonly askers: Approvers | null
  readonly waitMs: number
}

export interface QuestionAnswer {
  readonly answer: 'approved' | 'refused' | 'lapsed' | 'given-up'
  /** Who answered, by name. */
  readonly by?: string
  readonly comment?: string
}

/** A question that was put. */
export interface PutQuestion {
  readonly id: QuestionId
  readonly link: URL
  readonly waitMs: number
  /** Never rejects. */
  readonly answer: Promise<QuestionAnswer>
}

export interface QuestionView {
  readonly question: StatementQuestion
  readonly person: Person
  readonly request: Request
  readonly decidedBy: Person | null
  /** Whether this person's word is waited for. */
  readonly mayDecide: boolean
}

/** Statements that wait for somebody's word. */
export interface StatementQuestions {
  /**
   * @param gaveUp aborts when the session waits no more.
   * @throws Fault APPROVER_UNKNOWN (there is nobody to ask), RATE_LIMITED, GRANT_UNKNOWN
   */
  ask(wish: QuestionWish, gaveUp: AbortSignal): Promise<PutQuestion>
  /** A guard warned or refused. */
  note(fact: GuardFact): Promise<void>
  /** Those that wait for this person's word, the oldest first. */
  waitingFor(person: Person): Promise<readonly QuestionView[]>
  /** How many. */
  countFor(person: Person): Promise<number>
  /** Answered or dropped, as far as this person may see them; the last that was asked first. */
  closed(person: Person, limit: number): Promise<readonly QuestionView[]>
  /** @throws Fault NOT_FOUND for what is not there, and for what they may not see. */
  view(person: Person, id: QuestionId): Promise<QuestionView>
  /** @throws Fault NOT_FOUND, NOT_ALLOWED, SELF_APPROVAL, LOCKED, QUESTION_CLOSED, INPUT_INVALID */
  decide(person: Person, id: QuestionId, verdict: Verdict, comment: string, from?: From): Promise<QuestionView>
  link(id: QuestionId): URL
}

export function createStatementQuestions(deps: AccessDeps): StatementQuestions {
  const givenUp = new FailureLimit(deps.clock, givenUpMax, givenUpWithinMs)
  return {
    async ask(wish, gaveUp) {
      const { person } = wish.session
      if (givenUp.reached(person)) throw new Fault('RATE_LIMITED', `You gave up ${givenUpMax} statements lately.`)
      const put = await ask(deps, wish, gaveUp)
      void put.answer.then(({ answer }) => answer === 'given-up' && givenUp.count(person))
      return put
    },
    note: (fact) => deps.store.transact((tx) => tx.record(questionEvents.judged(fact, deps.clock.now()))),
    waitingFor: (person) => waitingFor(deps, person),
    countFor: async (person) => (await waitingFor(deps, person)).length,
    closed: (person, limit) => closed(deps, person, limit),
    view: (person, id) => view(deps, person, id),
    decide: (person, id, verdict, comment, from) => decide(deps, person, id, verdict, comment, from),
    link: (id) => linkTo(deps, id),
  }
}

function linkTo({ publicUrl }: AccessDeps, id: QuestionId): URL {
  return new URL(`/statements/${id}`, publicUrl)
}

/** Listens first, then puts it: an answer that comes in between is not lost. */
async function ask(deps: AccessDeps, wish: QuestionWish, gaveUp: AbortSignal): Promise<PutQuestion> {
  const id = deps.random.id('question')
  const closing = Promise.withResolvers<void>()
  const listening = deps.changes.subscribe((change) => {
    if (change.kind === 'statement-answered' && change.question === id) closing.resolve()
  })
  try {
    const question = await deps.store.transact((tx) => putIn(deps, tx, id, wish))
    const answer = answerOf(deps, question, closing.promise, gaveUp).finally(() => listening[Symbol.dispose]())
    return { id, link: linkTo(deps, id), waitMs: wish.waitMs, answer }
  } catch (error) {
    listening[Symbol.dispose]()
    throw error
  }
}

async function putIn(deps: AccessDeps, tx: AccessTx, id: QuestionId, wish: QuestionWish): Promise<WaitingQuestion> {
  const { session, sql, rule, about, message, askers, waitMs } = wish
  const grant = await tx.grant(session.grant)
  const request = grant && (await tx.request(grant.request))
  if (request === undefined) throw new Fault('GRANT_UNKNOWN', `There is no ${session.grant}.`)
  if (askers === null && request.approval.kind === 'none') {
    throw new Fault('APPROVER_UNKNOWN', 'The guard asks, and nobody is named who could answer.', {
      hint: 'Your operations people can name them: `askers` of the guard.',
    })
  }
  if ((await tx.waitingQuestionsOf(session.person)).length >= waitingPerPersonMax) {
    throw new Fault('RATE_LIMITED', `${waitingPerPersonMax} statements of yours wait for an answer already.`)
  }
  const now = deps.clock.now()
  const { person, resource, role } = session
  const question: WaitingQuestion = {
    ...{ id, session: session.id, grant: session.grant, request: request.id, person, resource, role },
    ...{ sql: sql.slice(0, questionSqlCharsMax), sqlChars: sql.length, rule, about, message, askers },
    ...{ askedAt: now, lapsesAt: later(now, waitMs), state: 'waiting' },
  }
  await tx.insertQuestion(question)
  await tx.record(questionEvents.asked(question, { id: person, name: session.personName }))
  await tx.announce({ kind: 'statement-asked', question: id })
  return question
}

/** Of an answer, of silence, or of giving up, the first counts: the database says which that was. */
async function answerOf(
  deps: AccessDeps,
  question: WaitingQuestion,
  closed: Promise<void>,
  gaveUp: AbortSignal,
): Promise<QuestionAnswer> {
  const late = Promise.withResolvers<void>()
  const givenUp = Promise.withResolvers<void>()
  const onGivenUp = () => givenUp.resolve()
  const timer = deps.clock.after(question.lapsesAt - question.askedAt, () => late.resolve())
  gaveUp.addEventListener('abort', onGivenUp, { once: true })
  if (gaveUp.aborted) onGivenUp()
  try {
    const first = await Promise.race([
      closed.then(() => 'closed' as const),
      late.promise.then(() => 'lapsed' as const),
      givenUp.promise.then(() => 'given-up' as const),
    ])
    if (first === 'closed') return await answered(deps, question.id)
    // Whoever waits no more is not held up by writing that down; the sweep does it if this fails.
    const dropped = drop(deps, question.id, first)
    if (first === 'given-up') {
      dropped.catch(() => undefined)
      return { answer: 'given-up' }
    }
    return (await dropped) ? { answer: 'lapsed' } : await answered(deps, question.id)
  } catch {
    return { answer: 'lapsed' } // the state cannot be asked: nothing goes on without a word
  } finally {
    timer.cancel()
    gaveUp.removeEventListener('abort', onGivenUp)
  }
}

async function answered(deps: AccessDeps, id: QuestionId): Promise<QuestionAnswer> {
  const question = await deps.store.question(id)
  if (question === undefined || question.state === 'waiting') return { answer: 'lapsed' }
  if (question.state !== 'approved' && question.state !== 'refused') return { answer: question.state }
  const by = displayName(await knownPerson(deps, question.decidedBy))
  return { answer: question.state, by, ...(question.comment !== '' && { comment: question.comment }) }
}

/** @returns false if it was closed before. */
async function drop(deps: AccessDeps, id: QuestionId, state: 'lapsed' | 'given-up'): Promise<boolean> {
  return deps.store.transact(async (tx) => {
    const question = await tx.question(id)
    if (question?.state !== 'waiting') return false
    await dropIn(tx, question, state, deps.clock.now())
    return true
  })
}

async function dropIn(
  tx: AccessTx,
  question: WaitingQuestion,
  state: 'lapsed' | 'given-up',
  now: Instant,
): Promise<void> {
  const dropped = dropQuestion(question, state, now)
  await tx.updateQuestion(dropped)
  await tx.record(questionEvents.closed(dropped, theGateway))
  await tx.announce({ kind: 'statement-answered', question: question.id, state })
}

/** What a gateway left that stopped while somebody waited. @returns how many. */
export async function lapseQuestions(deps: AccessDeps): Promise<number> {
  const late = await deps.store.questionsToLapse(deps.clock.now())
  for (const { id } of late) await drop(deps, id, 'lapsed')
  return late.length
}

async function waitingFor(deps: AccessDeps, person: Person): Promise<readonly QuestionView[]> {
  const now = deps.clock.now()
  const waiting = (await deps.store.waitingQuestions()).filter(({ lapsesAt }) => now < lapsesAt)
  const views = await Promise.all(waiting.map((question) => seen(deps, person, question)))
  return views.filter((one) => one?.mayDecide === true).map((one) => one!)
}

async function closed(deps: AccessDeps, person: Person, limit: number): Promise<readonly QuestionView[]> {
  const all = await deps.store.closedQuestions(limit)
  const views = await Promise.all(all.map((question) => seen(deps, person, question)))
  return views.filter((one) => one !== undefined)
}

async function view(deps: AccessDeps, person: Person, id: QuestionId): Promise<QuestionView> {
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

async function decide(
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
  return view(deps, person, id)
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
