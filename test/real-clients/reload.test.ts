// Goal: a changed file holds at once, for whoever comes and for whoever is in; what it does not concern goes on; and a file
// that cannot be taken over whole changes nothing. Method: real psql, curl and TLS clients at a real gateway, which is
// given its file again, changed.
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { parse, stringify } from 'yaml'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { issue, makeAuthority } from '../../scripts/certificates.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Program } from '../clients/program.ts'
import { thisMachine } from '../clients/visitor.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { startHttpTarget, type HttpTarget } from '../servers/http-target.ts'
import type { ConfigInput, Login } from '../servers/gateway.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let other: HttpTarget
let original: string

beforeAll(async () => {
  other = stack.use(await startHttpTarget())
  gateway = stack.use(await startHttpTestGateway())
  original = await readFile(gateway.configFile, 'utf8')
}, 60_000)
beforeEach(async () => {
  const { kind } = await reload(() => undefined)
  expect(kind).toBe('taken')
})
afterAll(() => stack.disposeAsync())

/** The file as it was at first, changed in one way. */
async function reload(change: (input: ConfigInput) => void) {
  const input = parse(original) as ConfigInput
  change(input)
  await writeFile(gateway.configFile, stringify(input))
  return gateway.gateway.reload(await loadConfig(gateway.configFile, {}))
}

const policy = (input: ConfigInput, name: string) => input.policies.find((one) => one.name === name)!
const freeze = { name: 'stop', from: '2026-01-01', to: '2099-01-01', zone: 'UTC', message: 'Inventory day.' }

/** A psql that waits for what is typed, and has answered. */
async function session(login: Login, role: 'reporting' | 'readonly'): Promise<Program> {
  await gateway.grant(login, role)
  const psql = gateway.psql({ user: `${role}.token`, password: await gateway.token(login) })
  psql.send(`select 'in as ' || '${role}';`)
  await psql.until(new RegExp(`in as ${role}`))
  return psql
}

async function goesOn(psql: Program): Promise<void> {
  psql.send(`select 'goes ' || 'on';`)
  await psql.until(/goes on/)
}

test('a live session ends when no policy allows it any more; others go on', async () => {
  await using gone = await session('alice', 'reporting')
  await using stays = await session('dave', 'readonly')
  const reloaded = await reload((input) => {
    input.policies = input.policies.filter(({ name }) => name !== 'reporting')
    policy(input, 'admin').approval = { people: 1, from: ['approvers'] }
  })
  expect(reloaded).toMatchObject({ kind: 'taken', rules: { added: [], removed: ['reporting'], changed: ['admin'] } })
  await isOver(gone, /FATAL: {2}Your groups no longer allow prod-db as reporting/)
  await goesOn(stays)
  // What is there now is what is offered, and approved.
  const offered = gateway.gateway.access.offers(await gateway.person('alice')).map(({ role }) => role.name)
  expect(offered).toContain('admin')
  expect(offered).not.toContain('reporting')
  await gateway.gateway.access.ask(await gateway.person('dave'), {
    ...{
      resource: 'prod-db',
      role: 'admin',
      lengthMs: 60_000,
      reason: 'x',
      ticket: null,
      startsAt: null,
      origin: 'test',
    },
  })
  const events = (await gateway.gateway.state.audit.events(0, 1000)).map(({ json }) => JSON.parse(json) as object)
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'gateway.reloaded',
      data: expect.objectContaining({ rulesRemoved: ['reporting'], rulesChanged: ['admin'], resourcesAdded: [] }),
    }),
  )
})

test('a role that is gone takes its live sessions along, and is there again when it is', async () => {
  await using psql = await session('alice', 'reporting')
  await reload((input) => {
    const { reporting: spare, ...others } = input.resources['prod-db']!.roles
    input.resources['prod-db']!.roles = { ...others, spare } as never
    const wider = { ...policy(input, 'reporting'), what: { resources: ['prod-db'] } }
    input.policies = [...input.policies.filter(({ name }) => name !== 'reporting'), wider]
  })
  await isOver(psql, /FATAL: {2}There is no prod-db as reporting any more/)
  const password = await gateway.token('alice')
  await using refused = gateway.psql({ user: 'reporting.token', password, commands: ['select 1'] })
  expect((await refused.exited()).stderr).toMatch(/There is no role "reporting"/)
  await reload(() => undefined)
  await using back = gateway.psql({ user: 'reporting.token', password, commands: ['select 1'] })
  expect(await back.exited()).toMatchObject({ status: 0, stdout: '1\n' })
})

test('a freeze ends live sessions at once; without it they come in again', async () => {
  await using psql = await session('alice', 'reporting')
  await reload((input) => (input.freezes = [{ ...freeze, what: { resources: ['prod-db'] } }]))
  await isOver(psql, /FATAL: {2}.*Inventory day/)
  await reload(() => undefined)
  await using again = await session('alice', 'reporting')
  await goesOn(again)
})

test('a resource that is added can be reached, with the settings of its roles', async () => {
  await gateway.person('alice')
  const reloaded = await reload((input) => {
    input.resources['copy-db'] = structuredClone(input.resources['prod-db']!)
    policy(input, 'reporting').what = { roles: ['reporting'] }
  })
  expect(reloaded).toMatchObject({ resources: { added: ['copy-db'], removed: [] } })
  const wish = { resource: 'copy-db', role: 'reporting', lengthMs: 60_000, reason: '', ticket: null, startsAt: null }
  await gateway.gateway.access.ask(await gateway.person('alice'), { ...wish, origin: 'test' })
  await using psql = gateway.psql({
    ...{ user: 'reporting.token', database: 'copy-db', password: await gateway.token('alice') },
    commands: ['select current_user'],
  })
  expect(await psql.exited()).toMatchObject({ status: 0, stdout: 'shop_reporting\n' })
})

test('an application that moved: what is under way ends whole, the next request goes to the new place', async () => {
  await gateway.httpGrant('alice', 'open')
  await using alice = await gateway.enter('alice', 'open')
  const slow = gateway.curl('/drip?bytes=40&everyMs=50', alice.curl)
  await vi.waitFor(() =>
    expect(gateway.target.seen.some(({ url, state }) => /drip/.test(url) && state === 'open')).toBe(true),
  )
  const reloaded = await reload((input) => {
    Object.assign(input.resources['app']!, { urls: undefined, url: other.address })
    input.resources['wiki'] = { ...structuredClone(input.resources['app']!), url: gateway.target.address } as never
  })
  expect(reloaded).toMatchObject({ resources: { added: ['wiki'], changed: ['app'] } })
  expect((await gateway.curl('/status/204', alice.curl)).status).toBe(204)
  expect(other.seen.map(({ url }) => url)).toContain('/status/204')
  expect(gateway.target.seen.map(({ url }) => url)).not.toContain('/status/204')
  expect(await slow).toMatchObject({ status: 200 })
  expect(gateway.target.seen.find(({ url }) => /drip/.test(url))?.state).toBe('answered')
  await vi.waitFor(async () => {
    const left = await gateway.gateway.state.sessions.sessions({ live: true, limit: 10 })
    expect(left.filter(({ session: { resource } }) => resource === 'app')).toHaveLength(1)
  })
  // Nobody is on the way to the old place any more: its connections are not kept until they are old.
  await gateway.target.until(({ connections }) => connections === 0, 3000)
  const [ended] = await gateway.gateway.state.audit.search({ types: ['session.ended'], limit: 1 })
  expect(JSON.parse(ended!.json)).toMatchObject({
    data: { by: 'gate', code: 'POLICY_CHANGED', message: expect.stringContaining('was configured anew') },
  })
  // A host that is new has its application; one whose application is gone is nobody's.
  const wiki = gateway.appUrl('/', 'wiki')
  const words = ['-k', '-H', 'accept: text/html', '--resolve', `${wiki.host}:127.0.0.1`]
  expect((await gateway.curl(wiki, words)).headers['location']?.[0]).toContain('/open/wiki')
  await reload(() => undefined)
  expect((await gateway.curl(wiki, words)).headers['location']).toBeUndefined()
})

test('an origin that is taken away is refused on connections that were open before, too', async () => {
  await gateway.httpGrant('alice', 'open')
  const headers = { ...(await gateway.bearer('alice', 'open')), origin: 'https://partner.example' }
  const agents = [1, 2].map(() => new Agent({ keepAlive: true, maxSockets: 1, ca: gateway.ca }))
  const allowed = async (agent: Agent) => {
    const asked = request(gateway.appUrl('/hello'), { agent, headers, lookup: thisMachine }).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    answer.resume()
    await once(answer, 'end')
    return answer.headers['access-control-allow-origin']
  }
  await reload((input) => Object.assign(input.resources['app']!, { cors: { origins: ['https://partner.example'] } }))
  for (let count = 0; count < 3; count++) expect(await allowed(agents[0]!)).toBe('https://partner.example')
  await reload(() => undefined)
  // This one opens the session of now; the other finds it there.
  expect(await allowed(agents[1]!)).toBeUndefined()
  for (let count = 0; count < 3; count++) expect(await allowed(agents[0]!)).toBeUndefined()
  for (const agent of agents) agent.destroy()
})

/** psql reads what was said when it is given the next command. */
async function isOver(psql: Program, words: RegExp): Promise<void> {
  psql.send('select 1;')
  await psql.until(words)
}

/** The serial number that a TLS client is shown. */
async function shownAt(port: number, alpn: readonly string[], servername = 'localhost'): Promise<string> {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: [...alpn],
  })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

test('renewed certificates are shown to whoever connects, and nobody is disturbed', async () => {
  await using psql = await session('alice', 'reporting')
  const [certificate, key] = [join(gateway.folder, 'server.pem'), join(gateway.folder, 'secrets/server.key')]
  const [oldCertificate, oldKey] = [await readFile(certificate), await readFile(key)]
  const both = async () => [
    await shownAt(Number(gateway.url.port), ['http/1.1']),
    await shownAt(gateway.postgresPort, ['postgresql']),
  ]
  const before = await both()
  const renewed = await issue(await makeAuthority('Another authority'), { names: ['localhost', '127.0.0.1'] })
  await writeFile(certificate, renewed.certificate)
  await writeFile(key, renewed.key)
  expect((await reload(() => undefined)).kind).toBe('taken')
  const after = await both()
  expect(before[0]).toBe(before[1])
  expect(after[0]).toBe(after[1])
  expect(after[0]).not.toBe(before[0])
  await goesOn(psql)
  await writeFile(certificate, oldCertificate)
  await writeFile(key, oldKey)
  await reload(() => undefined)
  expect(await both()).toEqual(before)
})

test.each<[string, (input: ConfigInput) => void, string]>([
  ['a port', (input) => (input.listen.ops = { port: 1 }), 'listen.ops.port'],
  ['staff', (input) => (input.staff = { reviewers: ['security'], operators: ['others'] }), 'staff.operators.0'],
  [
    'a claim that nobody is asked for',
    (input) => (policy(input, 'admin').who = { claims: { team: ['red'] } }),
    'policies (sign-ins do not keep the claim "team" yet)',
  ],
])('%s needs a restart: nothing of the file is taken over', async (_, change, place) => {
  await using psql = await session('alice', 'reporting')
  const reloaded = await reload((input) => {
    change(input)
    input.policies = input.policies.filter(({ name }) => name !== 'reporting')
  })
  expect(reloaded).toEqual({ kind: 'needs-restart', places: [place] })
  await goesOn(psql)
  const offered = gateway.gateway.access.offers(await gateway.person('alice')).map(({ role }) => role.name)
  expect(offered).toContain('reporting')
  const [last] = (await gateway.gateway.state.audit.events(0, 5000)).slice(-1)
  expect(JSON.parse(last!.json)).toMatchObject({ type: 'gateway.reload-refused', data: { places: [place] } })
})
