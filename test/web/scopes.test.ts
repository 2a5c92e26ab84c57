// Goal: a token does what it is for and nothing else. Method: every call of the API, as the OpenAPI document names its scope,
// with a token that has all scopes but that one.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Person } from '../../src/identity/person.ts'
import { scopes, type Scope } from '../../src/identity/scopes.ts'
import { apiCalls } from '../../src/web/openapi.ts'
import { startPages, type Pages } from './harness.ts'

let pages: Pages
let erin: Person
beforeAll(async () => {
  pages = await startPages()
  erin = (await pages.signIn('erin')).person
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

async function tokenFor(held: readonly Scope[], label = 'a program'): Promise<string> {
  const wish = { label, kind: 'access', lengthMs: 3_600_000, scopes: held } as const
  return (await pages.identity.tokens.make(erin, wish)).text
}

function call(token: string, method: string, path: string, body?: unknown) {
  return pages.stranger().json(method, `/api/v1${path}`, body, { authorization: `Bearer ${token}` })
}

const each = scopes.filter((scope) => scope !== 'all')
const needing = apiCalls.filter(({ scope }) => scope !== null && scope !== 'any')

test('every call refuses a token without its scope, and names the scope', async () => {
  const without = new Map<unknown, string>()
  for (const scope of each) without.set(scope, await tokenFor(each.filter((one) => one !== scope)))
  expect(needing.length).toBeGreaterThan(20)
  for (const { method, path, scope } of needing) {
    const sent = method === 'post' ? {} : undefined
    const { status, body, headers } = await call(
      without.get(scope)!,
      method.toUpperCase(),
      path.replace('{id}', 'x'),
      sent,
    )
    expect([path, status, body.code], path).toEqual([path, 403, 'INSUFFICIENT_SCOPE'])
    expect(headers.get('www-authenticate')).toBe(
      `Bearer realm="curfew", error="insufficient_scope", scope="${String(scope)}"`,
    )
    expect(headers.get('content-type')).toBe('application/problem+json')
  }
})

test('with its scope alone, no call is refused for want of one', async () => {
  for (const { method, path, scope } of needing) {
    const token = await tokenFor([scope as Scope])
    const sent = method === 'post' ? {} : undefined
    const { body } = await call(token, method.toUpperCase(), path.replace('{id}', 'x'), sent)
    expect(body?.code, path).not.toBe('INSUFFICIENT_SCOPE')
  }
})

test('what needs no scope works with any, and the token says what it is for', async () => {
  const token = await tokenFor(['reports:read', 'audit:read'])
  const { status, body } = await call(token, 'GET', '/me')
  expect([status, body.token.scopes]).toEqual([200, ['audit:read', 'reports:read']])
})

test('a token makes none that may do more than itself', async () => {
  const token = await tokenFor(['tokens', 'requests:read'])
  const make = (wanted: readonly Scope[] | undefined) =>
    call(token, 'POST', '/tokens', { label: 'x', lengthMs: 60_000, scopes: wanted })
  for (const wanted of [['all'], ['requests:read', 'decide'], undefined] as const) {
    expect(await make(wanted), String(wanted)).toMatchObject({ status: 403, body: { code: 'NOT_ALLOWED' } })
  }
  const made = await make(['requests:read'])
  expect([made.status, made.body.token.scopes]).toEqual([201, ['requests:read']])
  expect((await call(made.body.text as string, 'GET', '/requests')).status).toBe(200)
  expect((await call(made.body.text as string, 'GET', '/tokens')).status).toBe(403)
  const { status } = await call(token, 'POST', '/tokens', { label: 'x', scopes: ['everything'] })
  expect(status).toBe(422)
})

test('a refusal is in the audit log, once a minute and token', async () => {
  const token = await tokenFor(['sessions'], 'only sessions')
  await call(token, 'GET', '/requests')
  await call(token, 'GET', '/requests')
  const told = { reason: 'without scope requests:read', label: 'only sessions' }
  const lines = (await pages.state.audit.events(0, 1000)).map(({ json }) => JSON.parse(json) as { data: object })
  expect(lines.filter(({ data }) => expect.objectContaining(told).asymmetricMatch(data))).toHaveLength(1)
})
