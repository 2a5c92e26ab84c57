import type { PersonId, QuestionId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { StatementQuestion, WaitingQuestion } from './question.ts'

export interface QuestionReads {
  question(id: QuestionId): Promise<StatementQuestion | undefined>
  /** The oldest first. */
  waitingQuestions(): Promise<readonly WaitingQuestion[]>
  /** Those of one person. */
  waitingQuestionsOf(person: PersonId): Promise<readonly WaitingQuestion[]>
  /** Closed, the last that was asked first. */
  closedQuestions(limit: number): Promise<readonly StatementQuestion[]>
  /** Waiting, and their time is over. */
  questionsToLapse(at: Instant): Promise<readonly WaitingQuestion[]>
}

/** The database refuses a second word on one, a late one, and anybody's word on their own. */
export interface QuestionTx extends QuestionReads {
  insertQuestion(question: WaitingQuestion): Promise<void>
  /** @throws Fault QUESTION_CLOSED, SELF_APPROVAL */
  updateQuestion(question: StatementQuestion): Promise<void>
}
