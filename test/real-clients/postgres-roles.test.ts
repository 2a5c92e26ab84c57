// Goal: what a role says of its sessions holds for every client, whatever the client itself says.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Program } from '../clients/program.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { startPostgres } from '../servers/postgres.ts'

const stack = new AsyncDisposableStack()
let gateway: TestGateway

beforeAll(async () => {
  const postgres = stack.use(
    await startPostgres({ debian: true, settings: { max_wal_senders: 4, wal_level: 'logical' } }),
  )
  await postgres.query('alter role shop_admin replication')
  const { rows } = await postgres.query('show hba_file')
  const file = (rows[0] as { hba_file: string }).hba_file
  await writeFile(file, `hostssl replication shop_admin all scram-sha-256\n${await readFile(file, 'utf8')}`)
  await postgres.query('select pg_reload_conf()')
  gateway = stack.use(
    await startTestGateway({
      postgres,
      configure: ({ resources }) => {
        const shop = resources?.['prod-db']
        if (shop?.kind !== 'postgres') throw new Error('prod-db is a PostgreSQL server')
        Object.assign(shop.roles['reporting']!, {
          parameters: { default_transaction_read_only: true, statement_timeout: '5min', work_mem: '9MB' },
          applicationName: 'session',
          idleTimeout: '1s',
        })
        Object.assign(shop.roles['admin']!, { replication: true, sessions: 2 })
      },
    }),
  )
  for (const role of ['reporting', 'readonly', 'admin'] as const) await gateway.grant('alice', role)
}, 60_000)
afterAll(() => stack.disposeAsync())

async function environment(role: string, more: Readonly<Record<string, string>> = {}) {
  return {
    PGHOST: 'localhost',
    PGPORT: String(gateway.postgresPort),
    PGUSER: `${role}.token`,
    PGPASSWORD: await gateway.token('alice'),
    PGDATABASE: 'prod-db',
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: gateway.caFile,
    HOME: gateway.folder,
    ...more,
  }
}

async function run(role: string, command: readonly string[], more?: Readonly<Record<string, string>>) {
  const [program = '', ...args] = command
  await using running = new Program(program, args, { env: await environment(role, more), waitMsMax: 60_000 })
  return await running.exited()
}

test('its settings win over what the client sends, in whatever way', async () => {
  const show =
    "select string_agg(current_setting(name), ' ' order by name) from unnest(array['default_transaction_read_only', 'statement_timeout', 'work_mem']) as name"
  const { stdout } = await run('reporting', ['psql', '-XAtqc', show], {
    PGOPTIONS: '-c default_transaction_read_only=off -c statement_timeout=0 --work_mem=1MB',
  })
  expect(stdout).toBe('on 5min 9MB\n')
})

test('its settings are where a session begins: SET changes them, a reset brings them back, and none is lasting', async () => {
  const show =
    "select concat_ws(' ', current_setting('default_transaction_read_only'), current_setting('statement_timeout'), current_setting('work_mem'))"
  const said = (...statements: readonly string[]) =>
    run('reporting', ['psql', '-XAtq', ...statements.flatMap((sql) => ['-c', sql])])
  const change = 'set default_transaction_read_only = off; set statement_timeout = 0; set work_mem = 64'
  for (const reset of ['reset all', 'discard all']) {
    const { stdout } = await said(change, show, reset, show)
    expect(stdout).toBe('off 0 64kB\non 5min 9MB\n')
  }
  // Nor does becoming oneself again change them.
  expect((await said('set session authorization default', show)).stdout).toBe('on 5min 9MB\n')
  // What the login keeps with itself counts less than what a session begins with.
  const keep = 'alter role current_user set statement_timeout = 0; alter role current_user set enable_sort = off'
  await said('set default_transaction_read_only = off', keep)
  expect((await said(show, 'show enable_sort')).stdout).toBe('on 5min 9MB\noff\n')
  await gateway.postgres.query('alter role shop_reporting reset all')
})

test('the server is told who it is, and which session', async () => {
  const { stdout } = await run('reporting', ['psql', '-XAtqc', 'show application_name'], { PGAPPNAME: 'nightly' })
  expect(stdout).toMatch(/^session-[a-z2-7]{16} alice@shop\.example nightly\n$/)
  const plain = await run('readonly', ['psql', '-XAtqc', 'show application_name'], { PGAPPNAME: 'nightly' })
  expect(plain.stdout).toBe('nightly\n')
})

test('a session that does nothing is ended with the reason; one that works is not', async () => {
  await using psql = new Program('psql', ['-XAtq', '-v', 'VERBOSITY=verbose'], { env: await environment('reporting') })
  psql.send("select 'slept', pg_sleep(2);")
  await psql.until(/slept\|/)
  await gateway.postgres.untilSessions({ usename: 'shop_reporting' }, 0)
  psql.send('select 1;')
  const { stderr } = await psql.exited()
  expect(stderr).toMatch(/FATAL: {2}57P05: .*did nothing for 1 s/)
  expect(stderr).toContain('your access still stands')
})

test('pg_basebackup is refused, and where the role allows it makes a backup', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-backup-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const backup = (role: string, into: string) =>
    run('ignored', ['pg_basebackup', '-D', join(folder, into), '-X', 'none', '-c', 'fast', '-d', ''], {
      PGUSER: `${role}@prod-db.token`,
    })
  const refused = await backup('readonly', 'refused')
  expect(refused.status).not.toBe(0)
  expect(refused.stderr).toContain('Replication connections may not pass as readonly')
  const { status, stderr } = await backup('admin', 'made')
  expect(status, stderr).toBe(0)
  expect(await readdir(join(folder, 'made'))).toContain('PG_VERSION')
})

test('where the role allows it, changes are followed as bytes and as rows', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-changes-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const at = { PGUSER: 'admin@prod-db.token', PGDATABASE: 'shop' }
  const follow = async (...command: readonly string[]) => {
    const { status, stdout, stderr } = await run('ignored', command, at)
    expect(status, stderr).toBe(0)
    return stdout
  }
  const logical = ['pg_recvlogical', '-d', 'shop', '--slot', 'followed']
  await follow(...logical, '--create-slot', '-P', 'test_decoding')
  const change = async (sql: string) => {
    const kept = ['-c', 'set synchronous_commit = on', '-c', sql]
    return (await follow('psql', '-XAtq', ...kept, '-c', 'select pg_current_wal_flush_lsn()')).trim()
  }
  // Who follows goes on until there is something behind the end.
  const more = "set synchronous_commit = on; select pg_logical_emit_message(true, '', 'more')"
  const rowsEnd = await change('create table followed (a int); insert into followed values (1), (2)')
  await gateway.postgres.query(more)
  const rows = await follow(...logical, '--start', '--no-loop', '--endpos', rowsEnd, '-f', '-')
  expect(rows).toContain('table public.followed: INSERT: a[integer]:1\n')
  await follow(...logical, '--drop-slot')
  const bytesEnd = await change('drop table followed')
  await gateway.postgres.query(more)
  await follow('pg_receivewal', '--no-loop', '--no-sync', '--endpos', bytesEnd, '-D', folder)
  expect((await readdir(folder)).length).toBeGreaterThan(0)
})

test('one person has so many sessions at once, however quickly they come', async () => {
  const sleep = () => run('admin', ['psql', '-XAtqc', "select 'slept', pg_sleep(1.5)"])
  const all = await Promise.all([sleep(), sleep(), sleep(), sleep()])
  expect(all.filter(({ status }) => status === 0)).toHaveLength(2)
  const refused = all.filter(({ status }) => status !== 0)
  for (const { stderr } of refused) expect(stderr).toContain('As admin you may have 2 sessions at prod-db at once')
  expect((await sleep()).status).toBe(0)
})

test('programs that choose the database themselves name the resource behind the role', async () => {
  const at = { PGUSER: 'readonly@prod-db.token' }
  expect((await run('', ['psql', '-XAtqc', 'select current_database()'], { ...at, PGDATABASE: 'shop' })).stdout).toBe(
    'shop\n',
  )
  const other = await run('', ['psql', '-XAtqc', 'select 1'], { ...at, PGDATABASE: 'template1' })
  expect(other.stderr).toMatch(/template1/)
})

test(
  'whoever was approved for some databases replicates none, as that reaches all of them',
  { timeout: 60_000 },
  async () => {
    const { access, state } = gateway.gateway
    const { id: alice } = await gateway.person('alice')
    for (const { id } of await access.livingGrants(alice)) await access.handBack(await gateway.person('alice'), id)
    const wish = {
      resource: 'prod-db',
      role: 'admin',
      lengthMs: 600_000,
      reason: 'a test',
      ticket: null,
      startsAt: null,
    }
    const request = await access.ask(await gateway.person('alice'), { ...wish, origin: 'test' })
    const shopOnly = { lengthMs: null, startsAt: null, role: null, databases: ['shop'], networks: null }
    for (const login of ['bob', 'carol'] as const) {
      if ((await state.access.request(request.id))?.state !== 'requested') break
      await access.decide(await gateway.person(login), request.id, 'approve', '', undefined, shopOnly)
    }
    expect(await state.access.grantOf(request.id)).toMatchObject({ state: 'active', databases: ['shop'] })
    for (const replication of ['true', 'database']) {
      const conninfo = `dbname=prod-db replication=${replication}`
      const { status, stderr } = await run('admin', ['psql', '-XAtc', 'IDENTIFY_SYSTEM', conninfo])
      expect([status, stderr]).toEqual([2, expect.stringContaining('is not for every database')])
    }
    expect((await run('admin', ['psql', '-XAtc', 'select 6 * 7'])).stdout).toBe('42\n')
  },
)
