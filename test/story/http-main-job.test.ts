// Goal: the main job at a web application, as people live it: a link is opened, access is asked for and approved on a phone, the
// page goes on by itself, the work is done in it (a form, an upload, a WebSocket), the access ends while all is open and says
// why, security replays what was done, takes it away as HAR, and the recording proves itself.
// Method: the real Chromium, provider, gateway, application and command line; HAR by a validator that is not ours.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInAtProvider } from '../clients/browser.ts'
import { recordedHttp, type RecordedHttp } from '../clients/http-recorded.ts'
import { Program } from '../clients/program.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'
import { pattern } from '../servers/http-target-answers.ts'
import { expectInOrder } from './in-order.ts'

const { har: validate } = createRequire(import.meta.url)('har-validator') as {
  har: (data: unknown) => Promise<unknown>
}

const stack = new AsyncDisposableStack()
let gateway: HttpTestGateway
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-http-story-'))
  stack.defer(() => rm(folder, { recursive: true }))
  gateway = stack.use(
    await startHttpTestGateway({
      domain: 'gw.test',
      configure: (config) => {
        // Long enough for a slow machine to get to work, short enough to wait for.
        for (const policy of config.policies) policy.for = { default: '15s', most: '1m' }
        config.access = { warnBefore: ['10s'] }
      },
    }),
  )
}, 60_000)
afterAll(() => stack.disposeAsync())

test('the main job at a web application', { timeout: 90_000 }, async () => {
  const wanted = gateway.appUrl('/page?from=a-colleague&ticket=4711').href

  // The link leads to the sign-in, then to what they may ask for, then to the form.
  const page = await (await gateway.browser()).page()
  await page.goto(wanted)
  await page.locator('#login').fill('alice')
  await page.locator('#login').press('Enter')
  await page.getByRole('link', { name: 'Ask app as asked' }).click()
  await page
    .getByRole('textbox', { name: /reason|why/i })
    .first()
    .fill('An order hangs')
  await page.getByRole('button', { name: /ask/i }).click()
  await page.getByText('You go on to app by yourself once it is approved.').waitFor()
  await approveOnPhone(page.url().replace(/\?.*/, ''))

  // The page goes on by itself, to exactly what was wanted.
  await page.waitForURL(wanted)
  await page.getByText('a script ran').waitFor()
  await work(page)

  // The end comes while all is open.
  const open = await page.context().newPage()
  await open.goto(wanted)
  await keepOpen(open)
  await open.getByText(/^closed 1008 Your access to app as asked ended at /).waitFor({ timeout: 40_000 })
  await open.getByText('the stream broke').waitFor()
  await gateway.target.until(({ requests, webSockets }) => requests === 0 && webSockets === 0)
  await page.getByRole('link', { name: 'hello' }).click()
  await page.getByRole('heading', { name: /Your access to app as asked ended at / }).waitFor()
  await page.getByRole('link', { name: /ask again/i }).click()
  await page.getByRole('heading', { name: 'app as asked' }).waitFor()

  const recorded = await recordedHttp(gateway, 'asked')
  expectRecorded(recorded)
  await replaysInBrowser(recorded)
  await provesItself(recorded.file)
  await expectAudited()
})

async function approveOnPhone(link: string): Promise<void> {
  const approver = await (await gateway.browser()).phonePage()
  await approver.goto(link)
  await signInAtProvider(approver, gateway.url.origin, 'bob')
  await approver.getByText('An order hangs').waitFor()
  const fits = await approver.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
  expect(fits, 'fits the phone').toBe(true)
  await approver.getByRole('textbox').fill('go ahead')
  await approver.getByRole('button', { name: 'Approve' }).click()
  await approver.context().close()
}

const uploadBytes = 1_500_000

/** A form, an upload, and a conversation. */
async function work(page: Page): Promise<void> {
  await page.locator('[name=word]').fill('free the order')
  await page.getByRole('button', { name: 'Send' }).click()
  await page.getByText('free+the+order').waitFor()
  await page.goBack()
  await page.getByText('a script ran').waitFor()
  const form =
    '<form method=post action=/echo/up enctype=multipart/form-data><input type=file name=file><button>Up</button>'
  await page.evaluate(`document.querySelector('form').outerHTML = '${form}</form>'`)
  const file = { name: 'orders.bin', mimeType: 'application/x-orders', buffer: pattern(0, uploadBytes) }
  await page.locator('[type=file]').setInputFiles(file)
  await page.getByRole('button', { name: 'Up' }).click()
  await page.getByText('orders.bin').waitFor()
  await page.goBack()
  await page.getByText('a script ran').waitFor()
}

/** A WebSocket that talks and a stream that drips, until somebody ends them; what becomes of them is written into the page. */
async function keepOpen(page: Page): Promise<void> {
  await page.evaluate(`{
    const say = (text) => document.body.append(Object.assign(document.createElement('p'), { textContent: text }))
    const socket = new WebSocket('/ws/echo')
    socket.onopen = () => socket.send('hello from the page')
    socket.onmessage = ({ data }) => say('heard ' + data)
    socket.onclose = ({ code, reason }) => say('closed ' + code + ' ' + reason)
    fetch('/drip?n=1000000&piece=10&everyMs=50').then((answer) => answer.bytes()).catch(() => say('the stream broke'))
  }`)
  await page.getByText('heard hello from the page').waitFor()
}

function expectRecorded({ session, all, exchange }: RecordedHttp): void {
  expect(session.end).toMatchObject({ by: 'gate', code: 'GRANT_EXPIRED' })
  expect(exchange('/page?').request).toMatchObject({
    ...{ method: 'GET', version: '2', url: '/page?from=a-colleague&ticket=***', origin: gateway.appUrl('/').origin },
  })
  expect(exchange('/echo/form').answer).toMatchObject({
    status: 200,
    bytesUp: 'word=free+the+order'.length,
    result: 'ok',
  })
  const up = exchange('/echo/up').answer!
  expect(up.status).toBe(200)
  expect(up.bytesUp).toBeGreaterThan(uploadBytes)
  expect(exchange('/ws/echo').answer).toMatchObject({ status: 101, result: 'gate', code: 'GRANT_EXPIRED' })
  expect(exchange('/drip').answer).toMatchObject({ status: 200, result: 'gate', code: 'GRANT_EXPIRED' })
  expect(all('w').flatMap(({ messages }) => messages.map(([, direction]) => direction))).toEqual(['up', 'down'])
  expect(all('m').map(({ kind }) => kind)).toEqual(['warning', 'cut'])
  // Nothing that signs anybody in.
  expect(JSON.stringify([...all('q'), ...all('a'), ...all('s')])).not.toMatch(
    /__Host-curfew|"cookie"|authorization|eyJ/,
  )
}

async function replaysInBrowser({ session }: RecordedHttp): Promise<void> {
  const reviewer = await gateway.page('sam')
  await reviewer.goto(new URL(`/recordings/${session.session.id}`, gateway.url).href)
  await reviewer.getByText('Sealed and unchanged').waitFor()
  const shown = await reviewer.locator('main').innerText()
  for (const text of ['/echo/form', '/echo/up', '/ws/echo', 'Your access to app as asked ended at']) {
    expect(shown).toContain(text)
  }
  const downloading = reviewer.waitForEvent('download')
  await reviewer.locator('a[href$="/export/har"]').click()
  const har = JSON.parse(await readFile(await (await downloading).path(), 'utf8')) as Har
  await expectHar(har)
  await reviewer.context().close()
}

interface Har {
  readonly log: { readonly entries: readonly { readonly request: { readonly url: string } }[] }
}

async function expectHar(har: Har): Promise<void> {
  await validate(har)
  const urls = har.log.entries.map(({ request }) => new URL(request.url).pathname)
  expect(urls).toEqual(expect.arrayContaining(['/page', '/echo/form', '/echo/up', '/ws/echo', '/drip']))
}

/** Without the gateway. */
async function provesItself(file: string): Promise<void> {
  expect((await curfew('verify', file)).stdout).toMatch(/sealed|unchanged|ok/i)
  const replayed = (await curfew('replay', file)).stdout
  expect(replayed).toMatch(/POST.*200.*\/echo\/up/)
  expect(replayed).toMatch(/\/ws\/echo/)
  const har = join(folder, 'session.har')
  await curfew('replay', file, '--format', 'har', '-o', har)
  await expectHar(JSON.parse(await readFile(har, 'utf8')) as Har)
}

async function curfew(...args: readonly string[]) {
  await using program = new Program(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), ...args])
  const exit = await program.exited()
  if (exit.status !== 0) throw new Error(`curfew ${args.join(' ')}: ${exit.stdout}${exit.stderr}`)
  return exit
}

async function expectAudited(): Promise<void> {
  const events = await gateway.gateway.state.audit.events(0, 1000)
  const types = events.map(({ json }) => (JSON.parse(json) as { type: string }).type)
  const story = [
    'person.signed-in',
    'request.opened',
    'request.approved',
    'grant.started',
    'session.started',
    'session.ended',
    'recording.replayed',
  ]
  expectInOrder(types, story)
}
