import type * as z from 'zod'
import type { QuestionView } from '../access/answer-question.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { QuestionId } from '../kernel/ids.ts'
import { isoTime } from '../kernel/time.ts'
import { body, caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import { peerAddress, type WebContext } from './context.ts'
import type { Site } from './site.ts'

const { apiPath } = schema
const closedShownMax = 50

/** Statements that wait for somebody's word, for programs and the CLI. */
export function statementRoutes(site: Site): void {
  const { questions } = site.deps.access
  site.open('GET', `${apiPath}/statements`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    const [waiting, closed] = await Promise.all([
      questions.waitingFor(person),
      questions.closed(person, closedShownMax),
    ])
    return c.json({ waiting: waiting.map(statementJson(site)), closed: closed.map(statementJson(site)) })
  })
  site.open('GET', `${apiPath}/statements/:id`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    return c.json(statementJson(site)(await questions.view(person, idOf(c))))
  })
  site.open('POST', `${apiPath}/statements/:id/decide`, async (c) => {
    const { person } = await caller(site, c, 'decide')
    const { verdict, comment } = await body(c, schema.statementWord)
    return c.json(
      statementJson(site)(await questions.decide(person, idOf(c), verdict, comment, { address: peerAddress(c) })),
    )
  })
}

function idOf(c: WebContext): QuestionId {
  return (c.req.param('id') ?? '') as QuestionId
}

function statementJson({ deps }: Site) {
  return ({ question, person, decidedBy, mayDecide }: QuestionView): z.output<typeof schema.statement> => {
    const { id, state, request, grant, session, resource, role, sql, sqlChars, about, rule, message } = question
    return {
      ...{ id, link: deps.access.questions.link(id).href, state, person: someone(person), request, grant, session },
      ...{ resource, role, sql, sqlChars, about, rule, message, mayDecide },
      ...{ askedAt: isoTime(question.askedAt), lapsesAt: isoTime(question.lapsesAt) },
      decidedBy: decidedBy === null ? null : someone(decidedBy),
      closedAt: question.state === 'waiting' ? null : isoTime(question.closedAt),
      comment: 'comment' in question ? question.comment : null,
    }
  }
}

function someone(person: Person): { id: string; displayName: string } {
  return { id: person.id, displayName: displayName(person) }
}
