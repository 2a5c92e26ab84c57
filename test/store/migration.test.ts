import { expect, test } from 'vitest'
import { Database } from '../../src/store/sqlite/database.ts'
import { migrate } from '../../src/store/sqlite/migrate.ts'
import { first } from '../../src/store/sqlite/migrations/0001-first.ts'
import { migrations } from '../../src/store/sqlite/migrations/all.ts'
import { at, someBinding, someBrowserSession, someFingerprint, someSignIn } from '../contracts/samples.ts'
import { makeSqlitePlace } from './place.ts'
import { openRaw, type RawDatabase } from './raw.ts'

// Goal: the state of a gateway that knew no SSH is whole in one that does. Method: the file is made by the first
// migration alone, gets rows as the older Curfew wrote them, and is opened by this one.

const fingerprint = `'${someFingerprint}'`
const zeros = '0'.repeat(64)

/** What the first schema held; a sign-in of each state, bindings living and ended, and something that refers to each. */
const rows = `
insert into persons values ('person-erin', 'https://login.example.com', 'erin', 'erin@example.com', null, '[]', 1);
insert into persons values ('person-kim', 'https://login.example.com', 'kim', null, 'Kim', '["x"]', 1);
insert into browser_sessions values
  ('browser-erin', 'person-erin', 'hash', null, null, null, '203.0.113.9', 'Firefox', 1000, 50000, null),
  ('browser-kim', 'person-kim', 'hash of kim', null, null, null, '203.0.113.9', 'Firefox', 1000, 50000, null);
insert into sign_ins values
  ('signin-waiting', 'KF7-XR2', 'postgres', '203.0.113.9', 'psql', 'prod-db', 'readonly', null,
    1000, 6000, 'waiting', null, null, null),
  ('signin-done', 'AAA-AAA', 'cli', '203.0.113.8', 'curfew', null, null, 'secret hash',
    1000, 6000, 'confirmed', 'person-erin', 'browser-erin', 2000),
  ('signin-refused', 'BBB-BBB', 'postgres', '203.0.113.8', '', 'prod-db', 'admin', null,
    1000, 6000, 'refused', 'person-erin', null, 2000);
insert into bindings values
  ('binding-living', 'person-erin', 'browser-erin', 'address', '203.0.113.9', 1000, 20000, null),
  ('binding-ended', 'person-erin', 'browser-erin', 'address', '203.0.113.9', 1000, 20000, 1500);
insert into tokens values ('token-laptop', 'person-erin', 'laptop', 'cli', 'token hash', 1000, 20000, null, null);
insert into requests values ('request-1', 'person-erin', 'prod-db', 'readonly', 1000, 'why', null, null, 'p',
  '{"kind":"none"}', 'psql', 1000, 9000, 'approved', 1500);
insert into grants values ('grant-1', 'request-1', 'person-erin', 'prod-db', 'readonly', 'p', 1500, 2500, 'active',
  null, null, null);
insert into sessions values ('session-1', 'person-erin', 'erin', 'binding-living', 'browser-erin', 'grant-1',
  'prod-db', 'readonly', 'shop', '{"protocol":"postgres"}', 'gw-1', 1600, null, null, null);
insert into locks values ('lock-1', 'person-kim', null, 'admin', 'why', 'person-erin', 1000, null, null),
  ('lock-2', null, 'prod-db', null, 'why', 'person-erin', 1000, 'person-kim', 2000);
insert into audit (sequence, json, previous, hash) values (1, '{"type":"x"}', '${zeros}', '${'1'.repeat(64)}');
insert into changes (json) values ('{}');
`
const every = ['persons', 'browser_sessions', 'tokens', 'requests', 'grants', 'locks', 'sessions', 'audit', 'changes']

async function makeOldPlace() {
  const place = await makeSqlitePlace()
  const database = new Database(place.file, 'write')
  migrate(database, [first])
  database.exec(rows)
  database.close()
  return place
}

const all = (database: RawDatabase, sql: string) => database.prepare(sql).all()
const version = (database: RawDatabase) => all(database, 'select max(version) as version from schema_version')
const names = (database: RawDatabase) =>
  all(database, `select type, name from sqlite_schema where name not glob 'sqlite_*' order by name`)
const contents = (database: RawDatabase) => every.map((table) => all(database, `select * from ${table}`))

test('every row is there afterwards, and the file is sound', async () => {
  await using place = await makeOldPlace()
  using database = openRaw(place.file)
  expect(version(database)).toEqual([{ version: 1 }])
  const [before, schema] = [contents(database), names(database)]
  const { identity } = await place.open()
  expect(version(database)).toEqual([{ version: migrations.length }])
  expect(contents(database)).toMatchObject(before)
  expect(names(database)).toEqual(expect.arrayContaining(schema))
  expect(all(database, 'pragma foreign_key_check')).toEqual([])
  expect(all(database, 'pragma integrity_check')).toEqual([{ integrity_check: 'ok' }])
  expect(all(database, `select name from sqlite_schema where sql like '%with_keys%'`)).toEqual([])

  expect(await identity.signInByCode('KF7-XR2')).toEqual(someSignIn({ id: 'signin-waiting' }))
  expect(await identity.signIn('signin-done')).toEqual(
    someSignIn({
      ...{ id: 'signin-done', code: 'AAA-AAA', purpose: 'cli', address: '203.0.113.8', application: 'curfew' },
      ...{ resource: null, role: null, secretHash: 'secret hash', state: 'confirmed' },
      ...{ person: 'person-erin', browserSession: 'browser-erin', answeredAt: at(2000) },
    }),
  )
  expect((await identity.signIn('signin-refused'))?.state).toBe('refused')
  const binding = someBinding(someBrowserSession('person-erin', { id: 'browser-erin' }), { id: 'binding-living' })
  expect(await identity.bindingsFor('address', '203.0.113.9', at(2000))).toEqual([binding])
  expect((await identity.binding('binding-ended'))?.endedAt).toBe(1500)
})

test('what it could not hold before, it holds now', async () => {
  await using place = await makeOldPlace()
  using database = openRaw(place.file)
  const signIn = `insert into sign_ins (id, code, purpose, address, application, created_at, expires_at, state)
    values ('signin-ssh', 'CCC-CCC', 'ssh', '203.0.113.9', 'OpenSSH', 1, 2, 'waiting')`
  const binding = `insert into bindings values
    ('binding-key', 'person-erin', 'browser-erin', 'ssh-key', ${fingerprint}, 1000, 20000, null)`
  for (const sql of [signIn, binding]) expect(() => database.exec(sql)).toThrow('CHECK constraint failed')
  await place.open()
  for (const sql of [signIn, binding]) database.exec(sql)
})

test.each([
  `insert into sign_ins select 'signin-twin', code, purpose, address, application, resource, role, secret_hash, null,
     created_at, expires_at, state, null, null, null from sign_ins where id = 'signin-waiting'`,
  `update sign_ins set state = 'waiting', answered_at = null, person_id = null where state = 'confirmed'`,
  `update sign_ins set state = 'refused' where state = 'confirmed'`,
  `update sign_ins set address = '198.51.100.1' where state = 'waiting'`,
  `update sign_ins set purpose = 'ssh', state = 'refused', answered_at = 5, person_id = 'person-kim'
     where state = 'waiting'`,
  `update sign_ins set purpose = 'ssh', key_fingerprint = ${fingerprint} where state = 'waiting'`,
  `update sign_ins set state = 'confirmed', answered_at = 5 where state = 'waiting'`,
  `update sign_ins set state = 'confirmed', answered_at = 5, person_id = 'person-nobody' where state = 'waiting'`,
  `insert into sign_ins (id, code, purpose, address, application, key_fingerprint, created_at, expires_at, state)
     values ('signin-x', 'CCC-CCC', 'cli', '', '', ${fingerprint}, 1, 2, 'waiting')`,
  `update bindings set person_id = 'person-kim'`,
  `update bindings set value = '198.51.100.1'`,
  `update bindings set kind = 'ssh-key', value = ${fingerprint}`,
  `update bindings set browser_session_id = 'browser-kim'`,
  `insert into bindings values ('binding-x', 'person-nobody', 'browser-erin', 'address', '203.0.113.9', 1, 2, null)`,
  `insert into bindings values ('binding-x', 'person-kim', 'browser-nobody', 'address', '203.0.113.9', 1, 2, null)`,
  `insert into bindings values ('binding-x', 'person-kim', 'browser-kim', 'ssh-key', ${fingerprint}, 2000, 9000, null)`,
  `insert into bindings values ('binding-x', 'person-kim', 'browser-kim', 'hair-colour', 'red', 2000, 9000, null)`,
])('the rules of the two tables hold: %s', async (sql) => {
  await using place = await makeOldPlace()
  await place.open()
  using database = openRaw(place.file)
  database.exec(`insert into bindings values
    ('binding-key', 'person-erin', 'browser-erin', 'ssh-key', ${fingerprint}, 1000, 20000, null)`)
  const before = [all(database, 'select * from sign_ins'), all(database, 'select * from bindings')]
  expect(() => database.exec(sql)).toThrow()
  expect([all(database, 'select * from sign_ins'), all(database, 'select * from bindings')]).toEqual(before)
})

test('it is brought over once, whoever opens it first', async () => {
  await using place = await makeOldPlace()
  await Promise.all(Array.from({ length: 3 }, () => place.open()))
  using database = openRaw(place.file)
  expect(all(database, 'select count(*) as count from bindings')).toEqual([{ count: 2 }])
})
