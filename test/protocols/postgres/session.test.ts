import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { query, terminate } from '../../../src/protocols/postgres/messages.ts'
import { startupMessage } from '../../../src/protocols/postgres/startup.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { openStage, type Stage } from './stage.ts'

let postgres: TestPostgres
let stage: Stage
beforeAll(async () => {
  postgres = await startPostgres()
  stage = await openStage(postgres)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

function client(user = 'readonly'): pg.Client {
  const ssl = { ca: stage.ca, servername: 'localhost' }
  const db = new pg.Client({ host: '127.0.0.1', port: stage.port, user, database: 'shop', ssl })
  return db.on('error', () => undefined) // tests that expect one wait for it themselves
}

/** A client without a driver: reads when the test does. Ready for queries. */
async function rawSession(user = 'readonly'): Promise<TLSSocket> {
  const options = { ALPNProtocols: ['postgresql'], ca: stage.ca, servername: 'localhost' }
  const socket = connectTls({ host: '127.0.0.1', port: stage.port, ...options })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  const admitted = stage.gate.admissions.length
  socket.write(
    startupMessage([
      ['user', user],
      ['database', 'shop'],
    ]),
  )
  let bytes = Buffer.alloc(0)
  const ready = Buffer.from('5a0000000549', 'hex')
  while (!bytes.includes(ready)) {
    await once(socket, 'readable')
    bytes = Buffer.concat([bytes, (socket.read() as Buffer | null) ?? Buffer.alloc(0)])
  }
  expect(stage.gate.admissions.length).toBe(admitted + 1)
  return socket
}

const nothingLeft = (login = 'shop_readonly') => postgres.untilSessions({ usename: login }, 0)

test('psql works as it does without us, and is recorded', async () => {
  const psql = stage.psql(['-At', '-c', 'select 1 + 1', '-c', 'select count(*) from customers', '-c', 'select nothing'])
  await psql.exited
  expect(psql.out).toBe('2\n400\n')
  expect(psql.err).toContain('column "nothing" does not exist')
  const end = await stage.gate.last.ended.promise
  expect(end).toMatchObject({ by: 'client' })
  expect(end.bytesFromClient).toBeGreaterThan(50)
  const { recorder } = stage.gate.last
  expect(recorder.of('q')).toEqual([
    { n: 1, sql: 'select 1 + 1' },
    { n: 2, sql: 'select count(*) from customers' },
    { n: 3, sql: 'select nothing' },
  ])
  expect(recorder.of('c')).toEqual([
    { n: 1, tag: 'SELECT 1', rows: 1, ms: expect.any(Number), bytes: 7, firstMs: expect.any(Number) },
    { n: 2, tag: 'SELECT 1', rows: 1, ms: expect.any(Number), bytes: expect.any(Number), firstMs: expect.any(Number) },
  ])
  expect(recorder.of('e')).toMatchObject([{ n: 3, sqlstate: '42703', severity: 'ERROR', rows: 0 }])
  expect(recorder.of('s').map(({ name }) => name)).toContain('server_version')
  await nothingLeft()
})

test('the extended protocol is recorded with its values', async () => {
  const db = client()
  await db.connect()
  const { rows } = await db.query('select $1::int + $2::int as sum, $3::text as nothing', [20, '22', null])
  expect(rows).toEqual([{ sum: 42, nothing: null }])
  await db.query({ name: 'byId', text: 'select name from customers where id = $1', values: [1] })
  await db.end()
  const { recorder } = stage.gate.last
  await stage.gate.last.ended.promise
  expect(recorder.of('p')).toMatchObject([{ name: '', sql: expect.stringContaining('$1::int') }, { name: 'byId' }])
  expect(recorder.of('b').map(({ values }) => values)).toEqual([['20', '22', null], ['1']])
  expect(recorder.of('x')).toMatchObject([{ n: 1 }, { n: 2 }])
  expect(recorder.of('c')).toMatchObject([
    { n: 1, rows: 1 },
    { n: 2, rows: 1 },
  ])
})

test('the client gets the target’s process id and parameters; startup parameters are passed on', async () => {
  const psql = stage.psql(
    ['-At', '-c', 'select pg_backend_pid()', '-c', 'show work_mem', '-c', 'show application_name'],
    'readonly',
    "options='-c work_mem=9MB' application_name=shopkeeper",
  )
  await psql.exited
  expect(psql.out).toMatch(/^\d+\n9MB\nshopkeeper\n$/)
  expect(stage.gate.last.session.client).toMatchObject({ application: 'shopkeeper', address: '127.0.0.1', tls: true })
})

test('COPY goes both ways; only its size is recorded', async () => {
  const copyIn = stage.psql(
    ['-q', '-c', 'create temp table t (a int)', '-c', '\\copy t from pstdin', '-c', 'select sum(a) from t'],
    'admin',
  )
  copyIn.process.stdin!.end('1\n2\n39\n')
  await copyIn.exited
  expect(copyIn.out).toContain('42')
  await stage.gate.last.ended.promise
  expect(stage.gate.last.recorder.of('cp')).toEqual([{ direction: 'in', bytes: 7 }])
  const copyOut = stage.psql(['-c', 'copy (select generate_series(1, 50000)) to stdout'])
  await copyOut.exited
  expect(copyOut.out.split('\n').length).toBe(50_001)
  await stage.gate.last.ended.promise
  expect(stage.gate.last.recorder.of('cp')).toEqual([{ direction: 'out', bytes: copyOut.out.length }])
})

test('rows of 64 MB and statements of 16 MB pass; the recording keeps the beginning and the hash', async () => {
  const db = client()
  await db.connect()
  const row = await db.query("select repeat('x', 64 * 1024 * 1024) as big")
  expect((row.rows[0] as { big: string }).big.length).toBe(64 * 1024 * 1024)
  const long = `select length('${'y'.repeat(16 * 1024 * 1024)}') as length`
  expect((await db.query(long)).rows).toEqual([{ length: 16 * 1024 * 1024 }])
  await db.end()
  await stage.gate.last.ended.promise
  const { recorder } = stage.gate.last
  const cut = recorder.of('q').at(-1)!
  expect(cut.sql.length).toBe(64 * 1024)
  expect(cut).toMatchObject({ bytes: long.length, sha256: createHash('sha256').update(long).digest('hex') })
  expect(Math.max(...recorder.sizes)).toBeLessThan(70_000)
})

test('Ctrl-C in psql cancels the statement and nothing else', async () => {
  const psql = stage.psql([])
  psql.type('select pg_sleep(61);\n')
  await postgres.untilRunning('pg_sleep(61)', 1)
  psql.process.kill('SIGINT')
  await psql.until('canceling statement due to user request')
  await psql.exited // a script does not go on after it
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client' })
  expect(stage.gate.last.recorder.of('k')).toEqual([{ address: '127.0.0.1' }])
  expect(stage.gate.last.recorder.of('e')).toMatchObject([{ n: 1, sqlstate: '57014' }])
})

const hintOfExpiry = 'Ask again on your access page.'

test('cut while idle: the reason is there when the person looks, and nothing is left', async () => {
  const db = client()
  await db.connect()
  const told = once(db, 'error') as Promise<[pg.DatabaseError]>
  const { last } = stage.gate
  last.cut()
  const [error] = await told
  expect(error).toMatchObject({ severity: 'FATAL', code: '57P01', hint: hintOfExpiry })
  expect(await last.ended.promise).toMatchObject({ by: 'gate', error: { code: 'GRANT_EXPIRED' } })
  expect(last.ends.length).toBe(1)
  expect(last.toldAfterMs).toBeLessThan(1000)
  expect(last.recorder.of('m')).toMatchObject([{ kind: 'cut', code: 'GRANT_EXPIRED' }])
  await nothingLeft()
})

test('cut in a transaction: it is rolled back', async () => {
  const db = client('admin')
  db.on('error', () => undefined)
  await db.connect()
  await db.query('begin')
  await db.query('update products set stock = stock + 1 where id = 1')
  await postgres.untilSessions({ usename: 'shop_admin', state: 'idle in transaction' }, 1)
  stage.gate.last.cut()
  await nothingLeft('shop_admin')
})

test('cut in pg_sleep: psql says why, and the statement stops', async () => {
  const psql = stage.psql(['-c', 'select pg_sleep(62)'])
  await postgres.untilRunning('pg_sleep(62)', 1)
  stage.gate.last.cut('GRANT_REVOKED')
  await psql.exited
  expect(psql.err).toContain('FATAL:  Your access to shop has ended.')
  expect(psql.err).toContain('HINT:  Ask the person who revoked it')
  await nothingLeft()
})

test('cut in the middle of a big result, with the client reading: it reads the reason', async () => {
  const psql = stage.psql(['-c', "copy (select repeat('x', 200) from generate_series(1, 3000000)) to stdout"])
  psql.process.stdout!.removeAllListeners('data').resume()
  let received = 0
  psql.process.stdout!.on('data', (chunk: Buffer) => (received += chunk.length))
  while (received < 10_000_000) await once(psql.process.stdout!, 'data')
  stage.gate.last.cut()
  await psql.exited
  expect(psql.err).toContain('FATAL:  Your access to shop has ended.')
  expect(received).toBeLessThan(600_000_000)
  await nothingLeft()
})

test('cut in the middle of a big result, with the client not reading: it is over all the same', async () => {
  const socket = await rawSession()
  socket.write(query("select repeat('x', 1000) from generate_series(1, 1000000)"))
  await postgres.untilSessions({ usename: 'shop_readonly', wait_event: 'ClientWrite' }, 1)
  const { last } = stage.gate
  last.cut()
  await nothingLeft()
  expect(await last.ended.promise).toMatchObject({ by: 'gate' })
  expect(last.toldAfterMs).toBeDefined()
  socket.destroy()
})

test('cut in the middle of a huge row: no message is put into it, the connection just ends', async () => {
  const socket = await rawSession()
  const bytes: Buffer[] = []
  socket.write(query("select repeat('x', 200 * 1024 * 1024)"))
  for (let count = 0; count < 1_000_000; count = Buffer.concat(bytes).length) {
    bytes.push(((await once(socket, 'data')) as [Buffer])[0])
  }
  stage.gate.last.cut()
  const closed = once(socket, 'close')
  socket.on('data', (chunk: Buffer) => bytes.push(chunk))
  await closed
  const all = Buffer.concat(bytes)
  expect(all.length).toBeLessThan(200 * 1024 * 1024)
  expect(all.indexOf('57P01')).toBe(-1)
  await nothingLeft()
})

test('what was asked before a proper goodbye is finished, as without us', async () => {
  const socket = await rawSession('admin')
  const sql = "select pg_sleep(0.2); update products set title = 'Desk, finished' where id = 1"
  socket.end(Buffer.concat([query(sql), terminate]))
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client' })
  expect(stage.gate.last.recorder.of('c')).toMatchObject([{ tag: 'SELECT 1' }, { tag: 'UPDATE 1' }])
  const db = await postgres.connect('shop')
  expect((await db.query('select title from products where id = 1')).rows).toEqual([{ title: 'Desk, finished' }])
  await db.end()
})

test('a statement that refuses to be cancelled is ended with its process', async () => {
  const stubborn =
    'do $$ begin loop begin perform pg_sleep(63); exception when query_canceled then null; end; end loop; end $$'
  const psql = stage.psql(['-c', stubborn])
  await postgres.untilRunning('pg_sleep(63)', 1)
  stage.gate.last.cut()
  await psql.exited
  await nothingLeft()
  expect(stage.logged.map(({ message }) => message)).toContain('a statement resists being cancelled')
})

test('a statement that refuses to be cancelled is ended also where the target lets nobody else in for a while', async () => {
  await postgres.query('alter role shop_admin connection limit 2')
  const idle = await rawSession('admin')
  const other = stage.gate.last
  const stubborn =
    'do $$ begin loop begin perform pg_sleep(62); exception when query_canceled then null; end; end loop; end $$'
  const psql = stage.psql(['-c', stubborn], 'admin')
  await postgres.untilRunning('pg_sleep(62)', 1)
  stage.gate.last.cut()
  await psql.exited
  const messages = () => stage.logged.map(({ message }) => message)
  await expect.poll(messages, { timeout: 15_000 }).toContain('a server process could not be ended; it is tried again')
  idle.destroy()
  await other.ended.promise
  await nothingLeft('shop_admin')
  await postgres.query('alter role shop_admin connection limit -1')
})

test('a client that dies in a statement leaves nothing behind', async () => {
  const psql = stage.psql(['-c', 'select pg_sleep(64)'])
  await postgres.untilRunning('pg_sleep(64)', 1)
  psql.process.kill('SIGKILL')
  await nothingLeft()
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'client' })
})

test('a target that dies says so, once', async () => {
  const psql = stage.psql(['-c', 'select pg_sleep(65)'])
  await postgres.untilRunning('pg_sleep(65)', 1)
  await postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'shop_readonly'")
  await psql.exited
  expect(psql.err).toContain('terminating connection due to administrator command')
  expect(psql.err).not.toContain('closed the connection.')
  expect(await stage.gate.last.ended.promise).toMatchObject({ by: 'target' })
})

test('a warning is read with the next answer, and recorded', async () => {
  const db = client()
  await db.connect()
  const noticed = once(db, 'notice') as Promise<[{ message: string }]>
  stage.gate.last.warn(300_000)
  expect((await noticed)[0].message).toContain('your access to shop as readonly ends in 5 min')
  expect((await db.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(stage.gate.last.recorder.of('m')).toMatchObject([{ kind: 'warning' }])
  await db.end()
})

test('a full recorder stops both directions until it has drained', async () => {
  const db = client()
  await db.connect()
  const { last } = stage.gate
  last.recorder.fill()
  const first = db.query('select 1 as one')
  const second = first.then(() => db.query('select 2 as two'))
  await postgres.untilSessions({ usename: 'shop_readonly', state: 'idle', query: 'select 1 as one' }, 1)
  expect(last.recorder.of('c')).toEqual([])
  last.recorder.drain()
  expect((await second).rows).toEqual([{ two: 2 }])
  await db.end()
})

test('a recording that breaks ends the session', async () => {
  const db = client()
  await db.connect()
  const { last } = stage.gate
  last.recorder.fill()
  const failed = db.query('select pg_sleep(66)').catch((error: unknown) => error)
  await postgres.untilRunning('pg_sleep(66)', 1)
  last.recorder.breakDown()
  expect(await failed).toMatchObject({ code: '57P01' })
  expect(await last.ended.promise).toMatchObject({ by: 'gate', error: { code: 'RECORDING_FAILED' } })
  await nothingLeft()
})
