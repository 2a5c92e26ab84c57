import { Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId, QuestionId, RequestId, SessionId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Approvers } from '../policy/approval.ts'

/** A statement that waits in a session until somebody agrees to it. */
interface Put {
  readonly id: QuestionId
  readonly session: SessionId
  readonly grant: GrantId
  readonly request: RequestId
  readonly person: PersonId
  readonly resource: string
  readonly role: string
  /** Passwords masked; its beginning, when it is long. */
  readonly sql: string
  /** Length of the whole, in UTF-16 units. */
  readonly sqlChars: number
  /** The guard's rule; null: no rule fitted. */
  readonly rule: string | null
  /** What it does: `delete on shop.orders`. */
  readonly about: string
  /** What the rule says besides. */
  readonly message: string | null
  /** Null: whoever decides on the request. */
  readonly askers: Approvers | null
  readonly askedAt: Instant
  readonly lapsesAt: Instant
}
export type WaitingQuestion = Put & { readonly state: 'waiting' }
export type AnsweredQuestion = Put & {
  readonly state: 'approved' | 'refused'
  readonly decidedBy: PersonId
  readonly closedAt: Instant
  readonly comment: string
}
/** Nobody answered in time; or the person gave it up, or their session ended. */
export type DroppedQuestion = Put & { readonly state: 'lapsed' | 'given-up'; readonly closedAt: Instant }
export type StatementQuestion = WaitingQuestion | AnsweredQuestion | DroppedQuestion

export function expectWaiting(question: StatementQuestion, now: Instant): WaitingQuestion {
  if (question.state === 'waiting' && now < question.lapsesAt) return question
  const words = { waiting: 'waits no longer', approved: 'was approved', refused: 'was refused', lapsed: 'lapsed' }
  const how = question.state === 'given-up' ? 'was given up' : words[question.state]
  throw new Fault('QUESTION_CLOSED', `This statement ${how} already.`)
}

export function answerQuestion(
  question: WaitingQuestion,
  verdict: 'approve' | 'refuse',
  by: PersonId,
  comment: string,
  now: Instant,
): AnsweredQuestion {
  const state = verdict === 'approve' ? 'approved' : 'refused'
  return { ...question, state, decidedBy: by, closedAt: now, comment }
}

export function dropQuestion(
  question: WaitingQuestion,
  state: DroppedQuestion['state'],
  now: Instant,
): DroppedQuestion {
  return { ...question, state, closedAt: now }
}
