// Goal: a CI job without any secret of ours reaches PostgreSQL and web pages' API as a machine, under the policies, and is gone
// the moment somebody locks it. Method: the real gateway and a real issuer of tokens over HTTP, plain curl-like calls and psql.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Agent, fetch, type RequestInit } from 'undici'
import { machineId } from '../../src/identity/machine.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { gatewayAudience, startMachineIssuer, type MachineIssuerServer } from '../servers/machine-issuer.ts'

const tokenType = 'urn:ietf:params:oauth:token-type:'
const shop = { repository: 'org/shop', ref: 'refs/heads/main' }

let issuer: MachineIssuerServer
let gateway: TestGateway
let agent: Agent
beforeAll(async () => {
  issuer = await startMachineIssuer()
  gateway = await startTestGateway({
    configure: (config) => {
      config.machineIssuers = { ci: { issuer: issuer.issuer, audience: gatewayAudience } }
      config.machines = {
        'ci-deploy': { issuer: 'ci', claims: shop, groups: ['approvers'] },
        'ci-test': {
          ...{ issuer: 'ci', claims: { repository: 'org/test' }, groups: ['engineering'] },
          askedForBy: { groups: ['engineering', 'approvers'] },
        },
      }
      config.policies = [
        ...config.policies,
        {
          ...{ name: 'migrations', who: { machines: ['ci-deploy'] }, what: { roles: ['admin'] } },
          ...{
            if: 'person.kind == "machine"',
            reason: 'optional',
            approval: 'none',
            for: { most: '15m', default: '5m' },
          },
        },
      ]
    },
  })
  agent = new Agent({ connect: { ca: gateway.ca } })
}, 60_000)
afterAll(async () => {
  await agent.close()
  await gateway[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

type Form = Readonly<Record<string, string>> | readonly (readonly [string, string])[]

const asked = (subjectToken: string): Record<string, string> => ({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token: subjectToken,
  subject_token_type: `${tokenType}jwt`,
})

async function call(path: string, init: RequestInit) {
  const response = await fetch(new URL(path, gateway.url), { ...init, dispatcher: agent })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
}

function exchange(form: Form, headers: Record<string, string> = {}) {
  const body = new URLSearchParams(
    Array.isArray(form) ? form.map(([name, value]) => [name, value]) : (form as Record<string, string>),
  )
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  return call('/oauth/token', { method: 'POST', body: body.toString(), headers: { ...type, ...headers } })
}

async function tokenOf(claims: object = shop): Promise<string> {
  const { status, body } = await exchange(asked(await issuer.sign({ ...claims })))
  expect(status).toBe(200)
  return body.access_token as string
}

function api(token: string, method: string, path: string, body?: object) {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
  return call(`/api/v1${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
}

test('a token is answered as RFC 8693 says', async () => {
  const { status, headers, body } = await exchange({
    ...asked(await issuer.sign(shop)),
    subject_token_type: `${tokenType}id_token`,
    requested_token_type: `${tokenType}access_token`,
    audience: gateway.url.origin,
    scope: 'sessions requests:write',
  })
  expect([status, headers.get('content-type'), headers.get('cache-control')]).toEqual([
    200,
    'application/json',
    'no-store',
  ])
  expect(body).toEqual({
    access_token: expect.stringMatching(/^curfew_[\w-]{43}$/),
    issued_token_type: `${tokenType}access_token`,
    token_type: 'Bearer',
    expires_in: expect.toSatisfy((seconds: number) => seconds > 290 && seconds <= 300),
    scope: 'sessions requests:write',
  })
})

const good = () => issuer.sign(shop)
const changed = async (over: Readonly<Record<string, string>>) => ({ ...asked(await good()), ...over })

test.for<readonly [string, () => Promise<Form>, number, string]>([
  ['another grant', () => changed({ grant_type: 'client_credentials' }), 400, 'unsupported_grant_type'],
  ['no grant', () => changed({ grant_type: '' }), 400, 'invalid_request'],
  ['no token', () => changed({ subject_token: '' }), 400, 'invalid_request'],
  ['another type of token', () => changed({ subject_token_type: `${tokenType}saml2` }), 400, 'invalid_request'],
  [
    'an access token of ours',
    () => changed({ subject_token_type: `${tokenType}access_token` }),
    400,
    'invalid_request',
  ],
  [
    'a refresh token wanted',
    () => changed({ requested_token_type: `${tokenType}refresh_token` }),
    400,
    'invalid_request',
  ],
  ['somebody who acts for it', () => changed({ actor_token: 'x' }), 400, 'invalid_request'],
  ['another audience', () => changed({ audience: 'https://elsewhere.example' }), 400, 'invalid_target'],
  ['another resource', () => changed({ resource: 'https://elsewhere.example' }), 400, 'invalid_target'],
  ['an unknown scope', () => changed({ scope: 'everything' }), 400, 'invalid_scope'],
  ['a scope for people', () => changed({ scope: 'decide' }), 400, 'invalid_scope'],
  [
    'a parameter twice',
    async () => [...Object.entries(asked(await good())), ['machine', 'a'], ['machine', 'b']],
    400,
    'invalid_request',
  ],
  ['a machine that it is not', () => changed({ machine: 'ci-test' }), 400, 'invalid_request'],
  ['a forged token', () => changed({ subject_token: 'a.b.c' }), 400, 'invalid_request'],
  ['too much', () => changed({ subject_token: 'x'.repeat(70_000) }), 413, 'invalid_request'],
])('%s is refused', async ([, form, status, error]) => {
  const answer = await exchange(await form())
  expect([answer.status, answer.body.error]).toEqual([status, error])
  expect(answer.body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]{10,}$/)
  expect(answer.headers.get('cache-control')).toBe('no-store')
})

test('only a form is taken, and no page elsewhere sends it', async () => {
  const json = await exchange(asked(await good()), { 'content-type': 'application/json' })
  expect([json.status, json.body.error]).toEqual([400, 'invalid_request'])
  const foreign = await exchange(asked(await good()), { origin: 'https://evil.example', accept: 'application/json' })
  expect([foreign.status, foreign.body.code]).toEqual([403, 'ORIGIN_REFUSED'])
})

test('a job asks for itself, works in psql, and is gone when somebody locks it', async () => {
  const token = await tokenOf()
  expect((await api(token, 'GET', '/me')).body).toMatchObject({
    person: { id: machineId('ci-deploy'), kind: 'machine', displayName: 'ci-deploy', email: null },
    ...{ reviewer: false, operator: false, token: { label: 'ci: repo:org/shop' } },
  })
  const wish = { resource: 'prod-db', role: 'admin' }
  const request = await api(token, 'POST', '/requests', wish)
  expect([request.status, request.body]).toMatchObject([
    201,
    { state: 'approved', policy: 'migrations', person: { displayName: 'ci-deploy' }, grant: { state: 'active' } },
  ])
  await using psql = gateway.psql({ user: 'admin.token', password: token })
  psql.send('select 40 + 2;\n')
  await psql.until(/42/)
  psql.send('select pg_sleep(60);\n')
  await gateway.postgres.untilRunning('pg_sleep', 1)

  const operator = await cliToken('olga')
  const lock = await api(operator, 'POST', '/locks', { machine: 'ci-deploy', reason: 'a leaked pipeline' })
  expect([lock.status, lock.body]).toMatchObject([201, { machine: 'ci-deploy', person: null }])
  await psql.until(/Access is locked: a leaked pipeline/)
  await gateway.postgres.untilRunning('pg_sleep', 0)
  expect((await api(token, 'POST', '/requests', { ...wish, reason: 'again' })).body).toMatchObject({ code: 'LOCKED' })
  await using again = gateway.psql({ user: 'admin.token', password: token, commands: ['select 1'] })
  expect((await again.exited()).stderr).toContain('Access is locked')
  expect((await api(operator, 'DELETE', `/locks/${lock.body.id}`)).status).toBe(204)
})

test('a lock by name stands before the machine ever came, and an unknown name is refused', async () => {
  const operator = await cliToken('olga')
  const place = (body: object) => api(operator, 'POST', '/locks', { reason: 'not yet', ...body })
  const lock = await place({ machine: 'ci-test' })
  const token = await tokenOf({ repository: 'org/test' })
  const refused = await api(token, 'POST', '/requests', { resource: 'prod-db', role: 'reporting' })
  expect(refused.body).toMatchObject({ code: 'LOCKED', detail: 'Access is locked: not yet' })
  await api(operator, 'DELETE', `/locks/${lock.body.id}`)
  expect((await api(token, 'POST', '/requests', { resource: 'prod-db', role: 'reporting' })).status).toBe(201)
  expect((await place({ machine: 'ci-tset' })).body).toMatchObject({
    code: 'INPUT_INVALID',
    hint: 'Did you mean "ci-test"?',
  })
  expect((await place({ machine: 'ci-test', person: 'olga@shop.example' })).body).toMatchObject({
    code: 'INPUT_INVALID',
  })
})

test('people ask for it by page and API, and it uses what they got', async () => {
  const alice = await gateway.visitor('alice')
  const list = await (await alice.get(page('/ask'))).text()
  expect(list).toContain('For the machine ci-test')
  expect(list).not.toContain('For the machine ci-deploy')
  const form = await (await alice.get(page('/ask?resource=prod-db&role=readonly&onBehalfOf=ci-test'))).text()
  expect(form).toMatch(/<option value="">me<\/option>\s*<option value="ci-test" {2}selected>the machine ci-test/)
  expect(
    (await (await gateway.visitor('olga')).get(page('/ask?resource=prod-db&role=readonly&onBehalfOf=ci-test'))).status,
  ).toBe(403)
  const wish = { resource: 'prod-db', role: 'readonly', for: '5m', reason: 'tonight', onBehalfOf: 'ci-test' }
  const asked = await alice.post(page('/ask'), wish)
  expect([asked.status, asked.headers.get('location')]).toEqual([303, expect.stringMatching(/^\/requests\/request-/)])
  const own = page(asked.headers.get('location')!)
  expect(await (await alice.get(own)).text()).toContain('For the machine ci-test, asked for by you.')
  expect(await (await alice.get(page('/'))).text()).toContain('Asked for machines')
  const machine = (await gateway.gateway.identity.machines.byName('ci-test'))!
  const [filed] = await gateway.gateway.access.requestsAskedBy(await gateway.person('alice'), 1)
  expect(filed).toMatchObject({ person: machine.id, state: 'requested', role: 'readonly' })

  const bob = await cliToken('bob')
  const also = { resource: 'prod-db', role: 'readonly', reason: 'also', onBehalfOf: 'ci-test' }
  const other = await api(bob, 'POST', '/requests', also)
  expect([other.status, other.body]).toMatchObject([
    201,
    { person: { displayName: 'ci-test' }, askedBy: { displayName: 'bob@shop.example' }, state: 'requested' },
  ])
  expect((await api(bob, 'GET', '/requests')).body.own).toMatchObject([{ id: other.body.id }])
  expect((await api(bob, 'POST', `/requests/${other.body.id}/approve`)).body).toMatchObject({ code: 'SELF_APPROVAL' })
  expect((await api(bob, 'POST', `/requests/${filed!.id}/approve`)).body).toMatchObject({ state: 'approved' })
  expect((await api(bob, 'POST', '/requests', { ...also, onBehalfOf: 'ci-deploy' })).body).toMatchObject({
    code: 'NOT_ALLOWED',
  })

  expect(await (await alice.get(own)).text()).toContain('The machine may use it until')
  const password = await tokenOf({ repository: 'org/test' })
  await using psql = gateway.psql({ user: 'readonly.token', password, commands: ['select 40 + 2'] })
  expect(await psql.exited()).toMatchObject({ status: 0, stdout: '42\n' })
})

test('psql asks by itself, where the policy needs nobody', async () => {
  const password = await tokenOf({ repository: 'org/test' })
  const grant = async () => gateway.gateway.access.livingGrants(machineId('ci-test'))
  for (const { id, role } of await grant()) {
    if (role === 'reporting')
      await gateway.gateway.access.handBack((await gateway.gateway.identity.machines.byName('ci-test'))!, id)
  }
  const options = '-c curfew.for=5m -c curfew.reason=nightly'
  await using psql = gateway.psql({ user: 'reporting.token', password, options, commands: ['select 40 + 2'] })
  expect(await psql.exited()).toMatchObject({ status: 0, stdout: '42\n' })
})

const page = (path: string) => new URL(path, gateway.url)

async function cliToken(login: 'bob' | 'olga'): Promise<string> {
  const wish = { label: 'CLI', kind: 'cli', lengthMs: 60_000 } as const
  return (await gateway.gateway.identity.tokens.make(await gateway.person(login), wish)).text
}

test('the page of locks has machines by name', async () => {
  const olga = await gateway.visitor('olga')
  expect(await (await olga.get(page('/locks'))).text()).toContain('<option value="ci-deploy"')
  await olga.post(page('/locks'), { machine: 'ci-deploy', reason: 'by the page' })
  const [lock] = await gateway.gateway.access.locks()
  expect(lock).toMatchObject({ scope: { person: machineId('ci-deploy') }, reason: 'by the page' })
  expect(await (await olga.get(page('/locks'))).text()).toContain('machine ci-deploy')
  await olga.post(page(`/locks/${lock!.id}/lift`), {})
  expect(await gateway.gateway.access.locks()).toEqual([])
})

test('a machine decides nothing, has no duties, makes no tokens and sees only its own', async () => {
  const token = await tokenOf()
  const alice = await gateway.person('alice')
  const wish = { resource: 'prod-db', role: 'readonly', lengthMs: 60_000, reason: 'why', ticket: null, startsAt: null }
  const { id } = await gateway.gateway.access.ask(alice, { ...wish, origin: 'test' })
  const machine = (await gateway.gateway.identity.machines.byName('ci-deploy'))!
  expect(machine.groups).toEqual(['approvers'])
  await expect(gateway.gateway.access.decide(machine, id, 'approve', '')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  expect(gateway.gateway.access.isOperator({ ...machine, groups: ['operations'] })).toBe(false)
  expect(gateway.gateway.access.isReviewer({ ...machine, groups: ['security'] })).toBe(false)
  await expect(gateway.gateway.access.view({ ...machine, groups: ['security'] }, id)).rejects.toMatchObject({
    code: 'REQUEST_UNKNOWN',
  })
  const cut = gateway.gateway.access.revoke(
    { ...machine, groups: ['operations'] },
    (await gateway.grant('alice', 'readonly')).id,
    '',
  )
  await expect(cut).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  for (const [method, path, body] of [
    ['POST', `/requests/${id}/approve`, {}],
    ['POST', '/tokens', { label: 'for ever' }],
    ['POST', '/locks', { role: 'admin', reason: 'x' }],
    ['GET', '/audit', undefined],
  ] as const) {
    expect((await api(token, method, path, body)).status).toBe(403)
  }
  expect((await api(token, 'GET', `/requests/${id}`)).status).toBe(404)
})

test('people have no token to exchange, and machines no browser', async () => {
  const own = await gateway.token('alice')
  expect((await exchange(asked(own))).body.error).toBe('invalid_request')
  const machine = (await gateway.gateway.identity.machines.byName('ci-deploy'))!
  const { state } = gateway.gateway
  expect(await state.identity.browserSessionsOf(machine.id)).toEqual([])
  expect(await state.identity.personBySubject(gateway.provider.issuer.origin, 'ci-deploy')).toBeUndefined()
})

test('one address cannot ask without end', async () => {
  const answers = await Promise.all(Array.from({ length: 160 }, () => exchange({ grant_type: 'x' })))
  const limited = answers.filter(({ status }) => status === 429)
  expect(limited.length).toBeGreaterThan(10)
  expect(limited[0]).toMatchObject({ body: { error: 'temporarily_unavailable' } })
  expect(limited[0]!.headers.get('retry-after')).toBe('30')
})
