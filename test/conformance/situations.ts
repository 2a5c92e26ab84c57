/** What a session may be doing when its end comes, for each protocol; and how the client learns of it. */
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { expect } from 'vitest'
import { cstring, fromClient, message } from '../../src/protocols/postgres/messages.ts'
import { connectionString } from '../clients/psql.ts'
import { WireClient } from '../clients/wire.ts'
import type { TestGateway, TestRole } from '../servers/gateway.ts'

/** What the client was told: the error it read, or nothing but the end of the connection. */
export interface Farewell {
  readonly sqlState: string | undefined
  readonly severity: string | undefined
  readonly message: string
  readonly hint: string | undefined
}

export interface Situation {
  readonly protocol: 'postgres'
  readonly name: string
  /** Whether the client must have read the reason; otherwise a message was half sent, and a bare end is right. */
  readonly tellsAlways: boolean
  /** Absent: `readonly`. */
  readonly role?: TestRole
  /** Brings a session into the situation. Resolves when it is there, with what the client will have learned. */
  readonly enter: (through: Entry) => Promise<Entered>
}

export interface Entered {
  readonly farewell: Promise<Farewell>
  /** Looks that nothing of it is left elsewhere, once the target has no session of it. */
  readonly gone?: () => Promise<unknown>
}

export interface Entry {
  readonly gateway: TestGateway
  /** The role with `.token` and its token, or the role alone where a sign-in is remembered. */
  readonly user: string
  readonly token: string | undefined
  /** Marks the session at the target. */
  readonly application: string
  /** By the listener that takes plaintext. */
  readonly withoutTls?: boolean
}

const overTls: readonly Situation[] = [
  {
    protocol: 'postgres',
    name: 'idle',
    tellsAlways: true,
    enter: (entry) => withDriver(entry, idle),
  },
  {
    protocol: 'postgres',
    name: 'in a transaction',
    tellsAlways: true,
    enter: (entry) => withDriver(entry, inTransaction),
  },
  {
    protocol: 'postgres',
    name: 'in pg_sleep',
    tellsAlways: true,
    enter: (entry) => withDriver(entry, sleeping),
  },
  {
    protocol: 'postgres',
    name: 'in the middle of a result of 8 GB',
    tellsAlways: false,
    enter: inResult,
  },
  { protocol: 'postgres', name: 'holding the lock of a row', tellsAlways: true, enter: holdingRow },
  { protocol: 'postgres', name: 'after a query', tellsAlways: true, enter: selected },
  { protocol: 'postgres', name: 'listening for notifications', tellsAlways: true, enter: byWire('listen news') },
  {
    protocol: 'postgres',
    name: 'with a cursor half read',
    tellsAlways: true,
    enter: byWire('begin', 'declare some cursor for select generate_series(1, 1000000)', 'fetch 10 from some'),
  },
  { protocol: 'postgres', name: 'in a COPY from the client', tellsAlways: true, enter: copyingIn },
  { protocol: 'postgres', name: 'with a pipeline in flight', tellsAlways: true, enter: inPipeline },
  { protocol: 'postgres', name: 'in the middle of a message of its own', tellsAlways: true, enter: inMessage },
  { protocol: 'postgres', name: 'not reading what it asked for', tellsAlways: false, enter: notReading },
  {
    protocol: 'postgres',
    name: 'waiting for somebody’s word on a statement',
    tellsAlways: true,
    role: 'admin',
    enter: waitingForWord,
  },
  { protocol: 'postgres', name: 'as a user of its own', tellsAlways: true, role: 'reporting', enter: asOwnUser },
]

/** Bytes come and go by other ways without TLS, so all that is about bytes is looked at there, too. */
const inPlaintext = overTls
  .filter(({ enter }) => [selected, copyingIn, inPipeline, inMessage, notReading].includes(enter))
  .map((situation) => ({
    ...situation,
    name: `${situation.name}, without TLS`,
    enter: (entry: Entry) => situation.enter({ ...entry, withoutTls: true }),
  }))

export const situations = [...overTls, ...inPlaintext]

const openWire = ({ gateway, user, token: password, application, withoutTls = false }: Entry) =>
  WireClient.connect({
    ...{ user, password, application, database: 'prod-db' },
    port: gateway.config.listen.postgres[withoutTls ? 1 : 0]!.port,
    ca: withoutTls ? null : gateway.ca,
  })

/** By which a statement is found among those that other sessions run at the same time. */
const mark = ({ application }: Entry) => `/* ${application} */`

async function told(client: WireClient): Promise<Farewell> {
  const report = await client.farewell()
  client.socket.destroy()
  const { sqlstate: sqlState, severity, message = 'the connection ended', hint } = report ?? {}
  return { sqlState, severity, message, hint }
}

function byWire(...statements: readonly string[]) {
  return async (entry: Entry): Promise<Entered> => {
    const client = await openWire(entry)
    for (const sql of statements) await client.query(sql)
    return { farewell: told(client) }
  }
}

async function selected(entry: Entry): Promise<Entered> {
  const client = await openWire(entry)
  await client.query('select 1')
  return { farewell: told(client) }
}

/** Another session wants the same row, and goes on at once when this one is gone. */
async function holdingRow(entry: Entry): Promise<Entered> {
  const { postgres } = entry.gateway
  const other = await postgres.connect('shop')
  await other.query('create table if not exists held as select 1 as id')
  await other.query('grant update, select on held to shop_readonly')
  const client = await openWire(entry)
  await client.query('begin; update held set id = id')
  const others = other
    .query("set statement_timeout = '20s'; update held set id = id + 1")
    .finally(() => void other.end())
  await postgres.untilRunning('update held set id = id + 1', 1)
  return { farewell: told(client), gone: () => others }
}

async function copyingIn(entry: Entry): Promise<Entered> {
  const client = await openWire(entry)
  await client.query('create temp table copied (text text)')
  client.socket.write(message(fromClient.query, cstring(`copy copied from stdin ${mark(entry)}`)))
  client.socket.write(message(fromClient.copyData, Buffer.from('one line\n')))
  await entry.gateway.postgres.untilRunning(mark(entry), 1)
  return { farewell: told(client) }
}

async function inPipeline(entry: Entry): Promise<Entered> {
  const client = await openWire(entry)
  client.pipeline('select 1', `select pg_sleep(601) ${mark(entry)}`, 'select 2')
  await entry.gateway.postgres.untilRunning(mark(entry), 1)
  return { farewell: told(client) }
}

async function inMessage(entry: Entry): Promise<Entered> {
  const client = await openWire(entry)
  const whole = message(fromClient.query, cstring(`select '${'x'.repeat(100)}'`))
  client.socket.write(whole.subarray(0, 50))
  return { farewell: told(client) }
}

async function notReading(entry: Entry): Promise<Entered> {
  const client = await openWire(entry)
  client.socket.pause()
  const copy = `copy (select repeat('x', 1000) from generate_series(1, 8000001)) to stdout ${mark(entry)}`
  client.socket.write(message(fromClient.query, cstring(copy)))
  const { postgres } = entry.gateway
  await postgres.untilRunning(mark(entry), 1)
  // It reads again only when nothing of it is left at the target.
  const farewell = postgres.untilRunning(mark(entry), 0).then(() => {
    client.socket.resume()
    return told(client)
  })
  return { farewell }
}

/** The guard has asked; what the client sent behind it has not gone on either. */
async function waitingForWord(entry: Entry): Promise<Entered> {
  const { questions } = entry.gateway.gateway.access
  const client = await openWire(entry)
  await client.query('begin')
  for (const sql of ['truncate customers', 'select pg_sleep(603)']) {
    client.socket.write(message(fromClient.query, cstring(sql)))
  }
  const bob = await entry.gateway.person('bob')
  await until(async () => (await questions.waitingFor(bob)).length === 1)
  const [asked] = await questions.waitingFor(bob)
  const state = async () => (await entry.gateway.gateway.access.questions.view(bob, asked!.question.id)).question.state
  return { farewell: told(client), gone: () => until(async () => (await state()) === 'given-up') }
}

/** A user that was made at the target for this grant, in the middle of a statement and of a transaction. */
async function asOwnUser(entry: Entry): Promise<Entered> {
  const { postgres } = entry.gateway
  const client = await openWire(entry)
  await client.query('begin')
  client.socket.write(message(fromClient.query, cstring('select pg_sleep(602)')))
  await postgres.untilRunning('pg_sleep(602)', 1)
  const ownUsers = async () => (await postgres.query(`select from pg_roles where rolname like 'curfew\\_%'`)).rowCount
  return { farewell: told(client), gone: () => until(async () => (await ownUsers()) === 0) }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10)
}

/** The lock that a session in a transaction holds: another can take it as soon as the transaction is gone. */
const advisoryLock = 4821

async function idle(client: pg.Client): Promise<void> {
  await client.query('select 1')
}

async function inTransaction(client: pg.Client, { gateway: { postgres } }: Entry) {
  await client.query('begin')
  await client.query('select pg_advisory_xact_lock($1)', [advisoryLock])
  return async () => {
    const { rows } = await postgres.query('select pg_try_advisory_lock($1) as free', [advisoryLock])
    expect(rows).toEqual([{ free: true }])
    await postgres.query('select pg_advisory_unlock($1)', [advisoryLock])
  }
}

async function sleeping(client: pg.Client, { gateway }: Entry): Promise<void> {
  // Its failure is the farewell, which arrives as an error of the client too.
  client.query('select pg_sleep(600)').catch(() => undefined)
  await gateway.postgres.untilRunning('pg_sleep(600)', 1)
}

type Bring = (client: pg.Client, entry: Entry) => Promise<Entered['gone'] | void>

async function withDriver(entry: Entry, bring: Bring): Promise<Entered> {
  const { gateway, user, token, application } = entry
  const client = new pg.Client({
    host: 'localhost',
    port: gateway.postgresPort,
    user,
    ...(token !== undefined && { password: token }),
    database: 'prod-db',
    application_name: application,
    ssl: { ca: gateway.ca },
  })
  const { promise: farewell, resolve } = Promise.withResolvers<Farewell>()
  client.on('error', (error) => resolve(read(error)))
  const connected = client.connect()
  connected.catch((error: Error) => resolve(read(error)))
  await connected
  // A query that is running gets the error instead of the client.
  const ask = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  client.query = ((...args: unknown[]) =>
    ask(...args).catch((error: Error) => {
      resolve(read(error))
      throw error
    })) as typeof client.query
  const gone = await bring(client, entry)
  return { farewell, ...(gone && { gone }) }
}

function read(error: Error): Farewell {
  const { code, severity, hint } = error as pg.DatabaseError
  return { sqlState: code, severity, message: error.message, hint }
}

/** psql reads a result of 8 GB as fast as it can; its last words are on stderr. */
async function inResult({ gateway, user, token, application }: Entry) {
  const { caFile, postgresPort: port } = gateway
  const copy = "copy (select repeat('x', 1000) from generate_series(1, 8000000)) to stdout"
  const where = connectionString({ port, user, database: 'prod-db', caFile })
  const child = spawn('psql', ['-X', '-w', '-v', 'VERBOSITY=verbose', '-c', copy, where], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      ...(token !== undefined && { PGPASSWORD: token }),
      PGAPPNAME: application,
      LC_ALL: 'C.UTF-8',
    },
  })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text))
  const farewell = new Promise<Farewell>((resolve) => {
    child.on('close', (status) => resolve(status === 0 ? finished : readWords(words)))
  })
  await gateway.postgres.untilRunning('generate_series(1, 8000000)', 1)
  return { farewell }
}

const finished: Farewell = { sqlState: '00000', severity: undefined, message: 'it got all of it', hint: undefined }

function readWords(words: string): Farewell {
  const [, severity, sqlState, message = words] = /(FATAL|ERROR): {2}(\w{5}): (.*)/.exec(words) ?? []
  return { severity, sqlState, message, hint: /HINT: {2}(.*)/.exec(words)?.[1] }
}
