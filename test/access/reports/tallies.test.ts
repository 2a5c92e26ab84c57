// Goal: the numbers of a report are the numbers of what it is about. Method: sums against a model that counts all at once.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { auditEvent } from '../../../src/audit/event.ts'
import type { AuditStore } from '../../../src/audit/store.ts'
import { eventsOf, FailureTally } from '../../../src/access/reports/failed.ts'
import type { KnownRequest, KnownSession } from '../../../src/access/reports/reads.ts'
import { groupsNamed, RequestTally } from '../../../src/access/reports/requests.ts'
import { standing } from '../../../src/access/reports/standing.ts'
import { UseTally } from '../../../src/access/reports/use.ts'
import { Waits } from '../../../src/access/reports/waits.ts'
import type { Request } from '../../../src/access/states.ts'
import type { PersonId } from '../../../src/kernel/ids.ts'
import { stepOf, type Approval } from '../../../src/policy/approval.ts'
import { at, plainRequest, someGrant, somePerson, someRequest } from '../../contracts/samples.ts'
import { allow, deny } from '../../policy/rules.ts'

test('a quantile is the least value that so many are not above', () => {
  const lengths = fc.array(fc.nat(1000), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 100 }), (values, percent) => {
      const waits = new Waits()
      for (const value of values) waits.add(value)
      const enough = (limit: number) => values.filter((value) => value <= limit).length * 100 >= percent * values.length
      const expected = Math.min(...values.filter(enough))
      expect(waits.quantile(percent / 100)).toBe(expected)
      waits.add(5000)
      expect(waits.quantile(1)).toBe(5000)
    }),
  )
  expect(new Waits().quantile(0.5)).toBe(null)
})

const groups = ['red', 'blue', 'green']
const approvals: readonly Approval[] = [
  { kind: 'none' },
  { kind: 'people', steps: [stepOf(1, ['leads'])] },
  { kind: 'people', steps: [stepOf(1, ['leads']), { ...stepOf(1, []), allOf: ['dba', 'leads'] }] },
]
const known = fc
  .record({
    state: fc.constantFrom('requested', 'approved', 'denied', 'cancelled', 'lapsed'),
    resource: fc.constantFrom('db-1', 'db-2'),
    approval: fc.constantFrom(...approvals),
    waited: fc.nat(10_000),
    of: fc.subarray(groups),
    kind: fc.constantFrom('access', 'break-glass'),
  })
  .map(({ state, resource, approval, waited, of, kind }): KnownRequest => {
    const person = somePerson({ groups: of })
    const asked = { ...someRequest(person.id), ...plainRequest, kind, resource, approval, askedAt: at(100) } as const
    const closed = { ...asked, state, closedAt: at(100 + waited) }
    const request: Request = state === 'requested' ? { ...asked, state } : closed
    return { person, request }
  })

test('requests: counts add up, whatever they are grouped by, and waits are those of decisions', () => {
  fc.assert(
    fc.property(fc.array(known, { maxLength: 40 }), (all) => {
      const tally = new RequestTally(['red', 'blue'])
      for (const one of all) tally.add(one)
      const rows = tally.rows()
      for (const row of rows) {
        const { open, approved, atOnce, refused, calledOff, lapsed } = row
        expect([open, approved, atOnce, refused, calledOff, lapsed].reduce<number>((sum, n) => sum + n!, 0)).toBe(
          row.requests,
        )
        expect(row.refusedShare).toBe(approved! + refused! === 0 ? null : refused! / (approved! + refused!))
        expect(row.waitHalfMs! <= row.waitMostMs! && row.waitMostMs! <= row.waitLongestMs!).toBe(true)
        expect(row.waitHalfMs === null).toBe(approved! + refused! === 0)
      }
      const requests = (by: string) => rows.filter((row) => row.by === by).reduce((sum, row) => sum + row.requests!, 0)
      expect(requests('all')).toBe(all.length)
      expect(requests('resource')).toBe(all.length)
      const teams = all.map(({ person }) => person.groups.filter((group) => group !== 'green').length || 1)
      expect(requests('team')).toBe(teams.reduce((sum, count) => sum + count, 0))
      const isAsked = ({ request: { approval } }: KnownRequest) => approval.kind === 'people'
      expect(rows.find(({ by, name }) => by === 'approvers' && name === 'leads')?.requests ?? 0).toBe(
        all.filter(isAsked).length,
      )
      const decided = all.filter(
        ({ request }) =>
          request.state === 'denied' ||
          (request.state === 'approved' && request.approval.kind === 'people' && request.kind === 'access'),
      )
      const longest = Math.max(
        ...decided.map(({ request }) => (request.state === 'requested' ? 0 : request.closedAt - 100)),
      )
      expect(rows[0]?.waitLongestMs ?? -Infinity).toBe(longest)
    }),
  )
})

test('every group that a policy names is a team, unless somebody says which are', () => {
  const rules = {
    policies: [allow('x', { who: { groups: ['a'] }, approval: { kind: 'people', steps: [stepOf(1, ['b'])] } })],
    denials: [deny('y', { who: { groups: ['c'] }, except: ['d'] })],
  }
  expect(groupsNamed(rules)).toEqual(['a', 'b', 'c', 'd'])
})

test('named people and managers are approvers, too, and no teams', () => {
  const step = { ...stepOf(1, []), named: ['m@example.com'], manager: true, managerAddress: 'm@example.com' }
  const byBoth = { ...step, named: ['k@example.com', 'm@example.com'] }
  const tally = new RequestTally([])
  const person = somePerson()
  for (const one of [step, byBoth]) {
    tally.add({ person, request: someRequest(person.id, { approval: { kind: 'people', steps: [one] } }) })
  }
  const approvers = tally.rows().filter(({ by }) => by === 'approvers')
  expect(approvers.map(({ name, requests }) => [name, requests])).toEqual([
    ['(the manager)', 2],
    ['(named people)', 1],
  ])
  expect(groupsNamed({ policies: [allow('x', { approval: { kind: 'people', steps: [byBoth] } })] })).toEqual([
    'engineers',
  ])
})

const session = fc.record({
  person: fc.constantFrom<PersonId>('person-a', 'person-b'),
  resource: fc.constantFrom('db-1', 'db-2'),
  role: fc.constantFrom('r', 'w'),
  start: fc.nat(1000),
  lasted: fc.option(fc.nat(1000)),
  bytes: fc.nat(1000),
})

test('use: sessions, time and bytes add up', () => {
  fc.assert(
    fc.property(fc.array(session, { maxLength: 40 }), (all) => {
      const tally = new UseTally(at(2000))
      const sessions = all.map(({ person, resource, role, start, lasted, bytes }): KnownSession => {
        const endedAt = lasted === null ? null : at(start + lasted)
        const sent = endedAt === null ? null : bytes
        const who = { id: 'session-x', person, personName: person, resource, role } as const
        return { ...who, startedAt: at(start), endedAt, bytesFromClient: sent, bytesFromTarget: sent }
      })
      for (const one of sessions) tally.add(one)
      const sum = (of: (row: ReturnType<UseTally['rows']>[number]) => number | null) =>
        tally.rows().reduce((total, row) => total + (of(row) ?? 0), 0)
      const model = (of: (one: KnownSession) => number) => sessions.reduce((total, one) => total + of(one), 0)
      expect(sum(({ sessions: count }) => count)).toBe(all.length)
      expect(sum(({ live }) => live)).toBe(model(({ endedAt }) => Number(endedAt === null)))
      expect(sum(({ timeMs }) => timeMs)).toBe(model(({ startedAt, endedAt }) => (endedAt ?? 2000) - startedAt))
      expect(sum(({ bytesFromTarget }) => bytesFromTarget)).toBe(model(({ bytesFromTarget }) => bytesFromTarget ?? 0))
      const keys = tally.rows().map(({ person, resource, role }) => `${person} ${resource} ${role}`)
      expect(new Set(keys).size).toBe(keys.length)
    }),
  )
})

const refusal = (time: number, code: string, address: string | null) =>
  auditEvent(
    'session.refused',
    at(time),
    { id: 'person-a', name: 'a' },
    { resource: 'db', code, address, message: code },
  )

test('failures that are alike are one row, with the first, the last and how often', () => {
  const tally = new FailureTally()
  for (const [time, code, address] of [
    [5, 'LOCKED', '10.0.0.1'],
    [9, 'LOCKED', '10.0.0.1'],
    [7, 'LOCKED', '10.0.0.1'],
    [8, 'LOCKED', '10.0.0.2'],
    [6, 'NO_GRANT', null],
  ] as const) {
    tally.add(refusal(time, code, address))
  }
  tally.add(auditEvent('token.refused', at(1), { id: null, name: null }, { address: '10.0.0.9', reason: 'unknown' }))
  expect(
    tally.rows().map(({ code, address, times, firstAt, lastAt }) => [code, address, times, firstAt, lastAt]),
  ).toEqual([
    ['LOCKED', '10.0.0.1', 3, 5, 9],
    ['LOCKED', '10.0.0.2', 1, 8, 8],
    ['NO_GRANT', null, 1, 6, 6],
    ['unknown', '10.0.0.9', 1, 1, 1],
  ])
})

test('events are read back page by page, and no further than the period', async () => {
  const asked: (number | undefined)[] = []
  const audit: Pick<AuditStore, 'search'> = {
    search: async ({ before = 3001, limit }) => {
      asked.push(before)
      return [...Array(limit).keys()]
        .map((n) => before - 1 - n)
        .filter((sequence) => sequence > 0)
        .map((sequence) => ({ sequence, json: JSON.stringify(refusal(sequence, 'x', null)), previous: '', hash: '' }))
    },
  }
  const found: number[] = []
  for await (const page of eventsOf(audit, 'session.refused', { from: at(2200), to: at(2901) })) {
    found.push(...page.map((event) => event.at))
  }
  expect([found.length, found[0], found.at(-1)]).toEqual([701, 2900, 2200])
  expect(asked).toEqual([3001, 2501])
})

test('standing: the longest first, without what is over', async () => {
  const person = somePerson()
  const grant = (lengthMs: number) => {
    const request = someRequest(person.id)
    const given = someGrant(request, { startsAt: at(0), expiresAt: at(lengthMs) })
    return { grant: given, person, request, approvedBy: ['b', 'c'], lastUsedAt: null }
  }
  const pages = (async function* () {
    yield [grant(500), grant(9000)]
    yield [grant(10), grant(7000)]
  })()
  const token = { id: 'token-x', personName: 'x', label: 'ci', scopes: ['locks'], lastUsedAt: at(5) } as const
  const { rows } = await standing(pages, [{ ...token, createdAt: at(0), expiresAt: at(8000) }], at(100))
  expect(rows.map(({ kind, lengthMs }) => [kind, lengthMs])).toEqual([
    ['grant', 9000],
    ['token', 8000],
    ['grant', 7000],
    ['grant', 500],
  ])
  expect(rows[1]).toMatchObject({ about: 'ci: locks', resource: null, lastUsedAt: 5 })
  expect(rows[0]).toMatchObject({ approvedBy: ['b', 'c'], ageMs: 100 })
})
