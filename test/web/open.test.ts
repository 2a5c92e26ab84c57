import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AppPlace } from '../../src/identity/apps.ts'
import { later } from '../../src/kernel/time.ts'
import type { Policy } from '../../src/policy/rules.ts'
import type { HttpResource, HttpRole } from '../../src/resources/catalogue.ts'
import { systemClock } from '../../src/system.ts'
import { openBrowser, signInAtProvider, type TestBrowser } from '../clients/browser.ts'
import { startPages, type Answer, type Pages, type SignedIn } from './harness.ts'
import { stepOf } from '../../src/policy/approval.ts'

// Goal: the way into an application leads through sign-in, choice and request, and back to where it began; nowhere else.
// Method: real rooms and pages, and a real Chromium. The application's own host is played by the test.
const hourMs = 3_600_000

const httpRole = (name: string, more: Partial<HttpRole> = {}): HttpRole => ({
  ...{ kind: 'http', name, description: `${name} of the wiki`, allow: [], deny: [], headers: {} },
  ...{ credentials: null, recordBodies: null, recording: 'strict' },
  ...more,
})

const app = (name: string, roles: readonly HttpRole[], hosts: readonly string[] = []): HttpResource => ({
  ...{ kind: 'http', name, description: '', labels: {}, version: 'http1', hosts, hostHeader: 'keep' },
  addresses: [{ text: 'http://127.0.0.1:1', tls: false, host: '127.0.0.1', port: 1, socketPath: null }],
  ...{ tls: { ca: null, serverName: null }, health: null, cors: null, recordHeaders: [], maskQuery: [] },
  roles: Object.fromEntries(roles.map((role) => [role.name, role])),
})

const readsDocs = { methods: ['GET', 'HEAD'], paths: ['/docs/**', '/health'] }
const resources = [
  app(
    'wiki',
    [httpRole('reader', { allow: [readsDocs], deny: [{ methods: ['DELETE'], paths: [] }] }), httpRole('editor')],
    ['wiki.example.test'],
  ),
  app('grafana', [httpRole('viewer')]),
  app('payroll', [httpRole('clerk')]),
]

const policy = (name: string, resource: string, roles: string[] | null, approval: Policy['approval']): Policy => ({
  ...{ name, who: { groups: ['engineering'] }, what: { resources: [resource], labels: {}, roles } },
  ...{ length: { defaultMs: hourMs, mostMs: hourMs }, reason: 'optional', ticket: null, approval },
})
const approved = { kind: 'people', steps: [stepOf(1, ['approvers'])] } as const
const policies = [
  policy('reading is free', 'wiki', ['reader'], { kind: 'none' }),
  policy('editing is not', 'wiki', ['editor'], approved),
  policy('graphs are not', 'grafana', null, approved),
]

let pages: Pages
let chromium: TestBrowser
let ada: SignedIn

beforeAll(async () => {
  pages = await startPages({ resources, policies })
  chromium = await openBrowser([pages.certificate])
  ada = await pages.signIn('ada')
}, 60_000)
afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await pages?.[Symbol.asyncDispose]()
})

const placeAt = (resource: string, host = `${resource}.localhost`): AppPlace => ({
  resource,
  host: `${host}:${pages.url.port}`,
})

/** As the application's host begins it. */
function begin(place: AppPlace) {
  const { state, cookie } = pages.identity.apps.begin(place, '/docs/')
  const link = new URLSearchParams({ state, host: place.host })
  return { state, cookie, link, path: `/open/${place.resource}?${link}` }
}

/** As the application's host takes the browser back. */
async function enter(place: AppPlace, to: URL | string, cookie: { name: string; value: string }) {
  const url = new URL(to)
  expect(`${url.host}${url.pathname}`).toBe(`${place.host}/.curfew/enter`)
  const ticket = url.searchParams.get('ticket') ?? ''
  const entered = pages.identity.apps.enter(place, ticket, (name) => (name === cookie.name ? cookie.value : undefined))
  return { ...entered, visitor: await pages.identity.apps.visitor(place, entered.cookie.value) }
}

/** Nobody else's requests and grants are in the way: each test has its own. */
async function giveBackAll(who: SignedIn): Promise<void> {
  for (const request of await pages.access.requestsOf(who.person, 50)) {
    if (request.state === 'requested') await pages.access.cancel(who.person, request.id)
  }
  for (const grant of await pages.access.livingGrants(who.person.id)) await pages.access.handBack(who.person, grant.id)
}

async function fresh(login: 'erin' | 'ada' = 'erin'): Promise<SignedIn> {
  const who = await pages.signIn(login)
  await giveBackAll(who)
  return who
}

const askFor = async (who: SignedIn, resource: string, role: string, more: Record<string, string> = {}) => {
  const asked = await who.post('/ask', { resource, role, for: '1h', reason: 'because', ...more })
  expect(asked.status, asked.text).toBe(303)
  return asked.location!
}

/** What the form carries of the way. */
const kept = (state: string, host?: string): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(`then=${state}${host === undefined ? '' : `&host=${host}`}`))

const approve = (request: string) =>
  ada.post(new URL(request, pages.url).pathname.replace('requests', 'approvals'), { verdict: 'approve' })

const refreshesTo = ({ text }: Answer) =>
  /<meta http-equiv="refresh" content="0; url=([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')

test('who is not signed in signs in first, and comes back', async () => {
  const { path } = begin(placeAt('wiki'))
  const { status, location } = await pages.stranger().get(path)
  expect(status).toBe(303)
  expect(new URL(location!, pages.url).searchParams.get('to')).toBe(path)
})

test('what they may not see is not there, and neither is what is no application', async () => {
  const erin = await fresh()
  for (const name of ['payroll', 'no-such-thing', 'prod-db', 'constructor']) {
    const { status, text } = await erin.get(`/open/${name}?state=${'a'.repeat(43)}`)
    expect(status).toBe(404)
    expect(text).toContain(`There is no resource “${name}” that you may use.`.replaceAll(/[“”]/g, '&quot;'))
    expect(text.replaceAll(name, '')).not.toContain('payroll')
  }
  expect((await erin.get('/open/wiki?role=owner')).status).toBe(404)
})

test('with a grant the way leads straight back, with a ticket for that browser', async () => {
  const erin = await fresh()
  await askFor(erin, 'wiki', 'reader')
  const place = placeAt('wiki')
  const { cookie, path } = begin(place)
  const { status, location, headers } = await erin.get(path)
  expect(status).toBe(303)
  expect(headers.get('cache-control')).toBe('no-store')
  const { visitor, returnTo } = await enter(place, location!, cookie)
  expect(returnTo).toBe('/docs/')
  expect(visitor).toMatchObject({ role: 'reader', person: { id: erin.person.id } })
})

test('an extra host of the application is gone back to; any other host begins anew at the first one', async () => {
  const erin = await fresh()
  await askFor(erin, 'wiki', 'reader')
  const extra = placeAt('wiki', 'wiki.example.test')
  const { cookie, path, state } = begin(extra)
  await enter(extra, (await erin.get(path)).location!, cookie)
  const begins = `https://${placeAt('wiki').host}/.curfew/enter?role=reader`
  const { port } = pages.url
  for (const host of [
    ...['evil.example', `evil.example:${port}`, 'wiki.localhost', 'wiki.localhost:1', `grafana.localhost:${port}`],
    ...[`localhost:${port}`, `wiki.localhost:${port}@evil.example`, `a@wiki.localhost:${port}`, ' ', '%', '/'],
  ]) {
    const { location } = await erin.get(`/open/wiki?${new URLSearchParams({ state, host })}`)
    expect(location, host).toMatch(host.trim() === '' ? /wiki\.localhost:\d+\/\.curfew\/enter\?ticket=/ : begins)
  }
})

test('without a way that was begun, it begins at the application', async () => {
  const erin = await fresh()
  await askFor(erin, 'wiki', 'reader')
  const begins = `https://${placeAt('wiki').host}/.curfew/enter?role=reader`
  for (const query of [
    '',
    '?role=reader',
    '?state=short',
    '?state=%0a%0d%22%3cscript%3e-----------',
    '?role=reader&state=',
  ]) {
    expect((await erin.get(`/open/wiki${query}`)).location, query).toBe(begins)
  }
})

test('one role and no grant: to the form, which keeps the way; the request page then goes on by itself', async () => {
  const erin = await fresh()
  const place = placeAt('grafana')
  const { cookie, path, state } = begin(place)
  const ask = (await erin.get(path)).location!
  const carried = kept(state, place.host)
  expect(ask).toBe(`/ask?${new URLSearchParams({ resource: 'grafana', role: 'viewer', ...carried })}`)
  const form = await erin.get(ask)
  for (const [name, value] of Object.entries(carried)) expect(form.text).toContain(`name="${name}" value="${value}"`)
  const wrong = await erin.post('/ask', { resource: 'grafana', role: 'viewer', for: '9h', ...carried })
  expect(wrong.status).toBe(422)
  expect(wrong.text).toContain(`name="then" value="${state}"`)

  const request = await askFor(erin, 'grafana', 'viewer', carried)
  const waiting = await erin.get(request)
  expect(waiting.text).toContain('You go on to grafana by yourself once it is approved.')
  expect(refreshesTo(waiting)).toBeUndefined()
  // Who comes again meanwhile does not ask again.
  expect((await erin.get(path)).location).toBe(request)

  await approve(request)
  const onward = refreshesTo(await erin.get(request))!
  expect(onward).toBe(`/open/grafana?${new URLSearchParams({ role: 'viewer', state, host: place.host })}`)
  const { visitor } = await enter(place, (await erin.get(onward)).location!, cookie)
  expect(visitor?.role).toBe('viewer')
})

test('a request page without an application that waits stays where it is', async () => {
  const erin = await fresh()
  const request = await askFor(erin, 'wiki', 'reader')
  expect(request).toMatch(/^\/requests\/[\w-]+$/)
  for (const then of [
    '',
    '?then=short',
    '?then=https://evil.example/aaaaaaaaaaa',
    `?then=${'a'.repeat(43)}&host=a/b`,
  ]) {
    expect(refreshesTo(await erin.get(`${request}${then}`)), then).toBeUndefined()
  }
  const database = await askFor(erin, 'staging', 'readonly', kept('a'.repeat(43)))
  expect(refreshesTo(await erin.get(database))).toBeUndefined()
})

test('a refused request says so, and asking again keeps the way', async () => {
  const erin = await fresh()
  const { state } = begin(placeAt('wiki'))
  const request = await askFor(erin, 'wiki', 'editor', kept(state))
  await ada.post(new URL(request, pages.url).pathname.replace('requests', 'approvals'), { verdict: 'deny' })
  const page = await erin.get(request)
  expect(page.text).toContain('Refused by ada@example.test')
  expect(page.text).toContain(`&amp;then=${state}`)
  expect(refreshesTo(page)).toBeUndefined()
})

test('several roles and none open: the page says which there are and what each may', async () => {
  const erin = await fresh()
  const { path, state } = begin(placeAt('wiki'))
  const { status, text } = await erin.get(path)
  expect(status).toBe(200)
  expect(text).toContain('GET, HEAD below /docs/, /health · but not DELETE · every request recorded')
  expect(text).toContain('every page and call · every request recorded')
  expect(text).toContain('aria-label="Ask wiki as reader"')
  const [link] = text.match(/\/open\/wiki\?role=editor[^"]+/)!
  expect((await erin.get(link.replaceAll('&amp;', '&'))).location).toMatch(
    new RegExp(`^/ask\\?resource=wiki&role=editor&then=${state}&host=`),
  )
})

test('several roles open: they choose; the one that is named is taken', async () => {
  const erin = await fresh()
  await askFor(erin, 'wiki', 'reader')
  await approve(await askFor(erin, 'wiki', 'editor'))
  const place = placeAt('wiki')
  const { cookie, path } = begin(place)
  const { status, text } = await erin.get(path)
  expect(status).toBe(200)
  expect(text).toContain('aria-label="Open wiki as reader"')
  expect(text).toContain('aria-label="Open wiki as editor"')
  const { visitor } = await enter(place, (await erin.get(`${path}&role=editor`)).location!, cookie)
  expect(visitor?.role).toBe('editor')
})

test('access that begins later leads to its request', async () => {
  const erin = await fresh()
  const startsAt = new Date(later(systemClock.now(), 2 * hourMs)).toISOString().slice(0, 16)
  const { path, state } = begin(placeAt('wiki'))
  const request = await askFor(erin, 'wiki', 'reader', { startsAt, zone: 'UTC', ...kept(state) })
  const { location } = await erin.get(`${path}&role=reader`)
  expect(new URL(location!, pages.url).pathname).toBe(new URL(request, pages.url).pathname)
  expect(refreshesTo(await erin.get(location!))).toBeUndefined()
  expect((await erin.get('/')).text).not.toContain('aria-label="Open wiki as reader"')
})

test('the first page opens applications; approvers read what a role limits', async () => {
  const erin = await fresh()
  await askFor(erin, 'wiki', 'reader')
  const { text } = await erin.get('/')
  expect(text).toContain(`>https://${placeAt('wiki').host}/</code`)
  expect(text).toContain('href="/open/wiki?role=reader" aria-label="Open wiki as reader"')
  const request = await askFor(erin, 'wiki', 'editor')
  const approvals = await ada.get(request.replace('requests', 'approvals'))
  expect(approvals.text).toMatch(/editor of the wiki[^]*every page and call · every request recorded/)
})

test('an application verifies who it is by the published keys', async () => {
  const url = new URL('/.well-known/curfew/identity-keys.json', pages.url)
  const published = await pages.stranger().get(url.pathname)
  expect(published.headers.get('content-type')).toBe('application/jwk-set+json')
  expect(published.headers.get('cache-control')).toBe('public, max-age=300')
  expect(published.text).not.toContain('"d"')
  const fetched = async () => new Response((await pages.stranger().get(url.pathname)).text)
  const keys = createRemoteJWKSet(url, { [customFetch]: fetched })
  const session = { id: 'session-1', grant: 'grant-1', resource: 'wiki', role: 'reader' }
  const text = await pages.assertions.of(session as never, ada.person, later(systemClock.now(), hourMs))
  const { payload } = await jwtVerify(text, keys, { issuer: pages.url.origin, audience: 'wiki', algorithms: ['ES256'] })
  expect(payload).toMatchObject({ email: 'ada@example.test', role: 'reader' })
})

/** As a browser that the application's host sent here, with that host's cookie. */
async function sentBy(place: AppPlace, options: BrowserContextOptions = {}) {
  const way = begin(place)
  const page = await chromium.page(options)
  return { ...way, page, go: () => page.goto(`${pages.url.origin}${way.path}`) }
}

async function untilEntered(page: Page, place: AppPlace): Promise<URL> {
  await page.waitForURL((url) => url.host === place.host)
  return new URL(page.url())
}

test.for([
  ['with the script', true],
  ['without any script', false],
] as const)(
  '%s: sign in, ask, wait, and be in once it is approved',
  { timeout: 60_000 },
  async ([, javaScriptEnabled]) => {
    const erin = await fresh()
    const place = placeAt('grafana')
    const { page, go, cookie } = await sentBy(place, { javaScriptEnabled })
    await go()
    await signInAtProvider(page, pages.url.origin, 'erin')
    await page.getByRole('heading', { name: 'Ask for grafana as viewer' }).waitFor()
    await page.getByRole('button', { name: 'Ask' }).click()
    await page.getByText('You go on to grafana by yourself once it is approved.').waitFor()
    await approve(page.url())
    const { visitor } = await enter(place, await untilEntered(page, place), cookie)
    expect(visitor).toMatchObject({ role: 'viewer', person: { id: erin.person.id } })
    await page.context().close()
  },
)

test(
  'the chain of redirects from the form of the provider ends before the application',
  { timeout: 60_000 },
  async () => {
    const erin = await fresh()
    await askFor(erin, 'wiki', 'reader')
    const place = placeAt('wiki')
    const { page, go, cookie } = await sentBy(place)
    const back = page.waitForResponse((response) => new URL(response.url()).pathname === '/sign-in/callback')
    await go()
    await page.locator('#login').fill('erin')
    await page.locator('#login').press('Enter')
    expect((await back).status()).toBe(200)
    const { visitor } = await enter(place, await untilEntered(page, place), cookie)
    expect(visitor?.person.id).toBe(erin.person.id)
    await page.context().close()
  },
)

test('on a phone: where to go, what to choose, what to ask for', { timeout: 60_000 }, async () => {
  const erin = await fresh()
  await askFor(erin, 'wiki', 'reader')
  await approve(await askFor(erin, 'wiki', 'editor'))
  const page = await chromium.phonePage()
  const value = /__Host-curfew=([^;]+)/.exec(erin.cookie)![1]!
  await page.context().addCookies([{ name: '__Host-curfew', value, url: pages.url.origin, secure: true }])
  for (const path of ['/', begin(placeAt('wiki')).path, '/ask?resource=grafana&role=viewer']) {
    await page.goto(`${pages.url.origin}${path}`)
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), path).toBe(true)
    expect(await page.locator('h1').count(), path).toBe(1)
  }
  await page.context().close()
})
