import type { NoticeType } from '../access/outbox.ts'
import type { StatementQuestion } from '../access/question.ts'
import type { Request } from '../access/states.ts'
import type { AccessReads } from '../access/store.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { GrantId, PersonId, QuestionId, RequestId, SessionId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { PersonFacts } from './facts.ts'

/** A statement that waits in a session, or did. */
export interface StatementFacts {
  readonly id: QuestionId
  readonly link: string
  readonly state: StatementQuestion['state']
  readonly session: SessionId
  readonly grant: GrantId
  readonly request: RequestId
  readonly resource: string
  readonly role: string
  readonly person: PersonFacts
  /** What it does, such as `delete on shop.orders`. */
  readonly about: string
  readonly rule: string | null
  /** Its beginning, passwords masked; null when the operator keeps people's words out of messages. Comments, too. */
  readonly sql: string | null
  readonly askedAt: string
  readonly lapsesAt: string
  readonly answeredBy: PersonFacts | null
  readonly comment: string | null
  readonly closedAt: string | null
}

export interface StatementFactsDeps {
  readonly reads: Pick<AccessReads, 'request' | 'question'>
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly publicUrl: URL
  readonly includeReason: boolean
}

export interface StatementRead {
  readonly at: Instant
  readonly facts: StatementFacts
  readonly question: StatementQuestion
  readonly request: Request
  readonly requester: Person
}

const sqlCharsMax = 1000

export async function readStatement(
  { reads, person, publicUrl, includeReason }: StatementFactsDeps,
  type: NoticeType,
  id: QuestionId,
): Promise<StatementRead | undefined> {
  const question = await reads.question(id)
  const request = question && (await reads.request(question.request))
  const requester = question && (await person(question.person))
  if (question === undefined || request === undefined || requester === undefined) return undefined
  const closedAt = question.state === 'waiting' ? null : question.closedAt
  const answer = 'decidedBy' in question ? question : null
  const by = answer === null ? undefined : await person(answer.decidedBy)
  const { sql, sqlChars, session, grant, resource, role, about, rule } = question
  const shown = sqlChars > sqlCharsMax ? `${sql.slice(0, sqlCharsMax)}…` : sql
  const facts: StatementFacts = {
    ...{ id, link: new URL(`statements/${encodeURIComponent(id)}`, publicUrl).href, state: question.state },
    ...{ session, grant, request: request.id, resource, role, person: namesOf(requester), about, rule },
    sql: includeReason ? shown : null,
    ...{ askedAt: isoTime(question.askedAt), lapsesAt: isoTime(question.lapsesAt) },
    answeredBy: by === undefined ? null : namesOf(by),
    comment: includeReason && answer !== null && answer.comment !== '' ? answer.comment : null,
    closedAt: closedAt === null ? null : isoTime(closedAt),
  }
  return {
    at: type === 'statement.asked' ? question.askedAt : (closedAt ?? question.askedAt),
    facts,
    question,
    request,
    requester,
  }
}

function namesOf(person: Person): PersonFacts {
  return { id: person.id, name: displayName(person), email: person.email }
}
