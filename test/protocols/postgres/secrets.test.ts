// Goal: no password is in a recording, whatever way it goes to the server and whatever the server says of it.
// Method: a real server; every statement carries the same secret, and what is recorded is searched for it.
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { mask } from '../../../src/protocols/postgres/mask-text.ts'
import { fromClient, int32, message, query } from '../../../src/protocols/postgres/messages.ts'
import { readBind } from '../../../src/protocols/postgres/read-values.ts'
import { execute, openWire, parse, run, sync } from './guard/wire.ts'
import { openStage, type Stage } from './stage.ts'

const secret = 'Zq9hunter2'
let postgres: TestPostgres
let stage: Stage

beforeAll(async () => {
  postgres = await startPostgres()
  await postgres.query('alter role shop_admin superuser')
  stage = await openStage(postgres)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

async function connect(): Promise<pg.Client> {
  const ssl = { ca: stage.ca, servername: 'localhost' }
  const db = new pg.Client({ host: '127.0.0.1', port: stage.port, user: 'admin', database: 'shop', ssl })
  await db.connect()
  return db.on('error', () => undefined)
}

/** Events that hold it. */
const leaks = () => stage.gate.last.recorder.events.filter((event) => JSON.stringify(event).includes(secret))

/** Each runs, and may fail. @returns what the server said. */
async function say(db: pg.Client, statements: readonly (string | pg.QueryConfig)[]): Promise<readonly string[]> {
  const errors: string[] = []
  for (const statement of statements) {
    await db.query(statement).catch((error: pg.DatabaseError) => errors.push(`${error.message} ${error.detail ?? ''}`))
  }
  return errors
}

/** With the extended protocol, although there are no values. */
const prepared = (text: string): pg.QueryConfig => ({ text, queryMode: 'extended' }) as pg.QueryConfig

test('statements that give a password, in both protocols', async () => {
  const statements = [
    `create role bob password '${secret}'`,
    `alter role bob password $x$${secret}$x$`,
    `do $$ begin alter role bob password '${secret}'; execute format('alter role bob password %L', '${secret}'); end $$`,
    'create extension if not exists postgres_fdw',
    `create server s foreign data wrapper postgres_fdw options (host 'h')`,
    `create user mapping for bob server s options (user 'bob', password '${secret}')`,
    `alter user mapping for bob server s options (set password '${secret}')`,
    `create subscription sub connection 'host=h password=${secret}' publication p with (connect = false)`,
    `alter subscription sub connection 'postgres://bob:${secret}@h/db'`,
    `copy (select 1) to program 'PGPASSWORD=${secret} cat > /dev/null'`,
    `copy (select 1) to program 'curl --fail -u bob:${secret} http://127.0.0.1:1/'`,
    `select set_config('app.password', '${secret}', false)`,
    `set app.secret_key = '${secret}'`,
    `drop user mapping for bob server s; alter subscription sub set (slot_name = none); drop subscription sub`,
    'drop role bob',
  ]
  const db = await connect()
  await say(db, statements)
  await say(db, statements.map(prepared))
  await db.end()
  await stage.gate.last.ended.promise
  expect(stage.gate.last.recorder.of('p').map(({ sql }) => sql)).toContain("create role bob password '[masked]'")
  expect(stage.gate.last.recorder.of('c').map(({ tag }) => tag)).toEqual(
    expect.arrayContaining(['CREATE ROLE', 'CREATE USER MAPPING', 'CREATE SUBSCRIPTION', 'DO']),
  )
  expect(leaks()).toEqual([])
})

test('values that are bound to a place where a secret belongs', async () => {
  const db = await connect()
  const errors = await say(db, [
    'create temp table logins (name text unique, password text check (length(password) < 100), api_key text unique)',
    { text: 'insert into logins (name, password, api_key) values ($1, $2, $3)', values: ['bob', secret, secret] },
    { text: 'insert into logins (name, password, api_key) values ($1, $2, $3)', values: ['eve', secret, secret] },
    { text: 'update logins set password = $2 where name = $1', values: ['bob', secret.repeat(20)] },
    { text: 'select name from logins where password = $1', values: [secret] },
    { text: 'update logins set password = md5($2) where name = $1', values: ['bob', secret] },
    { text: 'select name from logins where md5($1) = password', values: [secret] },
    { text: 'insert into logins (name, password) select $1, md5($2) from logins', values: ['bob', secret] },
    { text: 'select $1::text as conninfo', values: [`host=h password=${secret}`] },
    { text: 'select $1::text as statement', values: [`alter role bob password '${secret}'`] },
  ])
  expect(errors.join('\n')).toContain(secret) // the server quotes it
  await db.end()
  await stage.gate.last.ended.promise
  expect(stage.gate.last.recorder.of('b').map(({ values }) => values)).toContainEqual(['bob', '[masked]', '[masked]'])
  expect(stage.gate.last.recorder.of('e')).toHaveLength(errors.length)
  expect(leaks()).toEqual([])
})

test('errors and notices that quote the statement', async () => {
  const db = await connect()
  const notices: string[] = []
  db.on('notice', ({ message }) => notices.push(message ?? ''))
  const errors = await say(db, [
    `alter role bob password "${secret}"`,
    `alter role bob password ${secret}`,
    `alter role bob password ${secret}-1!`,
    `set app.password = ${secret}`,
    `select 1 /* alter role bob password '${secret}' */`,
    `select from nothing where md5('${secret}') = password`,
    `alter role bob password '${secret}' '${secret}'`,
    `select dblink_connect('nothing password=${secret}')`,
    "set client_min_messages = 'log'",
    "set log_statement = 'all'",
    `alter role nobody_of_that_name password '${secret}'`,
    `do $$ begin raise notice 'now: %', 'alter role bob password ''${secret}'''; end $$`,
  ])
  expect(errors.join('\n')).toContain(secret)
  expect(notices.join('\n')).toContain(secret)
  await db.end()
  await stage.gate.last.ended.promise
  expect(stage.gate.last.recorder.of('e').map(({ message }) => message)).toContainEqual(
    expect.stringMatching(/syntax error at or near ".*\[masked\]/),
  )
  expect(stage.gate.last.recorder.of('n').length).toBeGreaterThan(0)
  expect(leaks()).toEqual([])
})

test('a secret that is cut off where what is kept of an error ends, or of a statement', async () => {
  const db = await connect()
  const errors = await say(db, [
    ...[8150, 8155, 8160].map(
      (length) =>
        `select set_config('app.password', '${secret}', false);
        do $$ begin raise '%', repeat('x', ${length}) || current_setting('app.password') || 'and more'; end $$`,
    ),
    `do $$ begin raise '%', repeat('x', 8130) || ' postgres://eve:' || repeat('Zq9', 20) || '@h/d'; end $$`,
    // Nobody looked at what is behind the first megabyte.
    `/* ${'x'.repeat(1024 * 1024)} */ alter role bob password ${secret}`,
  ])
  expect(errors).toHaveLength(5)
  for (const error of errors) expect(error).toContain('Zq9')
  await db.end()
  await stage.gate.last.ended.promise
  const messages = stage.gate.last.recorder.of('e').map(({ message }) => message)
  expect(messages).toHaveLength(5)
  for (const message of messages) expect(message.replaceAll(mask, '')).not.toMatch(/Z/)
  expect(messages[3]).toMatch(/postgres:\/\/eve:\[masked\]$/)
})

test('secrets in values that are cut off, or in bytes', async () => {
  const read = (value: Buffer, format: number, lengthBytes = value.length) => {
    const [formats, count] = [Buffer.of(0, 1, 0, format), Buffer.of(0, 1)]
    return readBind(Buffer.concat([Buffer.of(0, 0), formats, count, int32(lengthBytes), value]), false).values
  }
  const url = Buffer.from(`${'x'.repeat(1000)} postgres://eve:${secret}@h/d ${'x'.repeat(100)}`)
  expect(read(url, 0)).toEqual([{ text: `${'x'.repeat(1000)} postgres://eve:${mask}`, bytes: url.length }])
  expect(read(url, 1)).toEqual([mask])
  expect(read(Buffer.from(`password=${secret}`), 1)).toEqual([mask])
  expect(read(Buffer.from('no more than bytes'), 1)).toEqual([{ base64: btoa('no more than bytes') }])
})

test('what the server says of a secret that was bound in binary, or is longer than what is looked at', async () => {
  const insert = (values: readonly Buffer[]) => {
    const body = values.flatMap((value) => [int32(value.length), value])
    return message(
      fromClient.bind,
      Buffer.from('\0\0\0\x01\0\x01'),
      Buffer.of(0, values.length),
      ...body,
      Buffer.of(0, 0),
    )
  }
  const wire = await openWire(stage, 'admin')
  await wire.ask(query('create temp table keys (note text, password text unique)'))
  const statement = parse('insert into keys (note, password) values ($1, $2)')
  for (const note of ['short', 'short', 'x'.repeat(64 * 1024)]) {
    wire.send(statement, insert([Buffer.from(note), Buffer.from(secret)]), execute, sync)
    await wire.until('Z')
  }
  expect(wire.errors).toHaveLength(2)
  wire.socket.destroy()
  await stage.gate.last.ended.promise
  expect(stage.gate.last.recorder.of('e')).toHaveLength(2)
  expect(leaks()).toEqual([])
})

test('a password behind what changes how the server reads it, in one go', async () => {
  const behind = `alter role nobody_of_that_name password 'x\\'${secret}'`
  const off = 'set standard_conforming_strings = off'
  const wire = await openWire(stage, 'admin')
  wire.send(query(off), query(behind))
  await wire.until('Z', 2)
  wire.send(query('reset standard_conforming_strings'), run(off), parse(behind), sync)
  await wire.until('Z', 2)
  wire.socket.destroy()
  await stage.gate.last.ended.promise
  const { recorder } = stage.gate.last
  expect([...recorder.of('q'), ...recorder.of('p')].filter(({ bytes }) => bytes !== undefined)).toHaveLength(2)
  expect(leaks()).toEqual([])

  const unparsable = {
    kinds: ['unparsable'] as const,
    tables: null,
    functions: null,
    whereMissing: false,
    several: false,
  }
  const rules = [{ ...unparsable, name: 'unread', message: null, action: 'ask' as const }]
  await using guarded = await openStage(postgres, {
    guard: { rules, otherwise: 'allow', askForMs: 60_000, askers: null },
  })
  const asking = await openWire(guarded, 'admin')
  asking.send(query(off), query(behind))
  const { wish } = await guarded.questions.untilAsked(1)
  expect(wish.sql).toMatch(/^alter role nobody_of_that_name password '\[masked\]'/)
  expect(wish.sql).not.toContain(secret)
  asking.socket.destroy()
})

test('\\password of psql', async () => {
  await postgres.query("create role carl login password 'old'")
  // Without a terminal it reads both lines from its input.
  const psql = stage.psql(['-c', '\\password carl', '-c', "select 'behind'"], 'admin')
  psql.process.stdin!.end(`${secret}\n${secret}\n`)
  await psql.exited
  expect(psql.out).toContain('behind')
  await stage.gate.last.ended.promise
  const statements = stage.gate.last.recorder.of('q').map(({ sql }) => sql)
  expect(statements.find((sql) => /alter user/i.test(sql))).toMatch(/PASSWORD '\[masked\]'/)
})

test('changes of the role and of settings have their lines', async () => {
  const db = await connect()
  await say(db, [
    'set role shop_readonly',
    "set search_path = 'public'",
    'reset role',
    'set session authorization shop_reporting',
  ])
  await db.end()
  await stage.gate.last.ended.promise
  const { recorder } = stage.gate.last
  expect(recorder.of('q').map(({ sql }) => sql)).toContain('set role shop_readonly')
  const changes = recorder.of('s').map(({ name, value }) => `${name}=${value}`)
  expect(changes).toEqual(
    expect.arrayContaining(['is_superuser=off', 'search_path=public', 'session_authorization=shop_reporting']),
  )
})
