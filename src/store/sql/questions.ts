import type { Kysely } from 'kysely'
import type { StatementQuestion, WaitingQuestion } from '../../access/question.ts'
import type { QuestionReads, QuestionTx } from '../../access/question-store.ts'
import type { GrantId, PersonId, QuestionId, RequestId, SessionId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { Approvers } from '../../policy/approval.ts'
import type { StatementQuestionRow, Tables } from './tables.ts'

type Database = Kysely<Tables>

export function questionReads(db: Database): QuestionReads {
  const questions = () => db.selectFrom('statement_questions').selectAll()
  const waiting = () => questions().where('state', '=', 'waiting').orderBy('asked_at').orderBy('id')
  return {
    async question(id) {
      const row = await questions().where('id', '=', id).executeTakeFirst()
      return row && toQuestion(row)
    },
    waitingQuestions: async () => (await waiting().execute()).map(toWaiting),
    waitingQuestionsOf: async (person) => (await waiting().where('person_id', '=', person).execute()).map(toWaiting),
    async closedQuestions(limit) {
      const closed = questions().where('state', '<>', 'waiting')
      return (await closed.orderBy('asked_at', 'desc').orderBy('id').limit(limit).execute()).map(toQuestion)
    },
    questionsToLapse: async (at) => (await waiting().where('lapses_at', '<=', at).execute()).map(toWaiting),
  }
}

export function questionTx(db: Database): QuestionTx {
  return {
    ...questionReads(db),
    insertQuestion: async (question) =>
      void (await db.insertInto('statement_questions').values(fromQuestion(question)).execute()),
    async updateQuestion(question) {
      const { id, ...columns } = fromQuestion(question)
      await db.updateTable('statement_questions').set(columns).where('id', '=', id).execute()
    },
  }
}

function fromQuestion(question: StatementQuestion): StatementQuestionRow {
  const answered = question.state === 'approved' || question.state === 'refused' ? question : undefined
  return {
    id: question.id,
    session_id: question.session,
    grant_id: question.grant,
    request_id: question.request,
    person_id: question.person,
    resource: question.resource,
    role: question.role,
    sql: question.sql,
    sql_chars: question.sqlChars,
    rule: question.rule,
    about: question.about,
    message: question.message,
    askers: question.askers === null ? null : JSON.stringify(question.askers),
    asked_at: question.askedAt,
    lapses_at: question.lapsesAt,
    state: question.state,
    decided_by: answered?.decidedBy ?? null,
    closed_at: question.state === 'waiting' ? null : question.closedAt,
    comment: answered?.comment ?? '',
  }
}

function toWaiting(row: StatementQuestionRow): WaitingQuestion {
  return {
    id: row.id as QuestionId,
    session: row.session_id as SessionId,
    grant: row.grant_id as GrantId,
    request: row.request_id as RequestId,
    person: row.person_id as PersonId,
    resource: row.resource,
    role: row.role,
    sql: row.sql,
    sqlChars: row.sql_chars,
    rule: row.rule,
    about: row.about,
    message: row.message,
    askers: row.askers === null ? null : (JSON.parse(row.askers) as Approvers),
    askedAt: row.asked_at as Instant,
    lapsesAt: row.lapses_at as Instant,
    state: 'waiting',
  }
}

/** The database holds what a state needs. */
function toQuestion(row: StatementQuestionRow): StatementQuestion {
  const put = toWaiting(row)
  const closedAt = row.closed_at as Instant
  switch (row.state) {
    case 'approved':
    case 'refused':
      return { ...put, state: row.state, decidedBy: row.decided_by as PersonId, closedAt, comment: row.comment }
    case 'lapsed':
    case 'given-up':
      return { ...put, state: row.state, closedAt }
    default:
      return put
  }
}
