// Goal: what `curfew login` leaves is enough for every program that speaks PostgreSQL; nothing is asked on the way.
// Method: the real gateway between real clients and a real PostgreSQL; the CLI as people run it.
import { randomBytes, X509Certificate } from 'node:crypto'
import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import pg from 'pg'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { openClientAuthority } from '../../src/identity/x509/authority.ts'
import { signX509 } from '../../src/identity/x509/certificate.ts'
import { later } from '../../src/kernel/time.ts'
import { systemClock } from '../../src/system.ts'
import { Program, type ProgramOptions } from '../clients/program.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { startPostgres } from '../servers/postgres.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const stack = new AsyncDisposableStack()
let gateway: TestGateway
let home: string
/** A TLS session that began with the certificate. */
let resumable: ConnectionOptions

beforeAll(async () => {
  const postgres = stack.use(await startPostgres({ debian: true })) // of the same version as pg_dump
  gateway = stack.use(await startTestGateway({ postgres }))
  home = join(gateway.folder, 'home')
  await mkdir(home)
  await gateway.grant('alice', 'readonly')
})
afterAll(() => stack.disposeAsync())

const settings = () => ({ env: { XDG_CONFIG_HOME: home, HOME: home }, waitMsMax: 30_000 })
const start = (words: readonly string[], more: ProgramOptions = {}) =>
  new Program(process.execPath, [main, ...words], { ...settings(), ...more })
const file = (name: string) => join(home, `curfew/postgres/localhost_${gateway.url.port}`, name)

async function tool(command: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using program = new Program(command, words, { env: { HOME: home, ...env }, waitMsMax: 30_000 })
  program.endInput()
  return await program.exited()
}

async function curfew(...words: readonly string[]) {
  await using program = start(words)
  return await program.exited()
}

async function login() {
  await using program = start(['login', '--gateway', gateway.url.href, '--ca', gateway.caFile])
  const [link] = await program.until(/https:\/\/\S+\/s\/[\w-]+/)
  await (await gateway.visitor('alice')).post(new URL(link), { answer: 'confirm' })
  return await program.exited()
}

async function variables(...words: readonly string[]): Promise<Record<string, string>> {
  const { stdout } = await curfew('env', ...words, '--json')
  return (JSON.parse(stdout) as { variables: Record<string, string> }).variables
}

async function audited(type: 'session.started' | 'certificate.refused' | 'session.ended') {
  const found = await gateway.gateway.state.audit.search({ types: [type], limit: 100 })
  return found.map(({ json }) => (JSON.parse(json) as { data: Record<string, unknown> }).data)
}

describe('with the certificate of curfew login', () => {
  test('curfew psql is in', async () => {
    expect((await login()).stdout).toMatch(/PostgreSQL certificate until 20.* UTC\.\n$/)
    expect((await stat(file('client.key'))).mode & 0o777).toBe(0o600)
    const query = "select current_database(), current_setting('is_superuser')"
    const ran = await curfew('psql', 'prod-db', '--', '-XAtc', query)
    expect(ran).toMatchObject({ status: 0, stdout: 'shop|off\n', stderr: '' })
    const [session] = await audited('session.started')
    expect(session).toMatchObject({ role: 'readonly', certificate: expect.stringMatching(/^[0-9a-f]{32}$/) as string })
    expect((await curfew('psql', 'prod-db/shop', 'readonly', '--', '-Xc', 'select 1/0')).status).toBe(1)
  })

  test('curfew psql without a resource lists what there is', async () => {
    const { status, stdout } = await curfew('psql')
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^RESOURCE +ROLE +DATABASES +ACCESS +ABOUT\n/)])
    expect(stdout).toMatch(/^prod-db +readonly +shop\S* +open until 20/m)
    expect(stdout).toMatch(/^prod-db +reporting +shop\S* +can be asked for/m)
    for (const command of ['env', 'connect']) {
      expect(await curfew(command)).toMatchObject({
        status: 2,
        stdout: '',
        stderr: expect.stringMatching('curfew psql'),
      })
    }
  })

  test('curfew psql says where options of psql go', async () => {
    const { status, stderr } = await curfew('psql', 'prod-db', '-c', 'select 1')
    expect([status, stderr]).toEqual([2, expect.stringContaining('What is for psql goes after --')])
  })

  test('what the shell says of another server leads neither curfew psql nor curfew env astray', async () => {
    const env = {
      ...{ ...settings().env, PGHOSTADDR: '127.0.0.9', PGSERVICE: 'other', PGGSSENCMODE: 'require' },
      ...{ PGCONNECT_TIMEOUT: '2', PGSSLCERTMODE: 'disable' },
    }
    await using direct = start(['psql', 'prod-db', 'readonly', '--', '-XAtc', 'select 7'], { env })
    expect(await direct.exited()).toMatchObject({ status: 0, stdout: '7\n' })
    await using printed = start(['env', 'prod-db', 'readonly'], { env })
    const { stdout } = await printed.exited()
    const ran = await tool('sh', ['-c', `${stdout}\npsql -XAtc "select 7"`], env)
    expect(ran).toMatchObject({ status: 0, stdout: '7\n', stderr: '' })
  })

  test('curfew psql asks with the connection', async () => {
    const words = [
      'psql',
      'prod-db',
      'reporting',
      '--reason',
      "the month's report",
      '--for',
      '30m',
      '--',
      '-XAtc',
      'select 1',
    ]
    expect(await curfew(...words)).toMatchObject({ status: 0, stdout: '1\n' })
    const asker = await gateway.person('alice')
    const [request] = await gateway.gateway.access.requestsOf(asker, 1)
    expect(request).toMatchObject({ role: 'reporting', reason: "the month's report", lengthMs: 1_800_000 })
  })

  test('curfew env is all that other programs need', async () => {
    const { stdout } = await curfew('env', 'prod-db', 'readonly')
    const shell = (script: string) => tool('sh', ['-c', `${stdout}\n${script}`])
    expect(await shell('psql -XAtc "select 7"')).toMatchObject({ status: 0, stdout: '7\n', stderr: '' })
    const dumped = await shell('pg_dump --schema-only')
    expect(dumped).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('dump complete') as string })
    const { PGSSLCERT: cert, PGSSLKEY: key, PGHOST: host, PGPORT: port } = await variables('prod-db', 'readonly')
    const tls = { ca: gateway.ca, cert: await readFile(cert!), key: await readFile(key!) }
    const driver = new pg.Client({ host, port: Number(port), user: 'readonly', database: 'prod-db', ssl: tls })
    await driver.connect()
    expect((await driver.query('select 7 as seven')).rows).toEqual([{ seven: 7 }])
    await driver.end()
  })

  test('a service file is enough, too', async () => {
    const services = join(home, 'services.conf')
    const env = { PGSERVICEFILE: services }
    await writeFile(services, '[mine]\nhost=localhost\n')
    for (const role of ['reporting', 'readonly']) {
      await using program = start(['env', 'prod-db', role, '--service', 'shop', '--write'], {
        env: { ...settings().env, ...env },
      })
      expect(await program.exited()).toMatchObject({ status: 0, stdout: 'psql service=shop\n' })
    }
    const text = await readFile(services, 'utf8')
    expect([text.match(/\[shop\]/g)?.length, text.startsWith('[mine]\nhost=localhost\n\n')]).toEqual([1, true])
    const ran = await tool('psql', ['-XAtc', "select current_user = 'shop_readonly'", 'service=shop'], env)
    expect(ran).toMatchObject({ status: 0, stdout: 't\n' })
  })

  test('curfew connect opens a port for clients that know nothing', async () => {
    await using open = start(['connect', 'prod-db', 'readonly', '--json'])
    const [line] = await open.until(/\{.*\}/)
    const { host, port } = JSON.parse(line) as { host: string; port: number }
    const plain = { host, port, user: 'whoever', password: 'whatever', database: 'something', ssl: false as const }
    const drivers = Array.from({ length: 5 }, () => new pg.Client(plain))
    await Promise.all(drivers.map((driver) => driver.connect()))
    const answers = await Promise.all(drivers.map((driver, at) => driver.query('select current_user, $1::int', [at])))
    expect(answers.map(({ rows }) => rows[0] as unknown)).toEqual(
      answers.map((_, at) => ({ current_user: 'shop_readonly', int4: at })),
    )
    const rows = await drivers[0]!.query("select repeat('x', 1000) from generate_series(1, 20000)")
    expect(rows.rowCount).toBe(20_000)
    await Promise.all(drivers.map((driver) => driver.end()))
    const dumped = await tool('pg_dump', ['-h', host, '-p', String(port), '-U', 'me', '--schema-only', 'any'])
    expect(dumped).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('dump complete') as string })
    await using cancelled = new Program('psql', ['-XAtc', 'select pg_sleep(60)', '-h', host, '-p', String(port), 'any'])
    await gateway.postgres.untilRunning('pg_sleep', 1)
    cancelled.kill('SIGINT')
    expect((await cancelled.exited()).stderr).toContain('canceling statement due to user request')
    await using cut = new Program('psql', ['-XAtc', 'select pg_sleep(60)', '-h', host, '-p', String(port), 'any'])
    await gateway.postgres.untilRunning('pg_sleep', 1)
    open.kill('SIGINT')
    expect(await open.exited()).toMatchObject({ status: 0 })
    expect(await cut.exited()).toMatchObject({ status: 2 })
    await gateway.postgres.untilRunning('pg_sleep', 0)
  })

  test('curfew connect opens a socket for its owner only, and replaces one that was left behind', async () => {
    const folder = join(home, 'socket')
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await using open = start(['connect', 'prod-db/shop', 'readonly', '--socket', folder])
      await open.until(/psql -h \S+/)
      expect([(await stat(folder)).mode & 0o777, (await stat(join(folder, '.s.PGSQL.5432'))).mode & 0o777]).toEqual([
        0o700, 0o600,
      ])
      const driver = new pg.Client({ host: folder, user: 'me', database: 'any' })
      await driver.connect()
      expect((await driver.query('select current_database() as name')).rows).toEqual([{ name: 'shop' }])
      await driver.end()
      const second = await curfew('connect', 'prod-db', 'readonly', '--socket', folder)
      expect([second.status, second.stderr]).toEqual([1, expect.stringContaining('it is taken')])
      open.kill(signal)
      await open.exited()
    }
  })

  test('curfew connect says what the gateway says', async () => {
    await using open = start(['connect', 'prod-db/nothing', 'readonly', '--json'])
    const { host, port } = JSON.parse((await open.until(/\{.*\}/))[0]) as { host: string; port: number }
    const refused = await tool('psql', ['-Xh', host, '-p', String(port), 'any'])
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('may not open the database')])
  })

  test('direct TLS, and a TLS session that is resumed, are looked at as closely', async () => {
    const env = await variables('prod-db', 'readonly')
    const own = { cert: await readFile(env['PGSSLCERT']!), key: await readFile(env['PGSSLKEY']!) }
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await greeted(await directly({ ...own, maxVersion }))
      expect(first.isIn).toBe(true)
      const again = await greeted(
        await directly({ ...own, maxVersion, ...(first.session && { session: first.session }) }),
      )
      expect(again.isIn).toBe(true)
      const bare = await greeted(await directly({ maxVersion, ...(first.session && { session: first.session }) }))
      // Resumed, the connection is still that of the certificate; otherwise it is nobody's, and a sign-in is asked for.
      expect(bare.isIn).toBe(bare.resumed)
      resumable = { maxVersion, ...(again.session && { session: again.session }) }
    }
  })

  test('one of another authority counts as none', async () => {
    const foreign = await issue(await makeAuthority('Somebody'), { names: ['alice'], purpose: 'both' })
    await writeFile(join(home, 'foreign.crt'), foreign.certificate)
    await writeFile(join(home, 'foreign.key'), foreign.key, { mode: 0o600 })
    const env = await variables('prod-db', 'readonly')
    const options = {
      env: { ...env, HOME: home, PGSSLCERT: join(home, 'foreign.crt'), PGSSLKEY: join(home, 'foreign.key') },
    }
    await using program = new Program('psql', ['-XAtc', 'select 1'], options)
    await program.until(/https:\/\/\S+\/s\/\S+/)
  })

  test.each<[string, number, number, RegExp]>([
    ['is over', -2, -1, /FATAL: {2}The certificate was good until 20.* UTC\nHINT: {2}.*: curfew login/],
    ['is not good yet', 1, 2, /FATAL: {2}The certificate is good from 20.* on\nHINT: {2}.*: curfew login/],
  ])('one that %s is refused, and says so', async (_what, fromHours, untilHours, words) => {
    const env = await variables('prod-db', 'readonly')
    const own = new X509Certificate(await readFile(env['PGSSLCERT']!))
    const now = systemClock.now()
    const { name, privateKey } = await openClientAuthority(gateway.config.gateway.dataFolder, gateway.url.host, now)
    const [validFrom, validUntil] = [later(now, fromHours * 3_600_000), later(now, untilHours * 3_600_000)]
    const of = { subject: name, issuer: name, publicKey: own.publicKey, serial: randomBytes(16) }
    const uri = own.subjectAltName!.replace('URI:', '')
    const made = new X509Certificate(signX509({ ...of, validFrom, validUntil, uri }, privateKey))
    const file = join(home, 'other-times.crt')
    await writeFile(file, made.toString())
    const ran = await tool('psql', ['-XAtc', 'select 1'], { ...env, PGSSLCERT: file })
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringMatching(words)])
  })

  test('the key is needed, not the certificate alone', async () => {
    const other = await issue(await makeAuthority('Somebody'), { names: ['alice'], purpose: 'both' })
    const env = await variables('prod-db', 'readonly')
    await writeFile(join(home, 'other.key'), other.key, { mode: 0o600 })
    const ran = await tool('psql', ['-XAtc', 'select 1'], { ...env, PGSSLKEY: join(home, 'other.key') })
    expect([ran.status, ran.stderr]).toEqual([2, expect.stringMatching(/key/)])
  })

  test('logout ends the session in the middle of a statement, and nobody comes in by it any more', async () => {
    const env = await variables('prod-db', 'readonly')
    const kept = join(home, 'kept')
    await mkdir(kept)
    for (const name of ['client.key', 'client.crt']) await copyFile(file(name), join(kept, name))
    await using program = start(['psql', 'prod-db', 'readonly', '--', '-XAtc', 'select pg_sleep(60)'])
    await gateway.postgres.untilRunning('pg_sleep', 1)
    expect(await curfew('logout')).toMatchObject({ status: 0 })
    const { status, stderr } = await program.exited()
    expect([status, stderr]).toEqual([2, expect.stringMatching(/FATAL: .*\n/)])
    await gateway.postgres.untilRunning('pg_sleep', 0)
    await expect(readFile(file('client.key'))).rejects.toMatchObject({ code: 'ENOENT' })
    const old = { ...env, PGSSLCERT: join(kept, 'client.crt'), PGSSLKEY: join(kept, 'client.key') }
    const resumed = await greeted(await directly(resumable))
    expect([resumed.resumed, resumed.isRefused]).toEqual([true, true])
    const refused = await tool('psql', ['-XAtc', 'select 1'], old)
    expect([refused.status, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/FATAL: {2}The certificate was refused\nHINT: {2}.*curfew login/),
    ])
    const reasons = (await audited('certificate.refused')).map(({ reason }) => reason)
    expect(reasons).toContain('of a token that was revoked')
    expect((await curfew('psql', 'prod-db')).stderr).toContain('curfew login')
  })
})

async function directly(how: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({
    port: gateway.postgresPort,
    servername: 'localhost',
    ca: gateway.ca,
    ALPNProtocols: ['postgresql'],
    ...how,
  })
  await once(socket, 'secureConnect')
  return socket
}

/** What the gateway says to a startup message: BackendKeyData and all, or that somebody shall sign in. */
async function greeted(socket: TLSSocket) {
  let session = socket.getSession()
  const resumed = socket.isSessionReused()
  socket.on('session', (newer) => (session = newer))
  const parameters = Buffer.from('user\0readonly\0database\0prod-db\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + parameters.length)
  head.writeInt32BE(0x0003_0000, 4)
  socket.write(Buffer.concat([head, parameters]))
  let heard = ''
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    heard += bytes.toString('latin1')
    if (/server_version|\/s\/|FATAL/.test(heard)) break
  }
  socket.destroy()
  return {
    isIn: heard.includes('server_version'),
    isRefused: heard.includes('certificate was refused'),
    resumed,
    session,
  }
}
