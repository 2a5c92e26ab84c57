// Goal: what reports look up is whole, in order, and found by an index, however much there is. Method: the real store with
// thousands of rows, more than fit on one page; the queries as SQLite itself says that it runs them.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Period, Paged } from '../../src/access/reports/reads.ts'
import type { State } from '../../src/store/state.ts'
import { at, somePerson } from '../contracts/samples.ts'
import { makeSqlitePlace, type SqlitePlace } from './place.ts'
import { openRaw, type RawDatabase } from './raw.ts'

const many = 3000
const people = [
  somePerson({ id: 'person-a', email: 'a@example.com', groups: ['red'] }),
  somePerson({ id: 'person-b', email: null, name: 'Bo', groups: ['blue'] }),
]
let place: SqlitePlace
let state: State
let raw: RawDatabase
beforeAll(async () => {
  place = await makeSqlitePlace()
  state = await place.open()
  await state.identity.transact(async (tx) => {
    for (const person of people) await tx.savePerson(person)
  })
  raw = openRaw(place.file)
  raw.exec(fill)
})
afterAll(async () => {
  raw.close()
  await place[Symbol.asyncDispose]()
})

/** Row n is asked, begun and used at 1000 + n / 3, so that times come three by three; every tenth is never used. */
const fill = `
begin;
with recursive n(i) as (select 0 union all select i + 1 from n where i < ${many - 1})
insert into requests (id, person_id, resource, role, length_ms, reason, policy, approval, origin, asked_at, lapses_at,
    state, closed_at, step_since)
  select printf('request-%05d', i), iif(i % 2, 'person-a', 'person-b'), 'db-' || (i % 3), 'readonly', 1000, '',
    'policy-' || (i % 4), '{"kind":"none"}', 'psql at 10.0.0.1', 1000 + i / 3, 99999, 'approved', 1000 + i / 3, 0 from n;
insert into grants (id, request_id, person_id, resource, role, policy, starts_at, expires_at, state, length_ms)
  select replace(id, 'request', 'grant'), id, person_id, resource, role, policy, asked_at, asked_at + 1000, 'active', 1000
    from requests;
insert into sessions (id, person_id, person_name, credential, grant_id, resource, role, client, node, started_at, ended_at,
    ending)
  select replace(id, 'grant', 'session'), person_id, person_id, 'token-x', id, resource, role, '{}', 'gw', starts_at,
    starts_at + 10, '{"bytesFromClient":1,"bytesFromTarget":2}'
    from grants where cast(substr(id, 7) as integer) % 10 > 0;
commit;
`

async function allOf<Row>(pages: Paged<Row>): Promise<readonly Row[]> {
  const rows: Row[] = []
  for await (const page of pages) {
    expect(page.length).toBeLessThanOrEqual(500)
    rows.push(...page)
  }
  return rows
}
const period: Period = { from: at(1100), to: at(1900) }
const within = [...Array(many).keys()]
  .map((n) => 1000 + Math.floor(n / 3))
  .filter((time) => time >= 1100 && time < 1900)

test('requests of the period come once each, newest first, with their person', async () => {
  const found = await allOf(state.reports.requests(period))
  expect(found.map(({ request }) => request.askedAt)).toEqual(within.toReversed())
  expect(new Set(found.map(({ request }) => request.id)).size).toBe(within.length)
  expect(found.every(({ request, person }) => request.person === person.id)).toBe(true)
})

test('sessions of the period come once each with their bytes', async () => {
  const found = await allOf(state.reports.sessions(period))
  expect(new Set(found.map(({ id }) => id)).size).toBe(within.length * 0.9)
  expect(found[0]).toMatchObject({ startedAt: 1899, endedAt: 1909, bytesFromClient: 1, bytesFromTarget: 2 })
})

test('living grants come once each, with their last use', async () => {
  const found = await allOf(state.reports.livingGrants())
  expect(new Set(found.map(({ grant }) => grant.id)).size).toBe(many)
  expect(found.filter(({ lastUsedAt }) => lastUsedAt === null)).toHaveLength(many / 10)
  expect(found.every(({ grant, request }) => grant.request === request.id)).toBe(true)
})

test('grants that nobody used, and who they were for', async () => {
  const found = await allOf(state.reports.unusedGrants(period))
  expect(found.map(({ id }) => Number(id.slice(6)))).toEqual(
    [...Array(many).keys()].filter((n) => n % 10 === 0 && n >= 300 && n < 2700).toReversed(),
  )
  expect(new Set(found.map(({ personName }) => personName))).toEqual(new Set(['Bo']))
})

test('when a role and a policy were used last', async () => {
  expect(await state.reports.lastSessionAs('db-0', 'readonly')).toBe(1999)
  expect(await state.reports.lastSessionAs('db-0', 'admin')).toBe(null)
  expect(await state.reports.lastGrantBy('policy-3')).toBe(1999)
  expect(await state.reports.lastGrantBy('policy-4')).toBe(null)
})

test('everybody, and tokens with a long life', async () => {
  expect((await allOf(state.reports.people())).map(({ id }) => id)).toEqual(['person-a', 'person-b'])
  const add = raw.prepare(
    `insert into tokens (id, person_id, label, kind, secret_hash, scopes, created_at, expires_at, ended_at)
       values (?, 'person-a', ?, ?, ?, ?, ?, ?, ?)`,
  )
  const insert = (id: string, from: number, to: number, ended: number | null = null) =>
    add.run(id, 'ci', 'access', id, 'sessions locks', from, to, ended)
  insert('token-long', 0, 5000)
  insert('token-longer', 0, 6000)
  insert('token-short', 1000, 2000)
  insert('token-over', 0, 1500)
  insert('token-ended', 0, 5000, 10)
  const found = await state.reports.longTokens(at(1500), 1001, 10)
  expect(found.map(({ id, personName, scopes }) => [id, personName, scopes])).toEqual([
    ['token-longer', 'a@example.com', ['sessions', 'locks']],
    ['token-long', 'a@example.com', ['sessions', 'locks']],
  ])
})

test.each([
  [
    'requests',
    `select * from requests where asked_at >= 1 and (asked_at, id) < (9, '~') order by asked_at desc, id desc`,
  ],
  [
    'sessions',
    `select * from sessions where started_at >= 1 and (started_at, id) < (9, '~') order by started_at desc, id desc`,
  ],
  [
    'grants',
    `select * from grants where state in ('scheduled', 'active') and (person_id, resource, role, id) > ('', '', '', '')
       order by person_id, resource, role, id`,
  ],
  ['sessions', `select max(started_at) from sessions where resource = '' and role = ''`],
  ['grants', `select max(starts_at) from grants where policy = ''`],
  ['sessions', `select grant_id, max(started_at) from sessions where grant_id in ('a', 'b') group by grant_id`],
])('an index finds what is looked up in %s: %s', (table, query) => {
  const plan = raw
    .prepare(`explain query plan ${query}`)
    .all()
    .map(({ detail }) => String(detail))
  expect(plan[0]).toMatch(new RegExp(`^SEARCH ${table} USING (COVERING )?INDEX`))
  expect(plan.join()).not.toContain('TEMP B-TREE FOR ORDER BY')
})
