import { auditEvent, type Actor, type AuditEvent } from '../audit/event.ts'
import type { Instant } from '../kernel/time.ts'
import type { StatementQuestion } from './question.ts'
import type { AskingSession } from './put-question.ts'

/** What a guard did by itself, the first time that a rule fitted in a session. */
export interface GuardFact {
  readonly session: AskingSession
  readonly action: 'warn' | 'refuse'
  readonly rule: string | null
  readonly about: string
}

/** The audit events of statements. Their text is in the recording, and nowhere in the log. */
export const questionEvents = {
  judged: ({ session, action, rule, about }: GuardFact, at: Instant): AuditEvent => {
    const { id, personName, person, resource, role } = session
    const type = action === 'warn' ? 'statement.warned' : 'statement.refused'
    return auditEvent(type, at, { id: person, name: personName }, { session: id, resource, role, rule, about })
  },
  asked: (question: StatementQuestion, by: Actor): AuditEvent =>
    auditEvent('statement.asked', question.askedAt, by, dataOf(question)),
  closed: (question: Exclude<StatementQuestion, { state: 'waiting' }>, by: Actor): AuditEvent =>
    auditEvent('statement.answered', question.closedAt, by, {
      ...dataOf(question),
      holder: question.person,
      state: question.state,
      ...('comment' in question && { comment: question.comment }),
    }),
}

function dataOf({ id, session, request, resource, role, rule, about }: StatementQuestion) {
  return { question: id, session, request, resource, role, rule, about }
}
