import type { Person } from '../identity/person.ts'
import { FailureLimit } from '../identity/failure-limit.ts'
import { Fault } from '../kernel/fault.ts'
import type { QuestionId } from '../kernel/ids.ts'
import {
  closedQuestions,
  decideQuestion,
  viewQuestion,
  waitingQuestions,
  type From,
  type QuestionView,
  type Verdict,
} from './answer-question.ts'
import type { AccessDeps } from './deps.ts'
import { linkToQuestion, putQuestion, type PutQuestion, type QuestionWish } from './put-question.ts'
import { questionEvents, type GuardFact } from './question-events.ts'

/** Each is told to others and kept. */
const givenUpMax = 20
const givenUpWithinMs = 10 * 60_000

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
      const put = await putQuestion(deps, wish, gaveUp)
      void put.answer.then(({ answer }) => answer === 'given-up' && givenUp.count(person))
      return put
    },
    note: (fact) => deps.store.transact((tx) => tx.record(questionEvents.judged(fact, deps.clock.now()))),
    waitingFor: (person) => waitingQuestions(deps, person),
    countFor: async (person) => (await waitingQuestions(deps, person)).length,
    closed: (person, limit) => closedQuestions(deps, person, limit),
    view: (person, id) => viewQuestion(deps, person, id),
    decide: (person, id, verdict, comment, from) => decideQuestion(deps, person, id, verdict, comment, from),
    link: (id) => linkToQuestion(deps, id),
  }
}
