/** What a session may be doing when its end comes, for each protocol; and how the client learns of it. */
import { spawn } from 'node:child_process'
import pg from 'pg'
import { connectionString } from '../clients/psql.ts'
import type { TestGateway } from '../servers/gateway.ts'

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
  /** Brings a session into the situation. Resolves when it is there, with what the client will have learned. */
  readonly enter: (through: Entry) => Promise<{ readonly farewell: Promise<Farewell> }>
}

export interface Entry {
  readonly gateway: TestGateway
  /** `role.token` and its token, or the role alone where a sign-in is remembered. */
  readonly user: string
  readonly token: string | undefined
  /** Marks the session at the target. */
  readonly application: string
}

export const situations: readonly Situation[] = [
  { protocol: 'postgres', name: 'idle', tellsAlways: true, enter: (entry) => withDriver(entry, idle) },
  {
    protocol: 'postgres',
    name: 'in a transaction',
    tellsAlways: true,
    enter: (entry) => withDriver(entry, inTransaction),
  },
  { protocol: 'postgres', name: 'in pg_sleep', tellsAlways: true, enter: (entry) => withDriver(entry, sleeping) },
  { protocol: 'postgres', name: 'in the middle of a result of 8 GB', tellsAlways: false, enter: inResult },
]

/** The lock that a session in a transaction holds: another can take it as soon as the transaction is gone. */
export const advisoryLock = 4821

async function idle(client: pg.Client): Promise<void> {
  await client.query('select 1')
}

async function inTransaction(client: pg.Client): Promise<void> {
  await client.query('begin')
  await client.query('select pg_advisory_xact_lock($1)', [advisoryLock])
}

async function sleeping(client: pg.Client, { gateway }: Entry): Promise<void> {
  // Its failure is the farewell, which arrives as an error of the client too.
  client.query('select pg_sleep(600)').catch(() => undefined)
  await gateway.postgres.untilRunning('pg_sleep(600)', 1)
}

async function withDriver(entry: Entry, bring: (client: pg.Client, entry: Entry) => Promise<void>) {
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
  await bring(client, entry)
  return { farewell }
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
