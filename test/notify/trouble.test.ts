// Goal: receivers that are down, slow or gone cost nobody but themselves, and nobody is told what is not true any more.
// Method: the whole gateway; receivers that come, go, and say nothing.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Request } from '../../src/access/states.ts'
import { openBrowser, signInAtProvider } from '../clients/browser.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway } from '../servers/gateway.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startSmtp, type SmtpSink } from '../servers/smtp.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts'

const stack = new AsyncDisposableStack()
let smtp: SmtpSink
let good: WebhookReceiver
let silent: WebhookReceiver
let place: TestGateway

beforeAll(async () => {
  smtp = stack.use(await startSmtp())
  good = stack.use(await startWebhookReceiver())
  silent = stack.use(await startWebhookReceiver())
  silent.answer = 'nothing'
  place = stack.use(await startTestGateway({ postgres: stack.use(await startPostgres()), configure, beforeLoad }))
  for (const login of ['alice', 'bob', 'olga'] as const) await place.person(login)
})
afterAll(() => stack.disposeAsync())

function configure(config: ConfigInput): void {
  config.notify = {
    endingBefore: '1s',
    includeReason: false,
    requester: { events: ['grant.ending', 'request.denied'] },
    mail: { host: 'localhost', port: smtp.port, ca: 'smtp-ca.pem', from: 'curfew@shop.example', ...login },
    webhooks: [
      { name: 'silent', url: silent.url.href, secrets: ['file:secrets/silent'] },
      { name: 'good', url: good.url.href, secrets: ['file:secrets/good'] },
    ],
  }
}
const login = { user: 'curfew', password: 'file:secrets/smtp-password' }

async function beforeLoad(folder: string): Promise<void> {
  await writeFile(join(folder, 'smtp-ca.pem'), smtp.ca)
  const secrets = { 'smtp-password': smtp.password, silent: silent.secret, good: good.secret }
  for (const [name, text] of Object.entries(secrets)) {
    await writeFile(join(folder, 'secrets', name), text, { mode: 0o600 })
  }
}

async function ask(who: Login, role: string, lengthMs = 3_600_000): Promise<Request> {
  const wish = { resource: 'prod-db', role, lengthMs, reason: 'a secret reason', ticket: null, startsAt: null }
  return place.gateway.access.ask(await place.person(who), { ...wish, origin: 'test' })
}

const messages = () => place.gateway.state.outbox.recent(200)

test('a receiver that never answers delays neither requests nor other receivers', async () => {
  for (let count = 0; count < 6; count++) await ask('alice', 'reporting', 1_000_000 + count)
  await silent.until(() => true, 4)
  await good.until(({ payload }) => payload.type === 'grant.started', 6)
  expect(silent.hooks.length).toBe(4) // as many as it may have at a time
})

test('what people wrote stays on the pages when the operator wants it so', async () => {
  const request = await ask('alice', 'readonly')
  const asked = await smtp.untilMail('bob@shop.example')
  expect(asked.source).not.toContain('secret reason')
  const [hook] = await good.until(({ payload }) => payload.data.request?.id === request.id)
  expect(hook!.payload.data.request.reason).toBeNull()
  await place.gateway.access.decide(await place.person('bob'), request.id, 'deny', 'a secret comment')
  const told = await smtp.untilMail('alice@shop.example', /refused$/)
  expect(told.source).not.toContain('secret comment')
})

test('a decision that is no longer needed is not asked for', async () => {
  smtp.refuse = () => ({ code: 451, text: 'try later' })
  const request = await ask('alice', 'admin')
  await expect
    .poll(async () =>
      (await messages()).filter(
        ({ message, notice }) => message.problem?.includes('try later') && notice.subject === request.id,
      ),
    )
    .toHaveLength(1)
  await place.gateway.access.cancel(await place.person('alice'), request.id)
  smtp.refuse = undefined
  const state = async () => {
    const mails = (await messages()).filter(
      ({ message, notice }) => message.channel === 'mail' && notice.subject === request.id,
    )
    return mails.map(({ message, notice }) => `${notice.type} ${message.state}: ${message.problem}`).toSorted()
  }
  await expect
    .poll(state, { timeout: 20_000 })
    .toEqual([
      'request.cancelled dropped: they were never asked',
      'request.opened dropped: the request is no longer open',
    ])
})

test('the end is announced before it comes, and not for what ended before', async () => {
  const living = await place.grant('alice', 'reporting', 4000)
  const ended = await place.grant('alice', 'reporting', 4001)
  await place.gateway.access.handBack(await place.person('alice'), ended.id)
  const [hook] = await good.until(
    ({ payload }) => payload.type === 'grant.ending' && payload.data.grant.id === living.id,
  )
  expect(hook!.payload.data.grant).toMatchObject({ state: 'active', role: 'reporting' })
  await smtp.untilMail('alice@shop.example', /ends soon$/)
  const state = async () =>
    (await messages())
      .filter(
        ({ notice, message }) =>
          notice.type === 'grant.ending' && notice.subject === ended.id && message.channel === 'mail',
      )
      .map(({ message }) => message.state)
  await expect.poll(state).toEqual(['dropped'])
})

test('a receiver that answers 410 is sent nothing more until an operator switches it on', async () => {
  good.answer = 410
  const before = good.hooks.length
  await ask('alice', 'reporting', 2_000_000)
  await good.until(() => true, before + 1)
  const off = () => place.gateway.state.outbox.switchedOff()
  await expect.poll(async () => (await off()).map(({ recipient }) => recipient)).toEqual(['good'])
  good.answer = 204
  const olga = await place.visitor('olga')
  const at = (path: string) => new URL(path, place.url)
  const page = async () => (await olga.open(at('/operations/notifications'), 'olga')).body
  expect(await page()).toContain('410 Gone')
  const stranger = await (await place.visitor('bob')).post(at('/operations/notifications/switch-on'), { name: 'good' })
  expect(stranger.status).toBe(403)
  expect((await olga.post(at('/operations/notifications/switch-on'), { name: 'good' })).status).toBe(303)
  expect(await off()).toEqual([])
  await olga.post(at('/operations/notifications/test'), { channel: 'webhook', name: 'good' })
  await good.until(({ payload }) => payload.type === 'test')
  const events = await place.gateway.state.audit.search({ text: 'notification.receiver', limit: 9 })
  expect(events.map(({ json }) => (JSON.parse(json) as { type: string }).type)).toEqual([
    'notification.receiver-switched-on',
    'notification.receiver-switched-off',
  ])
})

test('the page fits a telephone, also with long problems', async () => {
  await using browser = await openBrowser([place.certificate])
  const page = await browser.phonePage()
  await page.goto(new URL('/operations/notifications', place.url).href)
  await signInAtProvider(page, place.url.origin, 'olga')
  await page.getByRole('button', { name: 'Send a test message: Mail' }).click()
  await page.getByText('A test message was queued').waitFor()
  const { wide, shown } = await page.evaluate<Sizes>(
    '({ wide: document.documentElement.scrollWidth, shown: innerWidth })',
  )
  expect(wide).toBeLessThanOrEqual(shown)
})

interface Sizes {
  readonly wide: number
  readonly shown: number
}
