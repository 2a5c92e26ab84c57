import { expect, test } from 'vitest'
import type { State } from '../../src/store/state.ts'
import {
  at,
  someDecision,
  someEnd,
  someEvent,
  someLock,
  someSession,
  storeGrant,
  storePerson,
  storeRequest,
} from '../contracts/samples.ts'
import { makeSqlitePlace } from './place.ts'
import { openRaw, type RawDatabase } from './raw.ts'
import { stepOf } from '../../src/policy/approval.ts'

// Goal: the file itself keeps the rules, whoever opens it. Method: plain SQL through a connection of our own.

const zeros = '0'.repeat(64)
const rest = 'person_id, resource, role, policy, starts_at, expires_at'
const everyTable = ['requests', 'decisions', 'grants', 'locks', 'sessions', 'audit', 'checkpoints', 'changes']

const illegal: readonly string[] = [
  ...everyTable.map((table) => `delete from ${table}`),
  ...everyTable.map((table) => `insert or replace into ${table} select * from ${table}`).filter(notAudit),
  `insert or replace into audit (sequence, json, previous, hash) select sequence, json, previous, hash from audit`,
  `insert into audit (sequence, json, previous, hash) values (9, '{}', '${zeros}', '${zeros}')`,
  `insert into audit (sequence, json, previous, hash) values (2, '{}', '${zeros}', '${zeros}')`,
  `insert into audit (sequence, json, previous, hash) select 2, 'no json', hash, hash from audit`,
  `update audit set json = '{}'`,
  `update audit set hash = previous`,
  `update decisions set verdict = 'deny'`,
  `update checkpoints set jws = ''`,
  `update changes set json = '{}'`,
  `insert into changes (number, json) values (-7, '{}')`,
  `insert into changes (json) values ('{')`,
  `update requests set state = 'approved', closed_at = 5 where state = 'requested'`,
  `update requests set state = 'requested', closed_at = null where state = 'approved'`,
  `update requests set state = 'denied' where state = 'requested'`,
  `update requests set state = 'forgotten', closed_at = 5 where state = 'requested'`,
  `update requests set person_id = (select max(id) from persons where id <> person_id)`,
  `update requests set approval = '{"kind":"none"}'`,
  `update or replace requests set id = (select max(id) from requests where id <> requests.id)`,
  `insert into decisions select 'decision-x', id, person_id, 'approve', '', 1 from requests where state = 'requested'`,
  `insert into decisions select 'decision-x', request_id, person_id, 'deny', '', 1 from decisions`,
  `insert into decisions select 'decision-x', id, 'person-nobody', 'approve', '', 1 from requests where state = 'requested'`,
  `insert into grants (id, request_id, ${rest}, state)
     select 'grant-x', id, person_id, resource, role, policy, 1, 2, 'active' from requests where state = 'requested'`,
  `insert into grants (id, request_id, ${rest}, state) select 'grant-x', request_id, ${rest}, 'active' from grants`,
  `update grants set state = 'scheduled'`,
  `update grants set state = 'revoked'`,
  `update grants set role = 'admin', expires_at = expires_at + 1`,
  `update grants set expires_at = starts_at`,
  `update locks set reason = 'another'`,
  `update locks set lifted_at = 5`,
  `update locks set until = 5`,
  `update locks set group_name = 'another'`,
  `update locks set address = '192.0.2.1'`,
  `insert into locks select 'lock-empty', null, null, null, null, null, reason, placed_by, 1, null, null, null from locks`,
  `insert into locks select 'lock-past', null, null, 'x', null, null, reason, placed_by, 9, 9, null, null from locks`,
  `update sessions set started_at = 0`,
  `update sessions set ended_at = null, ending = null`,
  `update sessions set ended_at = 9, ending = '{}'`,
  `update persons set subject = 'somebody else'`,
]

function notAudit(sql: string): boolean {
  return !sql.includes('into audit ')
}

test('what the rules forbid, SQL cannot do', async () => {
  await using place = await makeSqlitePlace()
  await fill(await place.open())
  using database = openRaw(place.file)
  const before = everything(database)
  const done = illegal.filter((sql) => succeeds(database, sql))
  expect(done).toEqual([])
  expect(everything(database)).toEqual(before)
  for (const table of everyTable) expect(before[table], table).not.toEqual([])
})

test('what the rules allow, SQL can do', async () => {
  await using place = await makeSqlitePlace()
  await fill(await place.open())
  using database = openRaw(place.file)
  database.exec(`update requests set state = 'cancelled', closed_at = 5 where state = 'requested'`)
  database.exec(`update grants set state = 'revoked', ended_at = 5`)
  database.exec(`update locks set lifted_at = 5, lifted_by = placed_by`)
})

function succeeds(database: RawDatabase, sql: string): boolean {
  try {
    database.exec(sql)
    return true
  } catch {
    return false // refused, as the test hopes
  }
}

function everything(database: RawDatabase): Record<string, unknown[]> {
  return Object.fromEntries(everyTable.map((table) => [table, database.prepare(`select * from ${table}`).all()]))
}

/** At least one row of everything: an open request that was seconded once, an active grant, an ended session, a lock. */
async function fill(state: State): Promise<void> {
  const [erin, kim] = [await storePerson(state), await storePerson(state)]
  const grant = await storeGrant(state, erin.id)
  const request = await storeRequest(state, erin.id, { approval: { kind: 'people', steps: [stepOf(2, ['x'])] } })
  const session = someSession(grant)
  await state.access.transact(async (tx) => {
    await tx.insertDecision(someDecision(request.id, kim.id))
    await tx.insertLock(someLock(kim.id))
    await tx.announce({ kind: 'request-opened', request: request.id })
  })
  await state.sessions.transact(async (tx) => {
    await tx.insertSession(session, null)
    await tx.endSession(session.id, { ...someEnd, at: at(8) })
  })
  await state.audit.append([someEvent()])
  await state.audit.addCheckpoint({ sequence: 1, jws: 'e.y.J' })
}
