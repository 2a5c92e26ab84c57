// Goal: with a user for each grant the server itself knows the person, all the time that the grant lasts and not a
// moment longer, through every way in which a grant, a session or the gateway can end.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { parse, stringify } from 'yaml'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Grant } from '../../src/access/states.ts'
import type { AuditEvent } from '../../src/audit/event.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startGateway } from '../../src/gateway.ts'
import { openRecording } from '../../src/recording/reading.ts'
import type { Program } from '../clients/program.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway, type TestRole } from '../servers/gateway.ts'
import { startPostgres, type TestPostgres } from '../servers/postgres.ts'
import { startSeparateGateway } from '../servers/separate-gateway.ts'

const stack = new AsyncDisposableStack()
let postgres: TestPostgres
let gateway: TestGateway

const secret = 'of the administrator'

/** `reporting` and `admin` stay for a while, `readonly` goes at once. */
function withUsers(folder: string, { resources }: ConfigInput): void {
  const shop = resources?.['prod-db']
  if (shop?.kind !== 'postgres') throw new Error('prod-db is a PostgreSQL server')
  const user = (group: string, keepFor: string) => ({
    databases: ['shop'],
    user: { administrator: { login: 'makes_users', password: `file:${folder}` }, memberOf: [group], keepFor },
  })
  shop.roles = {
    reporting: { ...user('shop_reporting', '1h'), sessions: 5 },
    readonly: user('shop_readonly', '0'),
    admin: user('shop_admin', '1h'),
  }
}

async function startTarget(): Promise<TestPostgres> {
  const settings = { log_statement: 'all', log_line_prefix: '%u ', log_connections: 'on' }
  const started = await startPostgres({ settings })
  await started.query(`create role makes_users login createrole password '${secret}'`)
  await started.query('grant shop_reporting, shop_readonly, shop_admin to makes_users with admin option')
  await writeFile(join(started.folder, 'administrator'), secret, { mode: 0o600 })
  return started
}

beforeAll(async () => {
  postgres = stack.use(await startTarget())
  const configure = (config: ConfigInput) => withUsers(join(postgres.folder, 'administrator'), config)
  gateway = stack.use(await startTestGateway({ postgres, configure }))
}, 60_000)
afterAll(() => stack.disposeAsync())

async function psql(login: Login, role: TestRole, ...commands: readonly string[]): Promise<Program> {
  return gateway.psql({ user: `${role}.token`, password: await gateway.token(login), commands })
}

async function ask(login: Login, role: TestRole, sql: string): Promise<string> {
  await using program = await psql(login, role, sql)
  const { stdout, stderr, status } = await program.exited()
  expect(status, stderr).toBe(0)
  return stdout.trim()
}

async function users(): Promise<readonly string[]> {
  const { rows } = await postgres.query("select rolname from pg_roles where rolname like 'curfew\\_%' and rolcanlogin")
  return (rows as { rolname: string }[]).map(({ rolname }) => rolname)
}

/** Waits until there is no such user, or none that may log in. */
const untilGone = (name: string) => expect.poll(users, { timeout: 20_000 }).not.toContain(name)
const nameFor = (person: string, grant: Grant) => `curfew_${person}_shop_example_${grant.id.slice(6, 14)}`

async function events(type: string): Promise<readonly Record<string, unknown>[]> {
  const rows = await gateway.gateway.state.audit.search({ types: [type], limit: 100 })
  return rows.map(({ json }) => (JSON.parse(json) as AuditEvent).data)
}

/** The events of the newest session's recording. */
async function recorded(): Promise<string> {
  const [row] = await gateway.gateway.state.sessions.sessions({ live: false, limit: 1 })
  await using recording = await openRecording(join(gateway.config.gateway.dataFolder, 'recordings', row!.recording!))
  const lines: string[] = []
  for await (const event of recording.events()) lines.push(JSON.stringify(event))
  return lines.join('\n')
}

test('the server knows who it is; the password is in no log; it is gone when the access is handed back', async () => {
  const grant = await gateway.grant('alice', 'reporting')
  expect(await users()).toEqual([])
  const name = nameFor('alice', grant)
  const sql = "select current_user, session_user, pg_has_role('shop_reporting', 'usage'), 'read'"
  expect(await ask('alice', 'reporting', sql)).toBe(`${name}|${name}|t|read`)
  const { rows } = await postgres.query('select rolvaliduntil, rolconnlimit from pg_roles where rolname = $1', [name])
  expect(rows).toEqual([{ rolvaliduntil: new Date(grant.expiresAt), rolconnlimit: 12 }])
  const log = await readFile(postgres.logFile, 'utf8')
  expect(log).toContain(`${name} LOG:  statement: select current_user`)
  expect(log).not.toContain('SCRAM-SHA-256$')
  expect(await events('database-user.made')).toMatchObject([
    { user: name, resource: 'prod-db', role: 'reporting', grant: grant.id },
  ])
  await expect.poll(recorded).toContain(`{"name":"session_authorization","value":"${name}"}`)
  await using sleeping = await psql('alice', 'reporting', 'select pg_sleep(60)')
  await postgres.untilSessions({ usename: name, state: 'active' }, 1)
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  expect((await sleeping.exited()).stderr).toMatch(/handed/)
  await untilGone(name)
  await postgres.untilSessions({ usename: name }, 0)
  expect(await postgres.query('select from pg_roles where rolname = $1', [name])).toMatchObject({ rowCount: 0 })
})

test('a changed role: the user has what it says from the next session on, and is gone with the grant', async () => {
  const text = await readFile(gateway.configFile, 'utf8')
  const reload = async (config: string) => {
    await writeFile(gateway.configFile, config)
    return gateway.gateway.reload(await loadConfig(gateway.configFile, {}))
  }
  const grant = await gateway.grant('alice', 'admin')
  const name = nameFor('alice', grant)
  const sql = "select current_user, pg_has_role('shop_admin', 'member'), pg_has_role('shop_readonly', 'member')"
  expect(await ask('alice', 'admin', sql)).toBe(`${name}|t|f`)
  const changed = await reload(text.replace(/- shop_admin/, '- shop_readonly'))
  expect(changed).toMatchObject({ kind: 'taken', resources: { changed: ['prod-db'] } })
  expect(await ask('alice', 'admin', sql)).toBe(`${name}|f|t`)
  await using sleeping = await psql('alice', 'admin', 'select pg_sleep(60)')
  await postgres.untilSessions({ usename: name, state: 'active' }, 1)
  // Its role is gone, and with it everything that makes users: the session ends, and the user goes with the grant all the same.
  const parsed = parse(text) as ConfigInput
  const plain = { login: 'shop_reporting', password: 'file:secrets/shop_reporting', databases: ['shop'] }
  parsed.resources['prod-db']!.roles = { reporting: plain } as never
  parsed.policies = parsed.policies.filter(({ name: one }) => one === 'reporting')
  expect((await reload(stringify(parsed))).kind).toBe('taken')
  expect((await sleeping.exited()).stderr).toMatch(/There is no prod-db as admin any more/)
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  await untilGone(name)
  await reload(text)
})

test('at the deadline the session is told why, and nothing of it is left at the server', async () => {
  const grant = await gateway.grant('dave', 'admin', 4000)
  const name = nameFor('dave', grant)
  await using sleeping = await psql('dave', 'admin', 'select pg_sleep(60)')
  await postgres.untilSessions({ usename: name, state: 'active' }, 1)
  expect((await sleeping.exited()).stderr).toMatch(/FATAL: +Your access to prod-db as admin ended at/)
  await untilGone(name)
  await postgres.untilSessions({ usename: name }, 0)
  await expect
    .poll(() => events('database-user.dropped'))
    .toContainEqual(expect.objectContaining({ user: name, cause: 'grant-ended' }))
})

test('sessions that come at once share one user; without a session it goes after its time', async () => {
  const grant = await gateway.grant('dave', 'readonly')
  const name = nameFor('dave', grant)
  const before = (await events('database-user.made')).length
  const asked = Array.from({ length: 4 }, () => ask('dave', 'readonly', 'select current_user from pg_sleep(0.5)'))
  expect(await Promise.all(asked)).toEqual([name, name, name, name])
  expect(await events('database-user.made')).toHaveLength(before + 1)
  await untilGone(name)
  expect(await ask('dave', 'readonly', 'select current_user')).toBe(name)
  await untilGone(name)
})

test('its end moves when the access is extended', async () => {
  const grant = await gateway.grant('alice', 'reporting', 600_000)
  const name = nameFor('alice', grant)
  await ask('alice', 'reporting', 'select 1')
  const alice = await gateway.person('alice')
  await gateway.gateway.access.extend(alice, grant.id, { lengthMs: 600_000, reason: '', ticket: null, origin: 'test' })
  const until = async () =>
    (await postgres.query('select rolvaliduntil from pg_roles where rolname = $1', [name])).rows[0] as unknown
  await expect.poll(until).toEqual({ rolvaliduntil: new Date(grant.expiresAt + 600_000) })
  await gateway.gateway.access.handBack(alice, grant.id)
  await untilGone(name)
})

test('a statement is cancelled as ever', async () => {
  const grant = await gateway.grant('alice', 'reporting')
  const name = nameFor('alice', grant)
  await using running = await psql('alice', 'reporting')
  running.send('select pg_sleep(60);')
  await postgres.untilSessions({ usename: name, state: 'active' }, 1)
  running.kill('SIGINT')
  await running.until(/canceling statement due to user request/)
  await running.exited()
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  await untilGone(name)
})

test('who owns something keeps it, without a login; operators are told what', async () => {
  const grant = await gateway.grant('alice', 'admin')
  const name = nameFor('alice', grant)
  await ask('alice', 'admin', 'create table kept as select 1 as one')
  await gateway.gateway.access.revoke(await gateway.person('olga'), grant.id, 'enough')
  await expect
    .poll(() => events('database-user.disabled'), { timeout: 20_000 })
    .toContainEqual(expect.objectContaining({ user: name, owns: expect.stringMatching(/shop/) as string }))
  const { rows } = await postgres.query(
    'select rolcanlogin, (select rolpassword from pg_authid a where a.oid = r.oid) as password from pg_roles r where rolname = $1',
    [name],
  )
  expect(rows).toEqual([{ rolcanlogin: false, password: null }])
  const log = await readFile(gateway.logFile, 'utf8')
  expect(log).toContain('a database user owns something')
  const metrics = await (await fetch(new URL('/metrics', gateway.opsUrl))).text()
  expect(metrics).toMatch(/curfew_database_users_total\{resource="prod-db",outcome="disabled"\} 1/)
})

test('who gives the user a password and goes around the gateway is out at the end, too', async () => {
  const grant = await gateway.grant('alice', 'reporting')
  const name = nameFor('alice', grant)
  await ask('alice', 'reporting', "alter role current_user password 'known'")
  const { host, port, ca } = postgres
  const login = { host, port, user: name, password: 'known', database: 'shop', ssl: { ca } }
  const around = new pg.Client(login)
  const { promise: ended, resolve } = Promise.withResolvers<Error>()
  around.on('error', resolve)
  await around.connect()
  await gateway.gateway.access.handBack(await gateway.person('alice'), grant.id)
  expect(await ended).toMatchObject({ code: '57P01' })
  await untilGone(name)
  await expect(new pg.Client(login).connect()).rejects.toMatchObject({ code: '28P01' })
})

test('without the administrator nobody gets in, with a reason; nothing waits to be dropped', async () => {
  const file = join(postgres.folder, 'administrator')
  const grant = await gateway.grant('alice', 'readonly')
  await writeFile(file, 'wrong')
  await using refused = await psql('alice', 'readonly', 'select 1')
  const { status, stderr } = await refused.exited()
  expect(status).toBe(2)
  expect(stderr).toContain('prod-db could not make a user for you')
  expect(await gateway.gateway.state.databaseUsers.standing()).not.toContainEqual(
    expect.objectContaining({ grant: grant.id }),
  )
  await writeFile(file, secret)
  expect(await ask('alice', 'readonly', 'select current_user')).toBe(nameFor('alice', grant))
})

test('what cannot be dropped now is dropped later', async () => {
  const file = join(postgres.folder, 'administrator')
  const grant = await gateway.grant('dave', 'reporting')
  const name = nameFor('dave', grant)
  expect(await ask('dave', 'reporting', 'select current_user')).toBe(name)
  await writeFile(file, 'wrong')
  await gateway.gateway.access.handBack(await gateway.person('dave'), grant.id)
  const overdue = async () =>
    (await (await fetch(new URL('/metrics', gateway.opsUrl))).text()).includes(
      'curfew_database_users_overdue{resource="prod-db"} 1',
    )
  await expect.poll(overdue, { timeout: 10_000 }).toBe(true)
  expect(await users()).toContain(name)
  await writeFile(file, secret)
  await untilGone(name)
})

test('a gateway that stops takes its users with it', async () => {
  const grant = await gateway.grant('dave', 'reporting')
  const name = nameFor('dave', grant)
  expect(await ask('dave', 'reporting', 'select current_user')).toBe(name)
  expect(await users()).toContain(name)
  await gateway.restart()
  expect(await users()).not.toContain(name)
  expect(await ask('dave', 'reporting', 'select current_user')).toBe(name)
})

test('what a killed gateway left is ended and dropped by the next, and nothing else', { timeout: 60_000 }, async () => {
  await using target = await startTarget()
  const configure = (config: ConfigInput) => withUsers(join(target.folder, 'administrator'), config)
  const comment = (gateway: string) =>
    `Curfew: {"gateway":"${gateway}","resource":"prod-db","role":"reporting","grant":"grant-x","person":"x"}`
  await using killed = await startSeparateGateway({ postgres: target, configure })
  const { token } = await killed.enter(3_600_000)
  const { client } = await killed.connect(token)
  const { rows } = await client.query<{ name: string }>('select current_user as name')
  await target.query('set role makes_users')
  for (const [name, words] of [
    ['curfew_forgotten', comment('gw-test')],
    ['curfew_elsewhere', comment('gw-other')],
    ['curfew_of_somebody', 'made by hand'],
  ]) {
    await target.query(`create role ${name} login`)
    await target.query(`comment on role ${name} is '${words}'`)
  }
  await target.query('reset role')
  await killed.kill()
  const left = async () =>
    (await target.query("select rolname from pg_roles where rolname like 'curfew\\_%' order by 1")).rows as unknown
  expect(await left()).toContainEqual({ rolname: rows[0]!.name })
  await using _again = await startGateway(await loadConfig(killed.configFile, {}))
  await expect
    .poll(left, { timeout: 20_000 })
    .toEqual([{ rolname: 'curfew_elsewhere' }, { rolname: 'curfew_of_somebody' }])
})
