// Goal: a person with a browser gets where they wanted to go, works there as without a gateway, and reads why it ends.
// Method: the real Chromium, several people each in a context of their own; httpbin, Prometheus and the tests' target.
import { readFile } from 'node:fs/promises'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Login } from '../servers/gateway.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { pattern, type Echo } from '../servers/http-target-answers.ts'
import { startPrometheus } from '../servers/prometheus.ts'
import type { ServerProgram } from '../servers/server-program.ts'

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let prometheus: ServerProgram

beforeAll(async () => {
  prometheus = stack.use(await startPrometheus())
  gateway = stack.use(
    await startHttpTestGateway({
      httpbin: true,
      domain: 'gw.test',
      others: { metrics: { address: prometheus.address } },
    }),
  )
  for (const resource of ['app', 'bin', 'metrics']) await gateway.httpGrant('alice', 'open', undefined, resource)
}, 60_000)
afterAll(() => stack.disposeAsync())

const app = (path: string) => gateway.appUrl(path).href
const bin = (path: string) => gateway.appUrl(path, 'bin').href

/** What a page complains of, besides what it is told to. */
function complaints(page: Page, ...expected: readonly RegExp[]): string[] {
  const found: string[] = []
  page.on('console', (message) => {
    const text = `${message.text()} ${message.location().url}`
    if (message.type() === 'error' && !expected.some((one) => one.test(text))) found.push(text)
  })
  page.on('pageerror', (error) => found.push(error.message))
  return found
}

async function echo(page: Page): Promise<Echo> {
  return JSON.parse(await page.locator('body').innerText()) as Echo
}

/** Signed in as `login`, at this page. */
async function arrive(login: Login, url: string): Promise<Page> {
  const page = await gateway.page(login)
  await page.goto(url)
  await page.waitForURL(url)
  return page
}

test('a deep link leads through the sign-in to exactly where it points', async () => {
  const page = await (await gateway.browser()).page()
  const wanted = app('/echo/deep/er?q=a%20b&q=%2F%3F&empty=&utf=%C3%BC')
  await page.goto(wanted)
  await page.locator('#login').fill('alice')
  await page.locator('#login').press('Enter')
  await page.waitForURL(wanted)
  expect(await echo(page)).toMatchObject({ method: 'GET', url: '/echo/deep/er?q=a%20b&q=%2F%3F&empty=&utf=%C3%BC' })
  const names = (await page.context().cookies()).map(({ name, domain, httpOnly, secure, sameSite }) => ({
    ...{ name, domain, httpOnly, secure, sameSite },
  }))
  expect(names.filter(({ domain }) => domain === 'app.gw.test')).toEqual([
    { name: '__Host-curfew-app', domain: 'app.gw.test', httpOnly: true, secure: true, sameSite: 'Lax' },
  ])
  // The next application asks nobody anything.
  await page.goto(bin('/get?x=1'))
  await page.waitForURL(bin('/get?x=1'))
  await page.context().close()
})

test('pages, scripts, forms and the way back', async () => {
  const page = await arrive('alice', app('/page'))
  const found = complaints(page, /favicon/)
  await page.getByText('a script ran').waitFor()
  await page.getByRole('link', { name: 'hello' }).click()
  await page.waitForURL(app('/hello'))
  await page.goBack()
  await page.waitForURL(app('/page'))
  await page.locator('[name=word]').fill('blau & grün')
  await page.getByRole('button', { name: 'Send' }).click()
  await page.waitForURL(app('/echo/form'))
  expect(await echo(page)).toMatchObject({ method: 'POST', body: 'word=blau+%26+gr%C3%BCn' })
  await page.goBack()
  await page.waitForURL(app('/page'))
  expect(found).toEqual([])
  await page.context().close()
})

test('files come down and go up', async () => {
  const page = await arrive('alice', app('/page'))
  const downloading = page.waitForEvent('download')
  await page.evaluate(`location.href = '/bytes?n=3000000'`)
  expect(await readFile(await (await downloading).path())).toEqual(pattern(0, 3_000_000))
  const form =
    '<form method=post action=/echo/up enctype=multipart/form-data><input type=file name=file><button>Up</button>'
  await page.evaluate(`document.body.innerHTML = '${form}'`)
  const bytes = pattern(7, 2_000_000)
  await page.locator('input').setInputFiles({ name: 'Übersicht.bin', mimeType: 'application/x-own', buffer: bytes })
  await page.getByRole('button', { name: 'Up' }).click()
  await page.waitForURL(app('/echo/up'))
  const got = await echo(page)
  expect(got.bodyBytes).toBeGreaterThan(2_000_000)
  expect(got.body.slice(0, 500)).toContain('filename="Übersicht.bin"')
  await page.context().close()
})

test('an event stream and a WebSocket in the page', async () => {
  const page = await arrive('alice', app('/page'))
  const got = await page.evaluate(`new Promise((resolve, reject) => {
    const events = new EventSource('/sse?everyMs=10')
    events.onerror = reject
    events.onmessage = ({ lastEventId }) => {
      if (lastEventId !== '3') return
      events.close()
      const socket = new WebSocket('/ws/echo', ['own'])
      socket.onerror = reject
      socket.onopen = () => socket.send('from the page')
      socket.onmessage = ({ data }) => resolve([lastEventId, socket.protocol, data])
    }
  })`)
  expect(got).toEqual(['3', 'own', 'from the page'])
  await page.context().close()
})

test('many tabs at once on the first visit each get where they wanted', async () => {
  const first = await gateway.page('alice')
  const context = first.context()
  const wanted = Array.from({ length: 12 }, (_, index) => app(`/echo/tab?number=${index}`))
  const pages = await Promise.all(wanted.map(() => context.newPage()))
  await Promise.all(pages.map((page, index) => page.goto(wanted[index]!)))
  expect(pages.map((page) => page.url())).toEqual(wanted)
  const cookies = (await context.cookies(app('/'))).map(({ name }) => name)
  expect(cookies).toEqual(['__Host-curfew-app'])
  await context.close()
})

test('httpbin: its page, its form, its redirects and cookies', async () => {
  const page = await arrive('alice', bin('/forms/post'))
  await page.locator('[name=firstname]').fill('Alice')
  await page.locator('[type=submit]').click()
  await page.waitForURL(bin('/post'))
  const { form, headers } = JSON.parse(await page.locator('body').innerText()) as Record<string, Record<string, string>>
  expect(form).toEqual({ firstname: 'Alice', lastname: '' })
  expect(headers).toMatchObject({ Origin: gateway.appUrl('/', 'bin').origin })
  await page.goto(bin('/redirect/3'))
  await page.waitForURL(bin('/get'))
  await page.goto(bin('/cookies/set?flavour=oat'))
  await page.waitForURL(bin('/cookies'))
  expect(JSON.parse(await page.locator('body').innerText())).toEqual({ cookies: { flavour: 'oat' } })
  await page.context().close()
})

test('Prometheus: a query is typed and its answer shown; the page complains of what it does straight', async () => {
  const page = await gateway.page('alice')
  const straight = await complaintsOfPrometheus(page, prometheus.url.href)
  expect(await complaintsOfPrometheus(page, gateway.appUrl('/', 'metrics').href)).toEqual(straight)
  await page.context().close()
})

async function complaintsOfPrometheus(page: Page, url: string): Promise<string[]> {
  const found = complaints(page)
  await page.goto(url)
  await page.locator('textarea, .cm-content, input[type=text]').first().click()
  await page.keyboard.type('up')
  // Its list of names lies over it.
  await page.getByRole('button', { name: 'Execute' }).press('Enter')
  await page.getByText('job="itself"').first().waitFor()
  return found.map((text) => text.replaceAll(new URL(url).origin, ''))
}

test('an application with very many cookies', async () => {
  const page = await arrive('alice', app('/page'))
  const got = await page.evaluate(`(async () => {
    for (let index = 0; index < 120; index++) document.cookie = 'cookie-number-' + index + '=' + index + '; secure'
    const answer = await fetch('/echo')
    return [answer.status, (await answer.json()).headers.cookie?.split('; ').length]
  })()`)
  expect(got).toEqual([200, 120])
  await page.context().close()
})

test('without a grant: asked, approved by somebody else, and there by itself; then handed back, and told', async () => {
  const page = await gateway.page('dave')
  const wanted = app('/echo/wanted?after=approval')
  await page.goto(wanted)
  await page.getByRole('heading', { name: 'Open app' }).waitFor()
  await page.getByRole('link', { name: 'Ask app as asked' }).click()
  await page
    .getByRole('textbox', { name: /reason|why/i })
    .first()
    .fill('to see it')
  await page.getByRole('button', { name: /ask/i }).click()
  await page.getByText('You go on to app by yourself once it is approved.').waitFor()
  const request = new URL(page.url())

  const approver = await gateway.page('bob')
  await approver.goto(`${request.origin}${request.pathname}`)
  await approver.getByText('to see it').waitFor()
  await approver.getByRole('button', { name: 'Approve' }).click()
  await page.waitForURL(wanted)
  expect(await echo(page)).toMatchObject({ url: '/echo/wanted?after=approval' })

  await page.goto(app('/page'))
  const pages: BrowserContext = page.context()
  const home = await pages.newPage()
  await home.goto(gateway.url.href)
  await home.getByRole('button', { name: /Hand back/ }).click()
  await home
    .getByText(/Nothing is open|nothing open|no access/i)
    .first()
    .waitFor()
  await page.getByRole('link', { name: 'hello' }).click()
  await page
    .getByText(/handed back/i)
    .first()
    .waitFor()
  expect(page.url()).toBe(app('/hello'))
  // It says so until they come in again.
  await page.reload()
  await page
    .getByText(/handed back/i)
    .first()
    .waitFor()
  await page.getByRole('link', { name: /ask again/i }).click()
  await page.waitForURL((url) => url.host === gateway.url.host)
  await page.getByRole('heading', { name: /app as asked/ }).waitFor()
  await page
    .getByRole('textbox', { name: /reason|why/i })
    .first()
    .fill('once more')
  await page.getByRole('button', { name: /ask/i }).click()
  await approver.goto(page.url().replace(/\?.*/, ''))
  await approver.getByRole('button', { name: 'Approve' }).click()
  await page.waitForURL(app('/hello'))
  await pages.close()
})
