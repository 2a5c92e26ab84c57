import type * as z from 'zod'
import { seesRisk } from '../access/assess.ts'
import type { ReviewView } from '../access/reviews.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { ReviewId } from '../kernel/ids.ts'
import { isoTime } from '../kernel/time.ts'
import { approversWords } from '../policy/approval.ts'
import type { SessionRow } from '../sessions/session.ts'
import { body, caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import type { WebContext } from './context.ts'
import type { Site } from './site.ts'

const { apiPath } = schema
const closedShownMax = 50

/** Looking at emergencies afterwards, for programs and the CLI. */
export function reviewRoutes(site: Site): void {
  const { reviews } = site.deps.access
  site.open('GET', `${apiPath}/reviews`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    const [open, closed] = await Promise.all([reviews.open(person), reviews.closed(person, closedShownMax)])
    return c.json({ open: open.map(reviewJson(site, person)), closed: closed.map(reviewJson(site, person)) })
  })
  site.open('GET', `${apiPath}/reviews/:id`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    return c.json(reviewJson(site, person)(await reviews.view(person, idOf(c))))
  })
  site.open('POST', `${apiPath}/reviews/:id/close`, async (c) => {
    const { person } = await caller(site, c, 'decide')
    const { verdict, comment } = await body(c, schema.reviewClosing)
    return c.json(reviewJson(site, person)(await reviews.close(person, idOf(c), verdict, comment)))
  })
}

function idOf(c: WebContext): ReviewId {
  return (c.req.param('id') ?? '') as ReviewId
}

function reviewJson({ deps }: Site, reader: Person) {
  const link = (...path: readonly string[]) => new URL(path.map(encodeURIComponent).join('/'), deps.publicUrl).href
  return ({
    review,
    request,
    person,
    grant,
    sessions,
    closedBy,
    mayClose,
  }: ReviewView): z.output<typeof schema.review> => {
    const closed = review.state === 'closed' ? review : null
    return {
      ...{ id: review.id, link: link('reviews', review.id), state: review.state, person: someone(person) },
      ...{ request: request.id, grant: grant.id, grantState: grant.state, resource: grant.resource, role: grant.role },
      ...{ reason: request.reason, ticket: request.ticket, policy: request.policy, origin: request.origin },
      ...{ startedAt: isoTime(grant.startsAt), until: isoTime('endedAt' in grant ? grant.endedAt : grant.expiresAt) },
      ...{ reviewers: approversWords(review.reviewers), mayClose },
      risk: seesRisk({ request, requester: person }, reader) ? (request.risk?.score ?? null) : null,
      sessions: sessions.map((row) => sessionJson(row, link)),
      ...{ verdict: closed?.verdict ?? null, comment: closed?.comment ?? null },
      closedBy: closedBy === null ? null : someone(closedBy),
      closedAt: closed === null ? null : isoTime(closed.closedAt),
    }
  }
}

function sessionJson({ session: { id, startedAt }, end, recording }: SessionRow, link: (...path: string[]) => string) {
  return {
    ...{ id, link: link('sessions', id), recording: recording === null ? null : link('recordings', id) },
    ...{ startedAt: isoTime(startedAt), endedAt: end === null ? null : isoTime(end.at) },
  }
}

function someone(person: Person): { id: string; displayName: string } {
  return { id: person.id, displayName: displayName(person) }
}
