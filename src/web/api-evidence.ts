import type { Person } from '../identity/person.ts'
import { hasScope } from '../identity/scopes.ts'
import type { GrantId, RequestId } from '../kernel/ids.ts'
import type { Subject } from '../evidence/story.ts'
import { caller, checked, refuseScope } from './api-call.ts'
import * as schema from './api-schema.ts'
import { peerAddress, type WebContext } from './context.ts'
import { createRateLimit } from './rate-limit.ts'
import type { Site } from './site.ts'

const { apiPath } = schema

/** Evidence bundles, from pages and for programs: the same archives. */
export function evidenceRoutes(site: Site): void {
  const { deps } = site
  // Each reads through a part of the audit log and signs it.
  const bundles = createRateLimit(deps.clock, { burst: 10, perMs: 20_000 })

  async function bundle(c: WebContext, person: Person, subject: Subject, whole: boolean): Promise<Response> {
    c.header('Content-Type', 'application/x-tar')
    // Nothing is made, or written down, for somebody who only asks what it would be.
    if (c.req.method === 'HEAD') return c.body(null)
    bundles.take(person.id)
    const { fileName, bytes } = await deps.evidence.bundle(person, subject, { whole, address: peerAddress(c) })
    c.header('Content-Disposition', `attachment; filename="${fileName}"`)
    return c.body(ReadableStream.from(bytes))
  }

  const wantsWhole = (c: WebContext) => checked(schema.evidenceQuery, c.req.query()).recordings === 'true'
  for (const kind of ['request', 'grant'] as const) {
    site.page(`/${kind}s/:id/evidence`, (visit) =>
      bundle(visit.c, visit.person, subjectOf(kind, visit.c), wantsWhole(visit.c)),
    )
    site.open('GET', `${apiPath}/${kind}s/:id/evidence`, async (c) => {
      const { person, token } = await caller(site, c, 'evidence:read')
      const whole = wantsWhole(c)
      if (whole && !hasScope(token.scopes, 'recordings:read')) throw refuseScope(c, 'recordings:read')
      return bundle(c, person, subjectOf(kind, c), whole)
    })
  }
}

function subjectOf(kind: Subject['kind'], c: WebContext): Subject {
  const id = c.req.param('id') ?? ''
  return kind === 'request' ? { kind, id: id as RequestId } : { kind, id: id as GrantId }
}
