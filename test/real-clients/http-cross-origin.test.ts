// Goal: a page of another application, or of a foreign site, can do at an application and at the gateway’s pages what a link
// can do, and nothing else; with `cors` it can do what that says.
// Method: the real Chromium with somebody signed in everywhere. `evil` is a compromised application beside `app`; the foreign
// site is another one on this machine. What arrived is what the targets saw.
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { startHttpTarget, type HttpTarget } from '../servers/http-target.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let friendly: HttpTarget
let foreign: HttpTarget
let page: Page

beforeAll(async () => {
  const evil = stack.use(await startHttpTarget())
  friendly = stack.use(await startHttpTarget())
  foreign = stack.use(await startHttpTarget())
  gateway = stack.use(
    await startHttpTestGateway({
      domain: 'gw.test',
      others: { evil: { address: evil.address }, friendly: { address: friendly.address } },
      configure: (config) => {
        const { port } = new URL(config.gateway.publicUrl)
        const resource = config.resources['friendly']!
        if (resource.kind !== 'http') throw new Error('friendly is an application')
        resource.cors = { origins: [`https://evil.gw.test:${port}`], methods: ['PUT'], headers: ['content-type'] }
      },
    }),
  )
  for (const resource of ['app', 'evil', 'friendly']) await gateway.httpGrant('alice', 'open', undefined, resource)
  page = await gateway.page('alice')
  for (const resource of ['app', 'friendly', 'evil']) {
    await page.goto(gateway.appUrl('/page', resource).href)
    expect(new URL(page.url()).host).toBe(gateway.appUrl('/', resource).host)
  }
}, 60_000)
afterAll(() => stack.disposeAsync())

const places = {
  'another application': () => gateway.appUrl('/page', 'evil').href,
  'a foreign site': () => new URL('/page', foreign.url).href,
}

/** Functions of a URL for the page to run. What it is told then; they never reject. */
const attempts = {
  'a fetch': `(url) => fetch(url, { credentials: 'include' }).then((got) => got.type, () => 'failed')`,
  'a fetch whose answer it does not want': `(url) =>
    fetch(url, { mode: 'no-cors', credentials: 'include' }).then((got) => got.type, () => 'failed')`,
  'a POST': `(url) =>
    fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'a=b' })
      .then((got) => got.type, () => 'failed')`,
  'a PUT of JSON': `(url) =>
    fetch(url, { method: 'PUT', credentials: 'include', headers: { 'content-type': 'application/json' }, body: '{}' })
      .then((got) => got.type, () => 'failed')`,
  'a beacon': `(url) => (navigator.sendBeacon(url, 'a=b') ? 'opaque' : 'failed')`,
  'an image': `(url) => new Promise((resolve) => {
    const image = new Image()
    image.onload = () => resolve('loaded')
    image.onerror = () => resolve('failed')
    image.src = url
  })`,
  'a script': `(url) => new Promise((resolve) => {
    const script = document.createElement('script')
    script.onload = () => resolve('loaded')
    script.onerror = () => resolve('failed')
    script.src = url
    document.body.append(script)
  })`,
  'a frame': `(url) => new Promise((resolve) => {
    const frame = document.createElement('iframe')
    frame.onload = () => {
      try {
        resolve(frame.contentDocument === null ? 'opaque' : 'read')
      } catch {
        resolve('opaque')
      }
    }
    frame.src = url
    document.body.append(frame)
  })`,
  'a form in a frame': `(url) => new Promise((resolve) => {
    const frame = document.createElement('iframe')
    frame.name = 'frame' + Math.random()
    const form = document.createElement('form')
    Object.assign(form, { method: 'post', action: url, target: frame.name })
    document.body.append(frame, form)
    frame.onload = () => resolve('opaque')
    form.submit()
  })`,
  'a WebSocket': `(url) => new Promise((resolve) => {
    const socket = new WebSocket(url.replace('https:', 'wss:'))
    socket.onopen = () => resolve('open')
    socket.onerror = () => resolve('failed')
  })`,
  events: `(url) => new Promise((resolve) => {
    const events = new EventSource(url, { withCredentials: true })
    events.onopen = () => resolve('open')
    events.onerror = () => {
      events.close()
      resolve('failed')
    }
  })`,
  'a worker': `(url) => navigator.serviceWorker.register(url).then(() => 'registered', () => 'failed')`,
} as const

const submit = `(url) => {
  const form = document.createElement('form')
  Object.assign(form, { method: 'post', action: url })
  for (const [name, value] of [['verdict', 'approve'], ['comment', '']]) {
    form.append(Object.assign(document.createElement('input'), { name, value }))
  }
  document.body.append(form)
  form.submit()
}`

const follow = `(url) => {
  const link = Object.assign(document.createElement('a'), { href: url })
  document.body.append(link)
  link.click()
}`

/** Its text, or why not. */
const lookInto = `async (url) => {
  const other = window.open(url)
  other.postMessage('hello', '*')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  try {
    return other.document.body.textContent
  } catch (error) {
    return error.name
  }
}`

const tossCookies = `() => {
  const bare = ['__Host-curfew', '__Host-curfew-app', '__host-curfew-app', '__HOST-CURFEW', '__Secure-curfew']
  for (const name of [...bare, '\\v__Host-curfew-app', '\\u2000__Host-curfew-app']) {
    for (const text of [name + '=evil', '=' + name + '=evil', ' ' + name + ' = evil', name]) {
      for (const domain of ['; Domain=gw.test', '; Domain=.gw.test', '; Domain=app.gw.test', '']) {
        document.cookie = text + '; Path=/; Secure' + domain
      }
    }
  }
  document.cookie = 'tossed=1; Path=/; Secure; Domain=gw.test'
}`

const codeThere = `(url) => fetch(url).then((got) => got.json()).then(({ code }) => code, () => 'unreadable')`

const deleteThere = `(url) => fetch(url, { method: 'DELETE', credentials: 'include' }).then(() => 'done', () => 'failed')`

function inPage(where: Page, code: string, url = ''): Promise<string> {
  return where.evaluate(`(${code})(${JSON.stringify(url)})`)
}

describe.each(Object.entries(places))('a page of %s', (_place, at) => {
  test('gets nothing from another application, and nothing to it', async () => {
    await page.goto(at())
    const before = gateway.target.facts()
    for (const [name, attempt] of Object.entries(attempts)) {
      expect(await inPage(page, attempt, gateway.appUrl('/echo/ws').href), name).toMatch(/^(?:failed|opaque)$/)
    }
    const after = gateway.target.facts()
    expect([after.requestsSeen, after.webSockets]).toEqual([before.requestsSeen, before.webSockets])
  })

  test('changes nothing at the gateway’s own pages, and sees nothing of them', async () => {
    const { access } = gateway.gateway
    const alice = await gateway.person('alice')
    const made = await access.ask(alice, wish)
    const before = (await access.requestsOf(alice, 100)).length
    await page.goto(at())
    const urls = [
      '/ask?resource=app&role=asked&for=1h',
      `/requests/${made.id}/cancel`,
      '/sign-out',
      '/sign-ins/tokens',
      '/api/v1/tokens',
      '/',
    ]
    for (const path of urls) {
      for (const [name, attempt] of Object.entries(attempts)) {
        expect(await inPage(page, attempt, new URL(path, gateway.url).href), `${name}: ${path}`).toMatch(
          /^(?:failed|opaque)$/,
        )
      }
    }
    const requests = await access.requestsOf(alice, 100)
    expect(requests.length).toBe(before)
    expect(requests.find(({ id }) => id === made.id)?.state).toBe('requested')
    expect((await gateway.gateway.identity.own.list(alice.id)).tokens).toEqual([])
    await page.goto(gateway.url.href)
    expect(new URL(page.url()).pathname).toBe('/')
    await access.cancel(alice, made.id)
  })

  test('cannot have a request approved by somebody who looks at it', async () => {
    const { access } = gateway.gateway
    const alice = await gateway.person('alice')
    const { id } = await access.ask(alice, wish)
    const approver = await gateway.page('bob')
    await approver.goto(new URL('/page', foreign.url).href)
    await inPage(approver, submit, new URL(`/approvals/${id}`, gateway.url).href)
    await approver.getByText('ORIGIN_REFUSED').waitFor()
    expect((await access.requestsOf(alice, 100)).find((one) => one.id === id)?.state).toBe('requested')
    await access.cancel(alice, id)
    await approver.context().close()
  })

  test('does not bring anybody into an application without their seeing it', async () => {
    await page.goto(at())
    const tickets: string[] = []
    const watch = (request: { url(): string }) => request.url().includes('ticket=') && tickets.push(request.url())
    page.on('request', watch)
    const way = new URL(`/open/app?state=${'A'.repeat(43)}&role=open`, gateway.url).href
    for (const attempt of Object.values(attempts)) await inPage(page, attempt, way)
    page.off('request', watch)
    expect(tickets).toEqual([])
  })

  test('posts no form, but leads there by a link', async () => {
    await page.goto(at())
    const before = gateway.target.facts().requestsSeen
    await inPage(page, submit, gateway.appUrl('/write/x').href)
    await page.waitForURL(gateway.appUrl('/write/x').href)
    expect(await page.locator('body').innerText()).toMatch(/ORIGIN_REFUSED|SIGN_IN_REQUIRED/)
    expect(gateway.target.facts().requestsSeen).toBe(before)
    await page.goto(at())
    await inPage(page, follow, gateway.appUrl('/hello').href)
    await page.waitForURL(gateway.appUrl('/hello').href)
    expect(await page.locator('body').innerText()).toContain('hello')
  })

  test('opens a window, and cannot look into it', async () => {
    await page.goto(at())
    const [opened, sight] = await Promise.all([
      page.waitForEvent('popup'),
      inPage(page, lookInto, gateway.appUrl('/hello').href),
    ])
    expect(sight).toBe('SecurityError')
    await opened.close()
  })
})

const wish = {
  ...{ resource: 'app', role: 'asked', lengthMs: 3_600_000, reason: 'a test', ticket: null },
  ...{ startsAt: null, origin: 'test' },
}

test('an application cannot put a cookie in the place of one of the gateway’s, here or beside', async () => {
  await page.goto(gateway.appUrl('/page', 'evil').href)
  const before = await page.context().cookies([gateway.url.href, gateway.appUrl('/').href])
  await inPage(page, tossCookies)
  const after = await page.context().cookies([gateway.url.href, gateway.appUrl('/').href])
  for (const cookie of before) expect(after).toContainEqual(cookie)
  await page.goto(gateway.url.href)
  await page.getByText('alice@shop.example').first().waitFor()
  await page.goto(gateway.appUrl('/hello').href)
  expect(await page.locator('body').innerText()).toContain('hello')
  // What Domain lets through is the browser's decision, and reaches the neighbour; nothing that looks like ours does.
  expect(gateway.target.last('/hello').headers.cookie).toContain('tossed=1')
  expect(gateway.target.last('/hello').headers.cookie).not.toMatch(/curfew/i)
})

test('what an application answers sets no cookie for its neighbours, and clears none', async () => {
  const set = [
    'wide=1; Domain=gw.test; Path=/',
    'wide2=1; domain = .gw.test',
    '__Host-curfew-app=evil; Secure; Path=/',
    'own=1; Path=/',
  ]
  const url = gateway.appUrl('/cookies', 'evil')
  for (const line of set) url.searchParams.append('set', line)
  await page.goto(url.href)
  await page.goto(gateway.appUrl('/headers?clear-site-data=%22*%22', 'evil').href)
  await page.goto(gateway.appUrl('/hello').href)
  expect(await page.locator('body').innerText()).toContain('hello')
  expect(gateway.target.last('/hello').headers.cookie ?? '').not.toContain('wide')
  await page.goto(gateway.appUrl('/echo', 'evil').href)
  expect(await page.locator('body').innerText()).toContain('own=1')
})

test('an origin that `cors` names may do what it says; a foreign one may not', async () => {
  await page.goto(places['another application']())
  const url = gateway.appUrl('/echo/x', 'friendly').href
  for (const name of ['a fetch', 'a POST', 'a PUT of JSON'] as const) {
    const before = friendly.facts().requestsSeen
    expect(await inPage(page, attempts[name], url), name).toMatch(/^(?:cors|opaque)$/)
    expect(friendly.facts().requestsSeen, name).toBe(before + 1)
  }
  expect(await inPage(page, deleteThere, url)).toBe('failed')
  // What it is refused it may read, too.
  expect(await inPage(page, codeThere, url)).toBe('SIGN_IN_REQUIRED')
  expect(await inPage(page, codeThere, gateway.appUrl('/echo', 'app').href)).toBe('unreadable')
  await page.goto(places['a foreign site']())
  const before = friendly.facts().requestsSeen
  for (const attempt of Object.values(attempts)) await inPage(page, attempt, url)
  expect(friendly.facts().requestsSeen).toBe(before)
})
