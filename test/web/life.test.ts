// Goal: recurring hours, more time and bundles are asked for by programs and on the pages alike. Method: the real web
// application over HTTPS, with real rooms behind it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Person } from '../../src/identity/person.ts'
import { stepOf } from '../../src/policy/approval.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { startPages, type Pages, type SignedIn } from './harness.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const own: Policy = {
  name: 'lives in many ways',
  who: { groups: ['engineering'] },
  what: { resources: ['staging', 'prod-db'], labels: {}, roles: ['readonly'] },
  length: { defaultMs: hourMs, mostMs: 8 * hourMs },
  reason: 'optional',
  ticket: null,
  approval: { kind: 'none' },
  grants: { clock: 'start', uses: 'many', unusedMs: null, totalMs: 10 * hourMs, recurringMs: 14 * dayMs },
}
const asked: Policy = {
  ...own,
  name: 'asks ada',
  what: { resources: ['prod-db'], labels: {}, roles: ['admin'] },
  approval: { kind: 'people', steps: [stepOf(1, ['approvers'])] },
  grants: { ...own.grants!, clock: 'first-use', uses: 'once', recurringMs: null },
}
const bundles = [
  {
    ...{ name: 'first-day', description: 'What new people need' },
    items: [
      { resource: 'staging', role: 'readonly', lengthMs: 2 * hourMs },
      { resource: 'prod-db', role: 'admin', lengthMs: null },
    ],
  },
]

let pages: Pages
let erin: SignedIn
let ada: SignedIn
let api: ReturnType<typeof apiOf>

beforeAll(async () => {
  pages = await startPages({ before: [own, asked], bundles })
  ;[erin, ada] = [await pages.signIn('erin'), await pages.signIn('ada')]
  const wish = { label: 'CLI of erin', kind: 'cli', lengthMs: hourMs } as const
  api = apiOf((await pages.identity.tokens.make(erin.person, wish)).text)
}, 60_000)
afterAll(async () => pages?.[Symbol.asyncDispose]())

function apiOf(token: string) {
  return (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    pages.stranger().json(method, `/api/v1${path}`, body, { ...headers, authorization: `Bearer ${token}` })
}
async function handBackAll({ id }: Person) {
  for (const grant of await pages.access.livingGrants(id)) await pages.access.handBack(erin.person, grant.id)
}

describe('by programs', () => {
  test('more time is asked for once under one key, and counts from the end', async () => {
    const { body: first } = await api('POST', '/requests', { resource: 'staging', role: 'readonly', lengthMs: hourMs })
    const { id, expiresAt } = first.grant
    expect(first).toMatchObject({ kind: 'access', extends: null, bundle: null, hours: null, grant: { clock: 'start' } })
    const more = () => api('POST', `/grants/${id}/extend`, { lengthMs: hourMs }, { 'idempotency-key': 'one' })
    const extended = await more()
    expect(extended.status).toBe(201)
    expect(extended.body).toMatchObject({
      kind: 'extension',
      extends: id,
      state: 'approved',
      grant: { id, lengthMs: 2 * hourMs },
    })
    expect(Date.parse(extended.body.grant.expiresAt)).toBe(Date.parse(expiresAt) + hourMs)
    expect((await more()).body.id).toBe(extended.body.id)
    expect(await api('POST', `/grants/${id}/extend`, { lengthMs: 9 * hourMs })).toMatchObject({ status: 422 })
    expect(await api('POST', '/grants/grant-none/extend', { lengthMs: hourMs })).toMatchObject({ status: 404 })
    await handBackAll(erin.person)
    expect(await api('POST', `/grants/${id}/extend`, { lengthMs: hourMs })).toMatchObject({
      ...{ status: 409, body: { code: 'GRANT_IN_WRONG_STATE' } },
    })
  })

  test('recurring hours come back as they were asked for', async () => {
    const hours = [{ days: ['mon', 'fri'], from: '09:00', to: '17:00', zone: 'Europe/Berlin' }]
    const wish = { resource: 'staging', role: 'readonly', lengthMs: 14 * dayMs, hours }
    const { status, body } = await api('POST', '/requests', wish)
    expect([status, body.hours, body.grant.hours]).toEqual([201, hours, hours])
    expect((await api('GET', '/grants')).body.grants).toMatchObject([{ hours, lengthMs: 14 * dayMs }])
    const wrong = async (over: object) =>
      (await api('POST', '/requests', { ...wish, hours: [{ ...hours[0], ...over }] })).body.code as string
    expect(await wrong({ zone: 'Mars/Olympus' })).toBe('INPUT_INVALID')
    expect(await wrong({ from: '25:00' })).toBe('INPUT_INVALID')
    expect(await wrong({ to: '18:00' })).toBe('LENGTH_REFUSED')
    await handBackAll(erin.person)
  })

  test('a bundle is one call', async () => {
    const { bundles: offered } = (await api('GET', '/bundles')).body
    expect(offered).toMatchObject([{ name: 'first-day', items: [{ lengthMs: 2 * hourMs }, { lengthMs: hourMs }] }])
    const wish = { bundle: 'first-day', reason: 'I am new' }
    const { status, body } = await api('POST', '/requests', wish, { 'idempotency-key': 'bundle' })
    expect(status).toBe(201)
    expect(body.requests).toMatchObject([
      { resource: 'staging', state: 'approved', bundle: { name: 'first-day' } },
      { resource: 'prod-db', state: 'requested', bundle: { id: body.requests[0].bundle.id } },
    ])
    const again = await api('POST', '/requests', wish, { 'idempotency-key': 'bundle' })
    const ids = (requests: { id: string }[]) => requests.map(({ id }) => id).toSorted()
    expect(ids(again.body.requests)).toEqual(ids(body.requests))
    expect((await api('POST', '/requests', { bundle: 'first-dya' })).body).toMatchObject({
      ...{ code: 'RESOURCE_UNKNOWN', hint: 'Did you mean "first-day"?' },
    })
    expect((await api('POST', '/requests', { ...wish, role: 'admin' })).body.code).toBe('INPUT_INVALID')
    await pages.access.cancel(erin.person, body.requests[1].id)
    await handBackAll(erin.person)
  })
})

describe('on the pages', () => {
  test('more time: the form says when it ends, and what is asked for goes to those who decide', async () => {
    const request = await pages.access.ask(erin.person, {
      ...{ resource: 'staging', role: 'readonly', lengthMs: hourMs, reason: '', ticket: null, startsAt: null },
      origin: 'test',
    })
    const grant = (await pages.access.view(erin.person, request.id)).grant!
    expect((await erin.get('/')).text).toContain(`href="/grants/${grant.id}/extend"`)
    const page = await erin.get(`/grants/${grant.id}/extend`)
    expect(page.text).toContain('More time for staging as readonly')
    expect(page.text).toContain('More time needs nobody’s approval.')
    const done = await erin.post(`/grants/${grant.id}/extend`, { for: '2h', reason: 'not done' })
    expect([done.status, done.location]).toEqual([303, expect.stringMatching(/^\/requests\/request-/)])
    expect((await erin.get(done.location!)).text).toContain('2 h more, counted from the end')
    expect((await pages.access.livingGrants(erin.person.id))[0]!.expiresAt).toBe(grant.expiresAt + 2 * hourMs)
    const refused = await erin.post(`/grants/${grant.id}/extend`, { for: '8h' })
    expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('lasts at most 10 h') as string])
    expect((await ada.get(`/grants/${grant.id}/extend`)).status).toBe(404)
    await handBackAll(erin.person)
    expect((await erin.get(`/grants/${grant.id}/extend`)).status).toBe(409)
  })

  test('what cannot be extended says why', async () => {
    const wish = { resource: 'prod-db', role: 'admin', lengthMs: hourMs, reason: 'x', ticket: null, startsAt: null }
    const { id } = await pages.access.ask(erin.person, { ...wish, origin: 'test' })
    await pages.access.decide(ada.person, id, 'approve', '')
    const { grant } = await pages.access.view(erin.person, id)
    const first = await erin.get('/')
    expect(first.text).toContain('waits for its first use')
    expect(first.text).toContain('Its 1 h begin with the first session')
    expect(first.text).not.toContain(`/grants/${grant!.id}/extend`)
    expect((await erin.get(`/grants/${grant!.id}/extend`)).text).toContain('Its time has not begun yet')
    await handBackAll(erin.person)
  })

  test('recurring hours are asked for without a script, and kept where something is wrong', async () => {
    const form = { resource: 'staging', role: 'readonly', for: '1h', reason: 'shifts', hoursZone: 'Europe/Berlin' }
    expect((await erin.get('/ask?resource=staging&role=readonly')).text).toContain(
      'Only at these hours, again and again',
    )
    expect((await erin.get('/ask?resource=web-1&role=ops')).text).not.toContain('Only at these hours')
    const days = { 'on-mon': 'yes', 'on-wed': 'yes' }
    const wrong = await erin.post('/ask', { ...form, ...days, hoursFrom: '09:00', hoursTo: '', stretch: '7d' })
    expect([wrong.status, wrong.text]).toEqual([422, expect.stringContaining('Give the hours from and to.') as string])
    expect(wrong.text).toMatch(/name="hoursFrom"[^>]+value="09:00"/)
    const done = await erin.post('/ask', { ...form, ...days, hoursFrom: '09:00', hoursTo: '17:00', stretch: '7d' })
    expect(done.status).toBe(303)
    const [grant] = await pages.access.livingGrants(erin.person.id)
    expect(grant).toMatchObject({
      ...{ lengthMs: 7 * dayMs, windows: [{ days: [1, 3], fromMinute: 540, toMinute: 1020, zone: 'Europe/Berlin' }] },
    })
    expect((await erin.get(done.location!)).text).toContain('Mon, Wed 09:00-17:00 (Europe/Berlin), for 7 d')
    expect((await erin.get('/')).text).toContain('Only Mon, Wed 09:00-17:00 (Europe/Berlin)')
    await handBackAll(erin.person)
  })

  test('a bundle is one form, and its requests know of each other', async () => {
    expect((await erin.get('/')).text).toContain('href="/ask?bundle=first-day"')
    expect((await (await pages.signIn('sam')).get('/ask?bundle=first-day')).status).toBe(404)
    const page = await erin.get('/ask?bundle=first-day')
    expect(page.text).toContain('each part is decided by itself')
    const done = await erin.post('/ask/bundle', { bundle: 'first-day', for: '', reason: 'I am new' })
    expect(done.status).toBe(303)
    const request = await erin.get(done.location!)
    expect(request.text).toContain('Parts of “first-day”')
    expect(request.text).toContain('staging as readonly')
    const decides = await ada.get(done.location!.replace('requests', 'approvals'))
    expect(decides.text).toContain('“first-day”, each part decided by itself')
    const refused = await erin.post('/ask/bundle', { bundle: 'first-day', for: '10d', reason: 'I am new here' })
    expect(refused.status).toBe(422)
    await handBackAll(erin.person)
  })
})
