// Goal: psql 18 signs in by itself, at the same provider as browsers, and is cut off like everybody else.
// Method: the real psql 18 (its device flow), the real gateway, a real provider and a real PostgreSQL.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuditEvent, AuditType } from '../../src/audit/event.ts'
import { hasNewerPsql, startNewerPsql } from '../clients/newer-psql.ts'
import type { Program } from '../clients/program.ts'
import { startPsql, type PsqlOptions } from '../clients/psql.ts'
import { Visitor } from '../clients/visitor.ts'
import { startTestGateway, type Login, type TestGateway } from '../servers/gateway.ts'

const device = { clientId: 'curfew-psql', audience: 'https://curfew.test', scopes: ['openid', 'sessions'] } as const
const stack = new AsyncDisposableStack()
let gateway: TestGateway

beforeAll(async () => {
  gateway = stack.use(await startTestGateway({ device }))
  await gateway.grant('alice', 'readonly')
  await gateway.visitor('olga')
})
afterAll(() => stack.disposeAsync())

const at = () => ({
  ...{ port: gateway.postgresPort, database: 'prod-db', user: 'readonly.oauth', caFile: gateway.caFile },
  waitMsMax: 30_000,
})

function psql(options: Partial<PsqlOptions> = {}): Program {
  const oauth = { issuer: gateway.provider.issuer, clientId: device.clientId }
  return startNewerPsql({ ...at(), oauth, args: ['-v', 'ON_ERROR_STOP=1'], ...options })
}

/** What a person does with what psql prints. */
async function answer(program: Program, login: Login, browser?: Visitor): Promise<void> {
  const [, link = '', code = ''] = await program.until(/Visit (\S+) and enter the code: (\S+)/)
  browser ??= await gateway.visitor(login)
  const form = await (await browser.get(new URL(link))).text()
  const fields = { xsrf: /name="xsrf" value="([^"]+)"/.exec(form)?.[1] ?? '', user_code: code }
  await (await browser.post(new URL(link), fields)).text()
  const confirmed = await browser.post(new URL(link), { ...fields, confirm: 'yes' })
  await browser.open(new URL(confirmed.headers.get('location') ?? '', link), login)
}

/** In a session that lasts until somebody ends it. */
async function inSession(): Promise<Program> {
  const program = psql()
  await answer(program, 'alice')
  program.send("select 'I am ' || 'in';")
  await program.until(/I am in/)
  return program
}

async function audited(type: AuditType): Promise<AuditEvent[]> {
  const found = await gateway.gateway.state.audit.search({ types: [type], limit: 100 })
  return found.map(({ json }) => JSON.parse(json) as AuditEvent)
}

describe.skipIf(!hasNewerPsql)('psql 18', () => {
  test('prints where to sign in, and is in', async () => {
    await using program = psql({ commands: ['select current_user'] })
    await answer(program, 'alice')
    expect(await program.exited()).toMatchObject({ status: 0, stdout: 'shop_readonly\n' })
    const [signedIn] = (await audited('person.signed-in')).filter(({ data }) => data['way'] === 'oauth')
    expect(signedIn?.data).toMatchObject({ address: '127.0.0.1', groups: ['engineering'] })
    const [session] = await audited('session.started')
    expect(session?.data).toMatchObject({ role: 'readonly', credential: signedIn?.data['browserSession'] as string })
    // Asking where to sign in is no failure.
    expect(await audited('person.sign-in-refused')).toEqual([])
  })

  test('takes no other way when it is told so, and none by a listener that offers another', async () => {
    await using program = psql({ commands: ['select 1'], user: 'readonly', env: { PGREQUIREAUTH: 'oauth' } })
    expect(await program.exited()).toMatchObject({ status: 2, stderr: expect.stringMatching(/requirement/) as string })
    await using strict = psql({ commands: ['select 1'], env: { PGREQUIREAUTH: 'oauth' } })
    await answer(strict, 'alice')
    expect(await strict.exited()).toMatchObject({ status: 0, stdout: '1\n' })
  })

  test('the line to type is on the page "My access"', async () => {
    const page = await (await (await gateway.visitor('alice')).get(gateway.url)).text()
    const { issuer } = gateway.provider
    expect(page).toMatch(new RegExp(`user=readonly.oauth .* oauth_issuer=${issuer.origin} oauth_client_id=curfew-psql`))
  })

  test('without an issuer it says what it lacks', async () => {
    await using program = startNewerPsql({ ...at(), commands: ['select 1'] })
    expect((await program.exited()).stderr).toMatch(/oauth_issuer/)
  })

  test('speaks protocol 3.2 over direct TLS, and cancels by its longer key', async () => {
    const env = { PGMINPROTOCOLVERSION: '3.2', PGMAXPROTOCOLVERSION: 'latest', PGSSLNEGOTIATION: 'direct' }
    const password = await gateway.token('alice')
    await using program = psql({ user: 'readonly.token', password, env })
    program.send("select 'I am ' || 'in'; select pg_sleep(60);")
    await program.until(/I am in/)
    await gateway.postgres.untilRunning('pg_sleep', 1)
    program.kill('SIGINT')
    expect((await program.exited()).stderr).toContain('canceling statement due to user request')
  })

  test('its sign-in is on the page, and ending it ends the session', async () => {
    await using program = await inSession()
    const alice = await gateway.person('alice')
    const own = await gateway.gateway.identity.own.list(alice.id)
    const [live] = await gateway.gateway.state.sessions.sessions({ live: true, limit: 10 })
    const signIn = own.browserSessions.find(({ id }) => id === live?.session.credential)
    expect(signIn).toMatchObject({ userAgent: 'psql (OAuth)', idToken: null })
    const page = await (await (await gateway.visitor('alice')).get(new URL('/sign-ins', gateway.url))).text()
    expect(page).toContain('psql (OAuth)')
    program.send('select pg_sleep(60);')
    await gateway.gateway.identity.own.revoke(alice, signIn!.id)
    expect((await program.exited()).stderr).toMatch(/FATAL: {2}.*sign/i)
  })

  test('a sign-out at the provider ends the session', async () => {
    await using program = await inSession()
    program.send('select pg_sleep(60);')
    await gateway.provider.signOutEverywhere('alice')
    expect((await program.exited()).stderr).toMatch(/FATAL: {2}.*sign/i)
  })

  test('who is locked signs in, and gets no further', async () => {
    const alice = await gateway.person('alice')
    const operator = await gateway.person('olga')
    const { access } = gateway.gateway
    const lock = await access.placeLock(operator, { person: alice.id, resource: null, role: null }, 'a test')
    await using program = psql({ commands: ['select 1'] })
    await answer(program, 'alice')
    expect(await program.exited()).toMatchObject({ status: 2, stderr: expect.stringMatching(/lock/i) as string })
    await access.liftLock(operator, lock.id)
  })

  test('who has never signed in with a browser reads where to', async () => {
    await using program = psql({ commands: ['select 1'] })
    await using browser = new Visitor(gateway.ca)
    await answer(program, 'dave', browser)
    expect((await program.exited()).stderr).toContain(`Sign in once at ${gateway.url.href}`)
  })
})

test('an older psql does not know the mechanism, and says so', async () => {
  await using program = startPsql({ ...at(), commands: ['select 1'] })
  expect(await program.exited()).toMatchObject({ status: 2, stderr: expect.stringMatching(/SASL/) as string })
})
