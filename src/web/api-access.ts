import type * as z from 'zod'
import type { RequestView } from '../access/access.ts'
import { seesRisk } from '../access/assess.ts'
import type { Grant, Lock } from '../access/states.ts'
import { displayName, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId, LockId, PersonId, RequestId, SessionId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { Risk } from '../policy/risk.ts'
import { approvalJson, termsFrom } from './api-approval.ts'
import { body, bodyIfAny, caller, checked, idempotencyKey } from './api-call.ts'
import { asksForBundle, fileBundle, kindJson, lifeJson, lifeRoutes, windowsOf } from './api-life.ts'
import * as schema from './api-schema.ts'
import { peerAddress, type WebContext } from './context.ts'
import { readJson } from './forms.ts'
import { placeLock } from './lock-wish.ts'
import type { Site } from './site.ts'

const { apiPath } = schema
const ownShownMax = 50
const pastShownMax = 50

/** Access workflows for programs and the CLI, over the use cases of the pages. Shapes: api-schema-access.ts. */
export function accessRoutes(site: Site): void {
  requestRoutes(site)
  decisionRoutes(site)
  grantRoutes(site)
  sessionRoutes(site)
  lockRoutes(site)
  lifeRoutes(site, requestJson)
}

function requestRoutes(site: Site): void {
  const { access } = site.deps
  site.open('GET', `${apiPath}/requests`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    const [own, filed, toDecide] = await Promise.all([
      access.requestsOf(person, ownShownMax),
      access.requestsAskedBy(person, ownShownMax),
      access.toDecide(person),
    ])
    const newest = [...own, ...filed].toSorted((left, right) => right.askedAt - left.askedAt).slice(0, ownShownMax)
    const views = await Promise.all(newest.map(({ id }) => access.view(person, id)))
    return c.json({ own: views.map(requestJson(site, person)), toDecide: toDecide.map(requestJson(site, person)) })
  })
  site.open('POST', `${apiPath}/requests`, async (c) => {
    const { person, token } = await caller(site, c, 'requests:write')
    const value = await readJson(c)
    if (asksForBundle(value)) {
      const requests = await fileBundle(site, c, person, token.label, value)
      const views = await Promise.all(requests.map((request) => access.view(person, request.id)))
      return c.json({ requests: views.map(requestJson(site, person)) }, 201)
    }
    const { role = null, lengthMs = null, startsAt, hours, ...rest } = checked(schema.requestWish, value)
    const wish = { ...rest, role, lengthMs, startsAt: instantOrNull(startsAt), windows: windowsOf(hours) }
    const address = peerAddress(c)
    const origin = `${token.label} at ${address}`
    const { id } = await access.ask(person, { ...wish, origin, asker: { address }, key: idempotencyKey(c) })
    return c.json(requestJson(site, person)(await access.view(person, id)), 201)
  })
  site.open('GET', `${apiPath}/requests/:id`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    return c.json(requestJson(site, person)(await access.view(person, idOf<RequestId>(c))))
  })
  site.open('POST', `${apiPath}/requests/:id/cancel`, async (c) => {
    const { person } = await caller(site, c, 'requests:write')
    await access.cancel(person, idOf<RequestId>(c))
    return c.json(requestJson(site, person)(await access.view(person, idOf<RequestId>(c))))
  })
}

function decisionRoutes(site: Site): void {
  const { access } = site.deps
  site.open('POST', `${apiPath}/requests/:id/approve`, async (c) => {
    const { person } = await caller(site, c, 'decide')
    const { comment, ...less } = await bodyIfAny(c, schema.approving)
    const asker = { address: peerAddress(c) }
    const { id } = await access.decide(person, idOf<RequestId>(c), 'approve', comment, asker, termsFrom(less))
    return c.json(requestJson(site, person)(await access.view(person, id)))
  })
  site.open('POST', `${apiPath}/requests/:id/deny`, async (c) => {
    const { person } = await caller(site, c, 'decide')
    const { comment } = await bodyIfAny(c, schema.comment)
    const { id } = await access.decide(person, idOf<RequestId>(c), 'deny', comment, { address: peerAddress(c) })
    return c.json(requestJson(site, person)(await access.view(person, id)))
  })
}

function grantRoutes(site: Site): void {
  const { access } = site.deps
  site.open('GET', `${apiPath}/grants`, async (c) => {
    const { person } = await caller(site, c, 'requests:read')
    return c.json({ grants: (await access.livingGrants(person.id)).map(grantJson) })
  })
  site.open('POST', `${apiPath}/grants/:id/end`, async (c) => {
    const { person } = await caller(site, c, 'grants:write')
    await access.handBack(person, idOf<GrantId>(c))
    return c.body(null, 204)
  })
  site.open('POST', `${apiPath}/grants/:id/revoke`, async (c) => {
    const { person } = await caller(site, c, 'grants:write')
    const { comment } = await bodyIfAny(c, schema.comment)
    await access.revoke(person, idOf<GrantId>(c), comment)
    return c.body(null, 204)
  })
}

function sessionRoutes(site: Site): void {
  const { access, live } = site.deps
  site.open('GET', `${apiPath}/sessions`, async (c) => {
    const { person } = await caller(site, c, 'sessions:read')
    const { all } = checked(schema.sessionQuery, c.req.query())
    if (all === 'true' && !access.isOperator(person)) {
      throw new Fault('NOT_ALLOWED', 'Only operators see the sessions of others.')
    }
    const rows = await live.live(all === 'true' ? {} : { person: person.id })
    const sessions = rows.map(({ session, expiresAt }): z.output<typeof schema.session> => {
      const { id, person: of, personName: name, grant, resource, role, database, client, startedAt } = session
      const { protocol, address, application } = client
      return {
        ...{
          id,
          person: { id: of, displayName: name },
          grant,
          resource,
          role,
          database,
          protocol,
          address,
          application,
        },
        ...{ startedAt: isoTime(startedAt), expiresAt: isoTime(expiresAt) },
      }
    })
    return c.json({ sessions })
  })
  site.open('POST', `${apiPath}/sessions/:id/end`, async (c) => {
    const { person } = await caller(site, c, 'sessions:end')
    const { comment } = await bodyIfAny(c, schema.comment)
    await live.kill(person, idOf<SessionId>(c), comment)
    return c.body(null, 204)
  })
}

function lockRoutes(site: Site): void {
  const { access } = site.deps
  site.open('GET', `${apiPath}/locks`, async (c) => {
    const { person } = await caller(site, c, 'locks')
    if (!access.isOperator(person)) throw new Fault('NOT_ALLOWED', 'Locks are for operators.')
    const [locks, past] = await Promise.all([access.locks(), access.pastLocks(pastShownMax)])
    const json = (all: readonly Lock[]) => Promise.all(all.map((one) => lockJson(site, one)))
    return c.json({ locks: await json(locks), past: await json(past) })
  })
  site.open('POST', `${apiPath}/locks`, async (c) => {
    const { person: by } = await caller(site, c, 'locks')
    const wish = await body(c, schema.lockWish)
    const { person = null, machine = null, group = null, resource = null, role = null, address = null } = wish
    const { reason, lengthMs = null } = wish
    const key = idempotencyKey(c)
    const lock = await placeLock(site, by, { person, machine, group, resource, role, address, reason, lengthMs, key })
    return c.json(await lockJson(site, lock), 201)
  })
  site.app.delete(`${apiPath}/locks/:id`, async (c) => {
    c.set('route', `${apiPath}/locks/:id`)
    const { person } = await caller(site, c, 'locks')
    await access.liftLock(person, idOf<LockId>(c))
    return c.body(null, 204)
  })
}

function idOf<Id extends string>(c: WebContext): Id {
  return (c.req.param('id') ?? '') as Id
}

export type RequestJson = typeof requestJson

function requestJson({ deps }: Site, reader: Person) {
  return (view: RequestView): z.output<typeof schema.request> => {
    const { request, requester, grant, missing } = view
    const { id, state, resource, role, lengthMs, reason, ticket, policy, origin } = request
    return {
      ...{ id, link: deps.access.requestLink(id).href, state, person: someone(requester), resource, role },
      askedBy: view.requesters[1] === undefined ? null : someone(view.requesters[1]),
      emergency: request.kind === 'break-glass',
      ...kindJson(request),
      ...{ lengthMs, reason, ticket, startsAt: timeOrNull(request.startsAt), policy, origin },
      ...{ askedAt: isoTime(request.askedAt), lapsesAt: isoTime(request.lapsesAt) },
      closedAt: request.state === 'requested' ? null : isoTime(request.closedAt),
      risk: seesRisk(view, reader) ? riskJson(request.risk) : null,
      missing,
      ...approvalJson(view),
      grant: grant === undefined ? null : grantJson(grant),
    }
  }
}

function riskJson(risk: Risk | null): z.output<typeof schema.risk> | null {
  return risk && { ...risk, factors: [...risk.factors] }
}

function grantJson(grant: Grant): z.output<typeof schema.grant> {
  const { id, request, resource, role, policy, state, startsAt, expiresAt } = grant
  const endedAt = grant.state === 'scheduled' || grant.state === 'active' ? null : isoTime(grant.endedAt)
  return {
    ...{ id, request, resource, role, policy, state, endedAt },
    ...{ startsAt: isoTime(startsAt), expiresAt: isoTime(expiresAt) },
    ...lifeJson(grant),
  }
}

async function lockJson(site: Site, lock: Lock): Promise<z.output<typeof schema.lock>> {
  const { id, scope, reason, placedAt, until, liftedAt } = lock
  const [holder, placedBy, liftedBy] = await Promise.all([
    scope.person === null ? undefined : site.deps.identity.person(scope.person),
    ...[lock.placedBy, lock.liftedBy].map((one) => known(site, one)),
  ])
  const machine = holder?.kind === 'machine' ? holder.name : null
  const person = machine === null ? await known(site, scope.person) : null
  const { group = null, resource, role, address = null } = scope
  const over = lock.liftedBy === null ? 'over' : 'lifted'
  return {
    ...{ id, state: liftedAt === null ? 'standing' : over, person, machine, group, resource, role, address },
    ...{ reason, placedBy: placedBy ?? { id: lock.placedBy, displayName: lock.placedBy } },
    ...{ placedAt: isoTime(placedAt), until: timeOrNull(until) },
    ...{ liftedBy: liftedBy ?? null, liftedAt: timeOrNull(liftedAt) },
  }
}

type Someone = z.output<typeof schema.lock>['placedBy']

async function known({ deps }: Site, id: PersonId | null): Promise<Someone | null> {
  if (id === null) return null
  const person = await deps.identity.person(id)
  return person === undefined ? { id, displayName: id } : someone(person)
}

function someone(person: Person): Someone {
  return { id: person.id, displayName: displayName(person) }
}

function instantOrNull(text: string | null): Instant | null {
  return text === null ? null : (Date.parse(text) as Instant)
}

function timeOrNull(at: Instant | null): string | null {
  return at === null ? null : isoTime(at)
}
