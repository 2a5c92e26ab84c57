// Goal: programs ask, decide, end and lock over the API exactly as people do on the pages, and the OpenAPI document says
// what there is. Method: the real web application over HTTPS, with real rooms behind it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Person } from '../../src/identity/person.ts'
import { apiCalls } from '../../src/web/openapi.ts'
import { startPages, type Pages } from './harness.ts'

let pages: Pages
type Api = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => ReturnType<typeof call>
const people = {} as Record<'erin' | 'ada' | 'olga', { readonly person: Person; readonly api: Api }>

beforeAll(async () => {
  pages = await startPages()
  for (const login of ['erin', 'ada', 'olga'] as const) {
    const { person } = await pages.signIn(login)
    const wish = { label: `CLI of ${login}`, kind: 'cli', lengthMs: 3_600_000 } as const
    const { text } = await pages.identity.tokens.make(person, wish)
    const api: Api = (method, path, body, headers) => call(text, method, path, body, headers)
    people[login] = { person, api }
  }
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

function call(token: string, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const bearer = { ...headers, authorization: `Bearer ${token}` }
  return pages.stranger().json(method, `/api/v1${path}`, body, bearer)
}

const wish = { resource: 'prod-db', role: 'readonly', lengthMs: 60_000, reason: 'INC-4821', ticket: 'INC-4821' }

test('a request is filed, decided, used, handed back and revoked', async () => {
  const { erin, ada } = people
  const asked = await erin.api('POST', '/requests', wish)
  expect([asked.status, asked.body]).toEqual([
    201,
    expect.objectContaining({
      ...wish,
      ...{ state: 'requested', missing: 1, grant: null, origin: expect.stringContaining('CLI of erin at 127.0.0.1') },
      person: { id: erin.person.id, displayName: 'erin@example.test' },
    }),
  ])
  const id = asked.body.id as string
  expect((await ada.api('GET', '/requests')).body.toDecide).toMatchObject([{ id }])
  expect(await erin.api('POST', `/requests/${id}/approve`)).toMatchObject({
    status: 403,
    body: { code: 'SELF_APPROVAL' },
  })
  const approved = await ada.api('POST', `/requests/${id}/approve`, { comment: 'go ahead' })
  expect(approved.body).toMatchObject({ state: 'approved', grant: { state: 'active' } })
  expect(approved.body.decisions).toMatchObject([{ verdict: 'approve', comment: 'go ahead' }])
  const again = await ada.api('POST', `/requests/${id}/deny`)
  expect([again.status, again.headers.get('content-type')]).toEqual([409, 'application/problem+json'])

  const admission = await pages.openSession(erin.person, 'prod-db', 'readonly')
  expect((await erin.api('GET', '/sessions')).body.sessions).toMatchObject([{ id: admission.session.id }])
  expect((await erin.api('GET', '/sessions?all=true')).status).toBe(403)
  expect((await people.olga.api('GET', '/sessions?all=true')).body.sessions).toHaveLength(1)
  expect((await ada.api('POST', `/sessions/${admission.session.id}/end`)).status).toBe(403)
  expect((await people.olga.api('POST', `/sessions/${admission.session.id}/end`, { comment: 'drill' })).status).toBe(
    204,
  )
  await expect.poll(() => admission.cutOff.reason).toMatchObject({ code: 'KILLED' })
  await admission.end({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0 })

  const [grant] = (await erin.api('GET', '/grants')).body.grants
  expect(await ada.api('POST', `/grants/${grant.id}/end`)).toMatchObject({ status: 404 })
  expect((await erin.api('POST', `/grants/${grant.id}/end`)).status).toBe(204)
  expect((await erin.api('GET', '/grants')).body.grants).toEqual([])

  const other = (await erin.api('POST', '/requests', wish)).body
  const given = (await ada.api('POST', `/requests/${other.id}/approve`)).body.grant
  expect((await erin.api('POST', `/grants/${given.id}/revoke`)).status).toBe(403)
  expect((await ada.api('POST', `/grants/${given.id}/revoke`, { comment: 'enough' })).status).toBe(204)
  expect((await erin.api('GET', `/requests/${other.id}`)).body.grant.state).toBe('revoked')
})

test('an approver gives less; everybody reads whom it waits for and what was made of it', async () => {
  const { erin, ada } = people
  const { id, ...asked } = (await erin.api('POST', '/requests', { ...wish, reason: 'less of it' })).body
  expect(asked).toMatchObject({
    steps: [{ groups: ['approvers', 'security'], state: 'waits', people: 1, missing: 1, approvedBy: [] }],
    waitsFor: { words: 'approvers or security', step: 1, missing: 1, since: asked.askedAt, others: null },
    agreed: { lengthMs: 60_000, role: 'readonly', databases: null, networks: null },
    rolesToGive: ['readonly', 'admin'],
  })
  const approve = (body: object) => ada.api('POST', `/requests/${id}/approve`, body)
  for (const bad of [
    { lengthMs: 61_000 },
    { databases: ['billing'] },
    { networks: ['x'] },
    { role: 'root' },
    { databases: [] },
  ]) {
    expect((await approve(bad)).status).toBe(422)
  }
  expect((await ada.api('POST', `/requests/${id}/deny`, { lengthMs: 1000 })).status).toBe(422)
  const less = { lengthMs: 30_000, networks: ['127.0.0.0/8'] }
  const { body } = await approve({ ...less, comment: 'half a minute' })
  expect(body).toMatchObject({
    ...{ state: 'approved', waitsFor: null, lengthMs: 60_000, agreed: { ...less, role: 'readonly' } },
    steps: [{ state: 'done', approvedBy: [{ id: ada.person.id }] }],
    decisions: [{ step: 1, comment: 'half a minute', terms: { ...less, startsAt: null, role: null, databases: null } }],
  })
  expect(Date.parse(body.grant.expiresAt) - Date.parse(body.grant.startsAt)).toBe(30_000)
})

test('what is missing in a wish is filled in by the policy, and what is wrong is said', async () => {
  const { erin } = people
  const alone = await erin.api('POST', '/requests', { resource: 'staging' })
  expect(alone.body).toMatchObject({ role: 'readonly', lengthMs: 3_600_000, state: 'approved' })
  const several = await erin.api('POST', '/requests', { resource: 'prod-db', reason: 'x' })
  expect([several.status, several.body.hint]).toEqual([422, 'Say which: readonly, admin'])
  const mistyped = await erin.api('POST', '/requests', { resource: 'prod-bd' })
  expect([mistyped.body.code, mistyped.body.hint]).toEqual(['RESOURCE_UNKNOWN', 'Did you mean "prod-db"?'])
  for (const bad of [
    { ...wish, reason: 'a\u202eb' },
    { ...wish, lengthMs: -1 },
    { ...wish, more: 1 },
  ]) {
    expect(await erin.api('POST', '/requests', bad)).toMatchObject({ status: 422, body: { code: 'INPUT_INVALID' } })
  }
  const other = (await erin.api('POST', '/requests', { ...wish, reason: 'call me off' })).body
  expect((await people.ada.api('POST', `/requests/${other.id}/cancel`)).status).toBe(404)
  expect((await erin.api('POST', `/requests/${other.id}/cancel`)).body.state).toBe('cancelled')
})

test('the same key is the same request, whatever became of it; for another person or wish it is not', async () => {
  const { erin, ada } = people
  const key = { 'idempotency-key': 'deploy-77' }
  const once = await Promise.all(Array.from({ length: 5 }, () => erin.api('POST', '/requests', wish, key)))
  const [{ id }] = once.map(({ body }) => body as { id: string }) as [{ id: string }]
  expect(new Set(once.map(({ body }) => body.id as string))).toEqual(new Set([id]))
  await ada.api('POST', `/requests/${id}/deny`)
  expect((await erin.api('POST', '/requests', wish, key)).body).toMatchObject({ id, state: 'denied' })
  expect((await erin.api('POST', '/requests', wish)).body.id).not.toBe(id)
  expect((await erin.api('POST', '/requests', { ...wish, reason: 'else' }, key)).status).toBe(422)
  expect((await ada.api('POST', '/requests', wish, key)).body.id).not.toBe(id)
  expect((await erin.api('POST', '/requests', wish, { 'idempotency-key': 'a b' })).status).toBe(422)
})

test('locks are placed, seen and lifted by operators; what nobody has is refused', async () => {
  const { erin, olga } = people
  const refused = await erin.api('POST', '/locks', { person: 'nobody@example.test', reason: 'x' })
  expect([refused.status, refused.body.detail]).toEqual([403, 'Only operators place and lift locks.'])
  expect((await erin.api('GET', '/locks')).status).toBe(403)
  for (const bad of [
    { reason: 'nothing' },
    { resource: 'prod-bd', reason: 'x' },
    { resource: 'web-1', role: 'readonly', reason: 'x' },
    { address: '10.0.0.0/33', reason: 'x' },
    { group: 'engineering' },
  ]) {
    expect((await olga.api('POST', '/locks', bad)).status, JSON.stringify(bad)).toBe(422)
  }
  const made = await olga.api('POST', '/locks', {
    ...{ group: 'engineering', address: '127.0.0.0/8', reason: 'drill', lengthMs: 3_600_000 },
  })
  expect(made.body).toMatchObject({ state: 'standing', person: null, group: 'engineering', address: '127.0.0.0/8' })
  expect(Date.parse(made.body.until) - Date.parse(made.body.placedAt)).toBe(3_600_000)
  expect((await erin.api('POST', '/requests', { resource: 'staging' })).body).toMatchObject({
    ...{ code: 'LOCKED', detail: 'Access is locked: drill' },
  })
  expect((await olga.api('DELETE', `/locks/${made.body.id}`)).status).toBe(204)
  expect((await olga.api('DELETE', `/locks/${made.body.id}`)).status).toBe(404)
  const { locks, past } = (await olga.api('GET', '/locks')).body
  expect([locks, past]).toEqual([[], [expect.objectContaining({ id: made.body.id, state: 'lifted' })]])
})

test('the same key is the same lock and the same campaign, for one person, and never both', async () => {
  const { olga } = people
  const key = { 'idempotency-key': 'incident-9' }
  const lock = { group: 'nobody-has-this', reason: 'drill', lengthMs: 3_600_000 }
  const locks = await Promise.all(Array.from({ length: 4 }, () => olga.api('POST', '/locks', lock, key)))
  expect(locks.map(({ status }) => status)).toEqual([201, 201, 201, 201])
  const [first] = locks
  expect(new Set(locks.map(({ body }) => body.id as string)).size).toBe(1)
  expect((await olga.api('POST', '/locks', { ...lock, reason: 'else' }, key)).body.code).toBe('INPUT_INVALID')
  await olga.api('DELETE', `/locks/${first!.body.id}`)
  expect((await olga.api('POST', '/locks', lock, key)).body).toMatchObject({ id: first!.body.id, state: 'lifted' })
  expect((await olga.api('POST', '/locks', lock)).body.id).not.toBe(first!.body.id)

  const campaign = { name: 'spring', lengthMs: 86_400_000, grantMs: 0, tokenMs: 0, reviewers: ['security'] }
  expect((await olga.api('POST', '/campaigns', campaign, key)).body.code).toBe('INPUT_INVALID')
  const other = { 'idempotency-key': 'spring-review' }
  const [one, two] = await Promise.all([1, 2].map(() => olga.api('POST', '/campaigns', campaign, other)))
  expect([one!.status, two!.status, two!.body.id]).toEqual([201, 201, one!.body.id])
  expect((await olga.api('GET', '/campaigns')).body.campaigns).toHaveLength(1)
})

test('the document has every call, and every call in it is one', async () => {
  const { body, status } = await pages.stranger().json('GET', '/api/v1/openapi.json')
  expect([status, body.openapi]).toEqual([200, '3.1.1'])
  const documented = Object.entries(body.paths as Record<string, object>).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const routed = pages.routes
    .filter(({ path }) => path.startsWith('/api/v1/'))
    .map(({ method, path }) => `${method} ${path.slice('/api/v1'.length).replaceAll(/:(\w+)/g, '{$1}')}`)
  expect(documented.toSorted()).toEqual([...new Set(routed)].toSorted())
  for (const { method, path, scope } of apiCalls) {
    const sent = method === 'post' ? {} : undefined
    const answer = await pages.stranger().json(method.toUpperCase(), `/api/v1${path.replace('{id}', 'x')}`, sent)
    expect(answer.status, path).toBe(path === '/openapi.json' ? 200 : scope === null ? 422 : 401)
  }
  const refs = JSON.stringify(body).matchAll(/"\$ref":"#\/([^"]+)"/g)
  for (const [, ref] of refs) {
    expect(
      ref!.split('/').reduce((at: Record<string, never> | undefined, key) => at?.[key], body),
      ref,
    ).toBeDefined()
  }
})
