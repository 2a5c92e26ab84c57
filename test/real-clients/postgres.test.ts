// Goal: what people run against PostgreSQL straight, they run through the gateway unchanged.
// Method: Debian's server and Debian's own clients of the same version, the real gateway between them.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import pg from 'pg'
import { Program } from '../clients/program.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { startPostgres } from '../servers/postgres.ts'

const stack = new AsyncDisposableStack()
let gateway: TestGateway
let environment: Readonly<Record<string, string>>

beforeAll(async () => {
  const postgres = stack.use(await startPostgres({ debian: true, settings: { max_connections: 300 } }))
  gateway = stack.use(await startTestGateway({ postgres }))
  await gateway.grant('alice', 'admin')
  environment = {
    PGHOST: 'localhost',
    PGPORT: String(gateway.postgresPort),
    PGUSER: 'admin.token',
    PGPASSWORD: await gateway.token('alice'),
    PGDATABASE: 'prod-db',
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: gateway.caFile,
    HOME: gateway.folder,
  }
})
afterAll(() => stack.disposeAsync())

/** Runs to its end. @throws what it said when it fails. */
async function run(command: string, ...args: readonly string[]): Promise<string> {
  await using program = new Program(command, args, { env: environment, waitMsMax: 60_000 })
  const { status, stdout, stderr } = await program.exited()
  expect(status, `${command} ${args.join(' ')}\n${stderr}`).toBe(0)
  return stdout
}

const psql = (...commands: readonly string[]) =>
  run('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', ...commands.flatMap((command) => ['-c', command]))

describe('psql', () => {
  test('describes tables and shows errors as the server made them', async () => {
    expect(await run('psql', '-X', '-c', String.raw`\d invoices`)).toContain('customer_id')
    await using program = new Program('psql', ['-X', '-v', 'VERBOSITY=verbose', '-c', 'select 1/0'], {
      env: environment,
    })
    const { status, stderr } = await program.exited()
    expect(status).toBe(1)
    expect(stderr).toContain('22012: division by zero')
  })

  test('copies a file in and out, byte for byte', { timeout: 60_000 }, async () => {
    const rows = Array.from(
      { length: 50_000 },
      (_, index) => `${index}\t${createHash('md5').update(`${index}`).digest('hex')}`,
    )
    const file = join(gateway.folder, 'rows.tsv')
    await writeFile(file, `${rows.join('\n')}\n`)
    await psql('create table copied (id int primary key, text text)', String.raw`\copy copied from '${file}'`)
    await psql(String.raw`\copy (select * from copied order by id) to '${file}.out'`)
    expect(await readFile(`${file}.out`, 'utf8')).toBe(await readFile(file, 'utf8'))
    await psql('drop table copied')
  })

  test('is interrupted by Ctrl-C, and no other session is', async () => {
    const asleep = (text: string) =>
      new Program('psql', ['-XAtqc', `select pg_sleep(3), '${text}'`], { env: environment })
    await using one = asleep('one')
    await using other = asleep('other')
    await gateway.postgres.untilRunning('pg_sleep(3)', 2)
    one.kill('SIGINT')
    expect((await one.exited()).stderr).toContain('canceling statement due to user request')
    expect(await other.exited()).toMatchObject({ status: 0, stdout: '|other\n' })
  })
})

describe('pg_dump and pg_restore', () => {
  test.each([
    ['custom', ['-Fc']],
    ['directory, three at once', ['-Fd', '-j', '3']],
  ])('carry a database over: %s', { timeout: 120_000 }, async (name, format) => {
    const before = await checksum('public')
    const dump = join(gateway.folder, `dump ${name}`)
    await run('pg_dump', ...format, '-n', 'public', '-f', dump)
    await psql('alter schema public rename to original', 'create schema public')
    await run('pg_restore', '--no-owner', '--no-comments', '-n', 'public', ...format.slice(1), '-d', 'prod-db', dump)
    expect(await checksum('public')).toBe(before)
    await psql('drop schema public cascade', 'alter schema original rename to public')
  })

  async function checksum(schema: string): Promise<string> {
    const tables = await psql(`select tablename from pg_tables where schemaname = '${schema}' order by 1`)
    const sums = tables
      .split('\n')
      .filter(Boolean)
      .map(async (table) => {
        const sum = await psql(
          `select count(*), md5(string_agg(t::text, '|' order by t::text)) from ${schema}.${table} t`,
        )
        return `${table} ${sum}`
      })
    return (await Promise.all(sums)).join('')
  }
})

describe('pgbench', () => {
  beforeAll(async () => {
    await psql('create schema if not exists bench')
    environment = { ...environment, PGOPTIONS: '-c search_path=bench' }
    await run('pgbench', '-i', '-q', '-s', '1')
  })
  afterAll(async () => {
    await psql('drop schema bench cascade')
    const { PGOPTIONS: _, ...rest } = environment
    environment = rest
  })

  test.each(['simple', 'extended', 'prepared'])('runs in mode %s without a failed transaction', async (mode) => {
    const report = await run('pgbench', '-n', '-M', mode, '-c', '8', '-j', '2', '-t', '50')
    expect(report).toContain('number of transactions actually processed: 400/400')
    expect(report).toContain('number of failed transactions: 0')
  })

  test('connects anew for each transaction', { timeout: 60_000 }, async () => {
    const report = await run('pgbench', '-n', '-C', '-S', '-c', '4', '-t', '10')
    expect(report).toContain('number of failed transactions: 0')
  })
})

describe('a Node driver', () => {
  test('uses a pool, parameters, prepared statements, transactions and notifications', async () => {
    const pool = new pg.Pool({ ...driverOptions(), max: 5 })
    const rows = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        pool.query({ name: 'twice', text: 'select $1::int * 2 as twice', values: [index] }),
      ),
    )
    expect(rows.map((result) => (result.rows[0] as { twice: number }).twice)).toEqual(rows.map((_, index) => index * 2))
    const client = await pool.connect()
    await client.query('begin')
    await expect(client.query('select * from nowhere')).rejects.toMatchObject({ code: '42P01' })
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    await client.query('rollback')
    const heard = new Promise((resolve) => client.once('notification', resolve))
    await client.query('listen news')
    await pool.query(`select pg_notify('news', 'hello')`)
    expect(await heard).toMatchObject({ channel: 'news', payload: 'hello' })
    client.release()
    await pool.end()
  })

  test('holds a hundred connections at once', { timeout: 60_000 }, async () => {
    const clients = Array.from({ length: 100 }, () => new pg.Client(driverOptions()))
    await Promise.all(clients.map((client) => client.connect()))
    const answers = await Promise.all(clients.map((client) => client.query('select 1 as one')))
    expect(answers.every(({ rows }) => (rows[0] as { one: number }).one === 1)).toBe(true)
    await Promise.all(clients.map((client) => client.end()))
  })

  function driverOptions(): pg.ClientConfig {
    return {
      host: 'localhost',
      port: gateway.postgresPort,
      user: 'admin.token',
      password: environment['PGPASSWORD'],
      database: 'prod-db',
      ssl: { ca: gateway.ca },
    }
  }
})
