import { theGateway } from '../audit/event.ts'
import { displayName } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId, QuestionId, SessionId } from '../kernel/ids.ts'
import { later, type Instant } from '../kernel/time.ts'
import type { Approvers } from '../policy/approval.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { dropQuestion, type WaitingQuestion } from './question.ts'
import { questionEvents } from './question-events.ts'
import type { AccessTx } from './store.ts'

/** What is kept of a statement, in UTF-16 units; the recording has more. */
export const questionSqlCharsMax: number = 64 * 1024
const waitingPerPersonMax = 20

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

export function linkToQuestion({ publicUrl }: AccessDeps, id: QuestionId): URL {
  return new URL(`/statements/${id}`, publicUrl)
}

/** Listens first, then puts it: an answer that comes in between is not lost. */
export async function putQuestion(deps: AccessDeps, wish: QuestionWish, gaveUp: AbortSignal): Promise<PutQuestion> {
  const id = deps.random.id('question')
  const closing = Promise.withResolvers<void>()
  const listening = deps.changes.subscribe((change) => {
    if (change.kind === 'statement-answered' && change.question === id) closing.resolve()
  })
  try {
    const question = await deps.store.transact((tx) => putIn(deps, tx, id, wish))
    const answer = answerOf(deps, question, closing.promise, gaveUp).finally(() => listening[Symbol.dispose]())
    return { id, link: linkToQuestion(deps, id), waitMs: wish.waitMs, answer }
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
      dropped.catch(() => undefined) // the sweep does it then
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
