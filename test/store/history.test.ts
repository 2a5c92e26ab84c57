// Goal: what is known of a person is read from what happened, as far back as docs/risk.md says and no further, never
// looks at other people, and costs an index each. Method: the real SQLite, filled with what happens.
import { describe, expect, test } from 'vitest'
import { historyBounds, turnedAwayTypes } from '../../src/access/history.ts'
import { auditEvent, type AuditType } from '../../src/audit/event.ts'
import type { Person } from '../../src/identity/person.ts'
import { later, type Instant } from '../../src/kernel/time.ts'
import type { State } from '../../src/store/state.ts'
import { historyReads } from '../../src/store/sql/history.ts'
import { kyselyOver } from '../../src/store/sqlite/kysely-dialect.ts'
import type { Statement } from '../../src/store/sqlite/messages.ts'
import {
  approved,
  someBrowserSession,
  someDecision,
  someGrant,
  someRequest,
  someSession,
  storeGrant,
  storePerson,
  storeRequest,
} from '../contracts/samples.ts'
import { makeSqlitePlace } from './place.ts'
import { openRaw } from './raw.ts'

const now = Date.UTC(2026, 10, 23, 10) as Instant
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const ago = (ms: number) => later(now, -ms)
const nothing = { lengthsThereMs: [], sessionsAt: [], addresses: [], refusals: 0, failures: 0 }

async function open() {
  const place = await makeSqlitePlace()
  const state = await place.open()
  const [erin, kim] = [await storePerson(state), await storePerson(state)]
  const read = (person: Person = erin, resource = 'prod-db') => state.history.history(person.id, resource, now)
  return { place, state, erin, kim, read, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() }
}

/** A grant that began then, and a session under it from there. */
async function worked(state: State, { id }: Person, startedAt: Instant, address: string) {
  const grant = await storeGrant(state, id, { startsAt: startedAt, expiresAt: later(startedAt, hourMs) })
  const client = { protocol: 'postgres', address, port: 5, application: 'psql', tls: true } as const
  await state.sessions.transact((tx) => tx.insertSession(someSession(grant, { startedAt, client }), null))
}

test('of somebody who is new there is nothing, and nothing of others is theirs', async () => {
  await using at = await open()
  await worked(at.state, at.kim, ago(hourMs), '203.0.113.9')
  expect(await at.read()).toEqual(nothing)
})

describe('grants', () => {
  test('count where they were, once they began', async () => {
    await using at = await open()
    const { id } = at.erin
    const over = (startsAt: Instant, lengthMs: number) => ({ startsAt, lengthMs, expiresAt: later(startsAt, lengthMs) })
    await storeGrant(at.state, id, over(ago(400 * dayMs), 1000))
    await storeGrant(at.state, id, { ...over(ago(hourMs), 2000), role: 'admin' })
    await storeGrant(at.state, id, over(now, 3000))
    await storeGrant(at.state, id, { ...over(ago(hourMs), 4000), resource: 'web-1' })
    expect((await at.read()).lengthsThereMs).toEqual([2000, 1000])
    expect((await at.read(at.erin, 'web-1')).lengthsThereMs).toEqual([4000])
  })

  test('that were revoked before they began gave nothing', async () => {
    await using at = await open()
    const request = someRequest(at.erin.id, { approval: { kind: 'none' } })
    const grant = { ...someGrant(request, { startsAt: ago(hourMs), expiresAt: now }), state: 'scheduled' } as const
    await at.state.access.transact(async (tx) => {
      await tx.insertRequest(request)
      await tx.updateRequest(approved(request))
      await tx.insertGrant(grant)
      await tx.updateGrant({ ...grant, state: 'revoked', endedAt: ago(2 * hourMs), endedBy: at.kim.id, comment: null })
    })
    expect(await at.read()).toEqual(nothing)
  })
})

describe('sessions and sign-ins', () => {
  test('of the last 90 days make hours and addresses known, but for the last day', async () => {
    await using at = await open()
    await worked(at.state, at.erin, ago(historyBounds.habitMs + 1), '203.0.113.1')
    await worked(at.state, at.erin, ago(historyBounds.habitMs), '203.0.113.2')
    await worked(at.state, at.erin, ago(historyBounds.freshMs + 1), '203.0.113.2')
    await worked(at.state, at.erin, ago(historyBounds.freshMs), '203.0.113.3')
    await worked(at.state, at.erin, now, '203.0.113.3')
    const { sessionsAt, addresses } = await at.read()
    expect(sessionsAt).toEqual([ago(historyBounds.freshMs + 1), ago(historyBounds.habitMs)])
    expect(addresses).toEqual(['203.0.113.2'])
  })

  test('a sign-in makes its address known after a day: the present one must not', async () => {
    await using at = await open()
    const signIn = (createdAt: Instant, address: string) =>
      at.state.identity.transact((tx) =>
        tx.insertBrowserSession(
          someBrowserSession(at.erin.id, { createdAt, address, expiresAt: later(createdAt, hourMs) }),
        ),
      )
    await signIn(ago(dayMs + 1), '203.0.113.1')
    await signIn(ago(dayMs), '203.0.113.2')
    await signIn(ago(91 * dayMs), '203.0.113.3')
    expect((await at.read()).addresses).toEqual(['203.0.113.1'])
  })
})

test('requests that somebody refused count for 30 days, whatever they were for', async () => {
  await using at = await open()
  const ends: [state: 'denied' | 'cancelled', closedAt: Instant][] = [
    ['denied', ago(30 * dayMs + 1)],
    ['denied', ago(30 * dayMs)],
    ['denied', ago(1)],
    ['cancelled', ago(1)],
  ]
  for (const [state, closedAt] of ends) {
    const askedAt = later(closedAt, -1000)
    const request = await storeRequest(at.state, at.erin.id, { askedAt, lapsesAt: now, resource: 'web-1' })
    await at.state.access.transact(async (tx) => {
      if (state === 'denied') await tx.insertDecision(someDecision(request.id, at.kim.id, { verdict: 'deny' }))
      await tx.updateRequest({ ...request, state, closedAt })
    })
  }
  await storeRequest(at.state, at.erin.id, { askedAt: ago(1), lapsesAt: later(now, hourMs) })
  expect(await at.read()).toEqual({ ...nothing, refusals: 2 })
})

describe('whoever was turned away', () => {
  const event = (type: AuditType, at: Instant, { id }: Person, code?: string) =>
    auditEvent(type, at, { id, name: null }, { code })

  test.each<[type: AuditType, code: string | undefined, counts: number]>([
    ['sign-in.refused', undefined, 1],
    ['token.refused', undefined, 1],
    ['certificate.refused', undefined, 1],
    ['session.refused', 'LOCKED', 1],
    ['session.refused', 'RESOURCE_UNKNOWN', 1],
    ['session.refused', 'NO_GRANT', 0],
    ['request.refused', 'NOT_ALLOWED', 1],
    ['request.refused', 'REASON_REQUIRED', 0],
    ['decision.refused', 'NOT_ALLOWED', 0],
    ['person.signed-in', undefined, 0],
  ])('%s %s', async (type, code, counts) => {
    await using at = await open()
    await at.state.audit.append([event(type, ago(1), at.erin, code), event(type, ago(1), at.kim, code)])
    expect(await at.read()).toEqual({ ...nothing, failures: counts })
  })

  test('counts for a day', async () => {
    await using at = await open()
    const times = [ago(dayMs + 1), ago(dayMs), ago(1)]
    await at.state.audit.append(times.map((time) => event('token.refused', time, at.erin)))
    expect((await at.read()).failures).toBe(2)
  })
})

test('each question has an index that begins with the person', async () => {
  await using at = await open()
  const statements: Statement[] = []
  const db = kyselyOver(async (statement) => {
    statements.push(statement)
    return { rows: [], changes: 0 }
  })
  const reads = historyReads({ db, search: db, transact: () => Promise.reject(new Error('reads only')) })
  await reads.history(at.erin.id, 'prod-db', now)
  using database = openRaw(at.place.file)
  const plans = statements.map(({ sql, parameters }) =>
    database
      .prepare(`explain query plan ${sql}`)
      .all(...(parameters as string[]))
      .map(({ detail }) => detail),
  )
  expect(plans).toEqual([
    ['SEARCH grants USING INDEX grants_there (person_id=? AND resource=? AND starts_at<?)'],
    ['SEARCH sessions USING INDEX sessions_of (person_id=? AND started_at>? AND started_at<?)'],
    ['SEARCH browser_sessions USING INDEX browser_sessions_of (person_id=? AND created_at>? AND created_at<?)'],
    ['SEARCH requests USING INDEX requests_denied (person_id=? AND closed_at>? AND closed_at<?)'],
    ['SEARCH audit USING INDEX audit_turned_away (<expr>=? AND <expr>>? AND <expr><?)'],
  ])
  const index = database.prepare(`select sql from sqlite_schema where name = 'audit_turned_away'`).get()
  for (const type of turnedAwayTypes) expect(index?.['sql']).toContain(`'${type}'`)
})
