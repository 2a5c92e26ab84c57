// Goal: people hear of what they must decide and of what was decided, by mail, webhook and Slack, and nobody else does.
// Method: the whole gateway, a real SMTP server, a webhook receiver that checks signatures, and a server that behaves as
// Slack documents its API.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Request } from '../../src/access/states.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway } from '../servers/gateway.ts'
import { startPostgres, type TestPostgres } from '../servers/postgres.ts'
import { startSlackLike, type SlackLike } from '../servers/slack-like.ts'
import { startSmtp, type SmtpSink } from '../servers/smtp.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts'

const stack = new AsyncDisposableStack()
let postgres: TestPostgres
let smtp: SmtpSink
let hooks: WebhookReceiver
let slack: SlackLike
let place: TestGateway

beforeAll(async () => {
  postgres = stack.use(await startPostgres())
  smtp = stack.use(await startSmtp())
  hooks = stack.use(await startWebhookReceiver())
  slack = stack.use(
    await startSlackLike({ 'bob@shop.example': 'UBOB', 'alice@shop.example': 'UALICE' }, ['#access', '#dba']),
  )
  place = stack.use(await startTestGateway({ postgres, configure, beforeLoad }))
  for (const login of ['alice', 'bob', 'carol', 'sam', 'olga', 'dave'] as const) await place.person(login)
})
afterAll(() => stack.disposeAsync())

function configure(config: ConfigInput): void {
  config.notify = {
    mail: {
      ...{ host: 'localhost', port: smtp.port, ca: 'smtp-ca.pem', from: 'curfew@shop.example' },
      ...{ user: smtp.user, password: 'file:secrets/smtp-password' },
    },
    slack: { token: 'file:secrets/slack-token', channel: '#access', directMessages: true, apiUrl: slack.apiUrl },
    webhooks: [{ name: 'siem', url: hooks.url.href, secrets: ['file:secrets/webhook'] }],
    security: { mail: ['soc@shop.example'], slack: '#dba' },
    groups: { approvers: { mail: ['approvers@lists.shop.example'] } },
  }
}

async function beforeLoad(folder: string): Promise<void> {
  await writeFile(join(folder, 'smtp-ca.pem'), smtp.ca)
  const secrets = { 'smtp-password': smtp.password, 'slack-token': slack.token, webhook: hooks.secret }
  for (const [name, text] of Object.entries(secrets)) {
    await writeFile(join(folder, 'secrets', name), text, { mode: 0o600 })
  }
}

async function ask(login: Login, role: string, reason: string): Promise<Request> {
  const wish = { resource: 'prod-db', role, lengthMs: 3_600_000, reason, ticket: null, startsAt: null, origin: 'test' }
  return place.gateway.access.ask(await place.person(login), wish)
}

async function decide(login: Login, request: Request, verdict: 'approve' | 'deny', comment: string): Promise<Request> {
  return place.gateway.access.decide(await place.person(login), request.id, verdict, comment)
}

const about = (request: Request) => (hook: { payload: { data: { request?: { id: string } } } }) =>
  hook.payload.data.request?.id === request.id

test('mail: those who may decide are asked, the decision follows in their thread, and the requester hears of it', async () => {
  const request = await ask('alice', 'readonly', 'invoices of <b>March</b> & April')
  const link = new URL(`/requests/${request.id}`, place.url).href
  const asked = await smtp.untilMail('bob@shop.example', /^Alice|^alice/)
  expect(asked).toMatchObject({ encrypted: true, to: ['bob@shop.example'] })
  expect(asked.mail.subject).toBe('alice@shop.example asks for readonly on prod-db')
  expect(asked.mail.text).toContain('> invoices of <b>March</b> & April')
  expect(asked.mail.text).toContain(link)
  expect(asked.mail.html).toContain('invoices of &lt;b&gt;March&lt;/b&gt; &amp; April')
  expect(asked.mail.headers.get('auto-submitted')).toBe('auto-generated')
  await smtp.untilMail('carol@shop.example')
  await smtp.untilMail('approvers@lists.shop.example')
  await decide('bob', request, 'approve', 'go ahead')
  const told = await smtp.untilMail('alice@shop.example')
  expect(told.mail.subject).toBe('Your request for readonly on prod-db: approved')
  expect(told.mail.text).toMatch(/Approved by: bob@shop\.example[^]*Comment of bob@shop\.example:\n> go ahead/)
  const followed = await smtp.untilMail('carol@shop.example', /^Re: /)
  const first = smtp.mails.find(({ to }) => to.includes('carol@shop.example'))!
  expect(followed.mail.inReplyTo).toBe(first.mail.messageId)
  expect(followed.mail.references).toBe(first.mail.messageId)
  expect(followed.mail.messageId).not.toBe(first.mail.messageId)
  await smtp.untilMail('approvers@lists.shop.example', /^Re: /)
  // Bob decided himself; Dave, Sam and Olga may not decide.
  const strangers = ['dave@shop.example', 'sam@shop.example', 'olga@shop.example', 'soc@shop.example']
  expect(smtp.mails.flatMap(({ to }) => to).filter((address) => strangers.includes(address))).toEqual([])
  expect(smtp.mails.filter(({ to }) => to.includes('bob@shop.example'))).toHaveLength(1)
})

test('webhook: each event once, signed, with the facts and the link', async () => {
  const request = await ask('alice', 'admin', 'a broken index')
  await decide('bob', request, 'approve', 'one')
  await decide('carol', request, 'deny', 'not today')
  const found = await hooks.until(about(request), 3)
  expect(found.map(({ payload }) => String(payload.type)).toSorted()).toEqual([
    'request.denied',
    'request.opened',
    'request.seconded',
  ])
  const denied = found.find(({ payload }) => payload.type === 'request.denied')!
  expect(denied.payload).toMatchObject({ version: 1, gateway: 'gw-test', timestamp: expect.stringMatching(/Z$/) })
  expect(denied.payload.data.request).toMatchObject({
    ...{ state: 'denied', role: 'admin', resource: 'prod-db', reason: 'a broken index', lengthSeconds: 3600 },
    requester: { email: 'alice@shop.example' },
    link: new URL(`/requests/${request.id}`, place.url).href,
    decisions: [
      { verdict: 'approve', comment: 'one', by: { email: 'bob@shop.example' } },
      { verdict: 'deny', comment: 'not today', by: { email: 'carol@shop.example' } },
    ],
  })
  expect(new Set(found.map(({ id }) => id)).size).toBe(3)
  expect(hooks.badSignatures).toBe(0)
})

test('a server that behaves as Slack documents: one message is posted, and changed as people decide', async () => {
  const request = await ask('alice', 'admin', '<!channel> *all* <https://evil.example|here>')
  const mine = (channel: string) => (message: { channel: string; links: string[] }) =>
    message.channel === channel && message.links[0]?.endsWith(request.id) === true
  const card = await slack.until(mine('C0'))
  expect(card.shown).toContain('waits for a decision')
  expect(card.shown).toContain('<!channel> *all* <https://evil.example|here>') // literal, in a text element
  expect(card.text).not.toMatch(/[<>]/)
  const direct = await slack.until(mine('DUBOB'))
  await decide('bob', request, 'approve', '')
  await slack.until((message) => message === card && message.shown.includes('Approved by: bob@shop.example'))
  await decide('carol', request, 'approve', '')
  await slack.until((message) => message === card && message.shown.includes('Approved by: carol@shop.example'))
  await slack.until((message) => message === direct && message.shown.includes('State: approved'))
  const told = await slack.until(
    (message) => message.channel === 'DUALICE' && message.text.endsWith('approved') && mine('DUALICE')(message),
  )
  expect(told.text).toBe('Your request for admin on prod-db: approved')
  expect(slack.posted.filter(mine('C0'))).toHaveLength(1)
  expect(card.links).toEqual([new URL(`/requests/${request.id}`, place.url).href])
})

test('a change of a message that is slow to arrive does not undo the next one', async () => {
  const request = await ask('alice', 'admin', 'two at once')
  const mine = (channel: string) => (message: { channel: string; links: string[] }) =>
    message.channel === channel && message.links[0]?.endsWith(request.id) === true
  const [card, direct] = [await slack.until(mine('C0')), await slack.until(mine('DUBOB'))]
  const slow = Promise.withResolvers<void>()
  slack.held = { channel: 'C0', until: slow.promise }
  await decide('bob', request, 'approve', '')
  await expect.poll(() => slack.held).toBeUndefined() // it is under way
  await decide('carol', request, 'approve', '')
  await slack.until((message) => message === direct && message.shown.includes('State: approved'))
  slow.resolve()
  await expect.poll(() => card.updates, { timeout: 10_000 }).toBe(2)
  expect(card.shown).toContain('State: approved')
})

test('security hears of locks and of what was revoked', async () => {
  const olga = await place.person('olga')
  await place.gateway.access.placeLock(olga, { person: null, resource: null, role: 'nothing' }, 'a drill')
  const mail = await smtp.untilMail('soc@shop.example', /^Locked/)
  expect(mail.mail.text).toContain('> a drill')
  await slack.until(({ channel, text }) => channel === 'C1' && text.startsWith('Locked'))
  await hooks.until(({ payload }) => payload.type === 'lock.placed')
})

test('operators see receivers and messages, and can send a test; others cannot', async () => {
  const olga = await place.visitor('olga')
  const page = async () => (await olga.open(new URL('/operations/notifications', place.url), 'olga')).body
  expect(await page()).toContain('Webhook siem')
  const post = (path: string, form: Record<string, string>) => olga.post(new URL(path, place.url), form)
  await post('/operations/notifications/test', { channel: 'webhook', name: 'siem' })
  await post('/operations/notifications/test', { channel: 'mail', name: 'mail' })
  const [hook] = await hooks.until(({ payload }) => payload.type === 'test')
  expect(hook!.payload.data.test.by.email).toBe('olga@shop.example')
  await smtp.untilMail('olga@shop.example', /^A test message from Curfew$/)
  expect(await page()).toContain('olga@shop.example')
  const dave = await place.visitor('dave')
  expect((await dave.open(new URL('/operations/notifications', place.url), 'dave')).status).toBe(403)
  await vi.waitFor(
    async () => {
      const metrics = await (await fetch(new URL('/metrics', place.opsUrl))).text()
      expect(metrics).toMatch(/curfew_notifications_total\{channel="mail",outcome="sent"\} [1-9]/)
      expect(metrics).toContain('curfew_notifications_waiting{channel="webhook"} 0')
    },
    { timeout: 20_000 },
  )
})
