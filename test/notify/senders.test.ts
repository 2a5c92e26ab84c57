// Goal: each channel tells apart what is sent, what is worth another try, and what never will be; and sends nothing to a
// server that cannot prove who it is. Method: real servers, and one that behaves as Slack documents its API.
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { Webhook } from 'standardwebhooks'
import type { Notice, QueuedMessage } from '../../src/access/outbox.ts'
import type { MailSettings, WebhookSettings } from '../../src/config/notify-settings.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { MailSender } from '../../src/notify/mail.ts'
import { SlackSender } from '../../src/notify/slack.ts'
import { WebhookSender, webhookHeaders } from '../../src/notify/webhook.ts'
import { wordingOf } from '../../src/notify/words.ts'
import { systemClock as clock } from '../../src/system.ts'
import { startSlackLike } from '../servers/slack-like.ts'
import { startSmtp, type SmtpSink } from '../servers/smtp.ts'
import { newWebhookSecret, startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts'

const at = clock.now()
const facts = { test: { by: { id: 'person-x', name: 'Olga', email: null }, link: 'https://gw.example.com/x' } } as const
const notice: Notice = { id: 'notice-1', type: 'test', at, subject: 'notice-1', data: { ...facts } }
const wording = wordingOf('test', facts, 'operator')

function queued(channel: 'mail' | 'slack', recipient: string): QueuedMessage {
  const times = { readyAt: at, dueAt: at, settledAt: null }
  return {
    notice,
    message: {
      ...{ id: 'message-x', notice: notice.id, channel, recipient, audience: 'operator', state: 'waiting' },
      ...{ ...times, attempts: 0, problem: null, reference: null },
    },
  }
}

const patience = () => AbortSignal.timeout(20_000)

function hookSettings({ url, secret }: WebhookReceiver, more: Partial<WebhookSettings> = {}): WebhookSettings {
  return { name: 'siem', url, secrets: [new Secret(secret)], ca: null, events: [], ...more }
}

async function sendHook(settings: WebhookSettings) {
  await using sender = new WebhookSender(settings, { gateway: 'gw-test', clock })
  return await sender.send(notice, patience())
}

test.each([
  [200, 'sent'],
  [204, 'sent'],
  [302, 'failed'],
  [400, 'failed'],
  [401, 'failed'],
  [410, 'gone'],
  [500, 'failed'],
] as const)('webhook: an answer of %i means %s', async (status, kind) => {
  await using receiver = await startWebhookReceiver()
  receiver.answer = status
  expect((await sendHook(hookSettings(receiver))).kind).toBe(kind)
})

test('webhook: redirects are not followed', async () => {
  await using elsewhere = await startWebhookReceiver()
  await using receiver = await startWebhookReceiver({ secret: elsewhere.secret })
  receiver.answer = 307
  receiver.location = elsewhere.url.href
  expect(await sendHook(hookSettings(receiver))).toEqual({ kind: 'failed', problem: 'the receiver answered 307' })
  expect([receiver.hooks.length, elsewhere.hooks.length, elsewhere.badSignatures]).toEqual([1, 0, 0])
})

test('webhook: while a secret is exchanged, both verify; another does not', async () => {
  const [old, young, other] = [newWebhookSecret(), newWebhookSecret(), newWebhookSecret()]
  const headers = webhookHeaders('notice-1', Date.now(), '{"a":1}', { secrets: [new Secret(old), new Secret(young)] })
  for (const secret of [old, young]) expect(new Webhook(secret).verify('{"a":1}', headers)).toEqual({ a: 1 })
  expect(() => new Webhook(other).verify('{"a":1}', headers)).toThrow()
  expect(() => new Webhook(old).verify('{"a":2}', headers)).toThrow()
})

test('webhook: nobody there, and a cut-off, are failures that say so', async () => {
  const receiver = await startWebhookReceiver()
  const settings = hookSettings(receiver)
  receiver.answer = 'nothing'
  await using sender = new WebhookSender(settings, { gateway: 'gw-test', clock })
  const cut = new AbortController()
  const sending = sender.send(notice, cut.signal)
  await receiver.until(() => true)
  cut.abort()
  expect((await sending).kind).toBe('failed')
  await receiver[Symbol.asyncDispose]()
  expect(await sendHook(settings)).toMatchObject({ kind: 'failed', problem: expect.stringContaining('ECONNREFUSED') })
})

function mailSettings(smtp: SmtpSink, more: Partial<MailSettings> = {}): MailSettings {
  return {
    ...{ host: 'localhost', port: smtp.port, tls: 'starttls', ca: smtp.ca, from: 'curfew@shop.example', replyTo: null },
    ...{ login: { user: smtp.user, password: new Secret(smtp.password) }, deciders: true, ...more },
  }
}

function sendMail(settings: MailSettings, recipient = 'olga@shop.example') {
  return new MailSender(settings, 'gw.example.com').send(queued('mail', recipient), patience())
}

test('mail: goes over STARTTLS with a login', async () => {
  await using smtp = await startSmtp()
  expect(await sendMail(mailSettings(smtp))).toEqual({ kind: 'sent', reference: null })
  expect(smtp.mails).toHaveLength(1)
  expect(smtp.mails[0]).toMatchObject({ encrypted: true, to: ['olga@shop.example'] })
})

test('mail: a server with another certificate, or another name, or without STARTTLS gets neither mail nor password', async () => {
  await using smtp = await startSmtp()
  await using named = await startSmtp({ names: ['mail.shop.example'] })
  expect((await sendMail(mailSettings(smtp, { ca: named.ca }))).kind).toBe('failed')
  expect((await sendMail(mailSettings(named))).kind).toBe('failed')
  const heard: string[] = []
  const plain = createServer((socket) => {
    socket.write('220 hello\r\n')
    socket.on('data', (bytes) => {
      heard.push(bytes.toString())
      socket.write(bytes.toString().startsWith('EHLO') ? '250-hi\r\n250 AUTH PLAIN\r\n' : '502 what?\r\n')
    })
    socket.on('error', () => undefined) // it hangs up on us
  }).listen(0, '127.0.0.1')
  await once(plain, 'listening')
  const { port } = plain.address() as AddressInfo
  expect((await sendMail(mailSettings(smtp, { port }))).kind).toBe('failed')
  expect(heard.join('')).not.toMatch(/AUTH|MAIL|curfew@/)
  plain.close()
  expect([...smtp.mails, ...named.mails]).toEqual([])
})

test('mail: a refused login is tried again, an unknown recipient is not, a full mailbox is', async () => {
  await using smtp = await startSmtp()
  const wrong = await sendMail(mailSettings(smtp, { login: { user: smtp.user, password: new Secret('wrong') } }))
  expect(wrong).toMatchObject({ kind: 'failed' })
  expect(JSON.stringify(wrong)).not.toContain('wrong')
  smtp.refuse = () => ({ code: 550, text: 'no such user' })
  expect(await sendMail(mailSettings(smtp))).toMatchObject({
    kind: 'refused',
    problem: expect.stringContaining('no such'),
  })
  smtp.refuse = () => ({ code: 452, text: 'mailbox full' })
  expect(await sendMail(mailSettings(smtp))).toMatchObject({ kind: 'failed' })
})

test('mail: a server that says nothing is left when the attempt is over', async () => {
  const silent = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  await using smtp = await startSmtp()
  const cut = new AbortController()
  const { port } = silent.address() as AddressInfo
  const sender = new MailSender(mailSettings(smtp, { port }), 'gw.example.com')
  const connected = once(silent, 'connection')
  const sending = sender.send(queued('mail', 'olga@shop.example'), cut.signal)
  const [socket] = (await connected) as [import('node:net').Socket]
  const closed = once(socket, 'close')
  cut.abort()
  expect((await sending).kind).toBe('failed')
  await closed
  silent.close()
})

async function withSlack(token?: string) {
  const slack = await startSlackLike({ 'bob@shop.example': 'UBOB' }, ['#access'])
  const settings = { apiUrl: new URL(slack.apiUrl), channel: null, directMessages: true, buttons: null }
  const sender = new SlackSender({ ...settings, token: new Secret(token ?? slack.token) })
  return {
    slack,
    send: (recipient: string, ...before: readonly string[]) =>
      sender.send(queued('slack', recipient), wording, before, patience()),
    async [Symbol.asyncDispose]() {
      await sender[Symbol.asyncDispose]()
      await slack[Symbol.asyncDispose]()
    },
  }
}

test('a server that behaves as Slack documents: posts, direct messages, changes', async () => {
  await using on = await withSlack()
  const posted = await on.send('#access')
  expect(posted).toEqual({ kind: 'sent', reference: expect.stringMatching(/^C0:\d+\.\d+$/) })
  expect(await on.send('#access', posted.kind === 'sent' ? posted.reference! : '')).toEqual(posted)
  expect(on.slack.posted).toMatchObject([{ updates: 1, metadata: { event_payload: { message: 'message-x' } } }])
  expect(await on.send('@bob@shop.example')).toMatchObject({ reference: expect.stringMatching(/^DUBOB:/) })
  await on.send('@bob@shop.example')
  expect(on.slack.calls.filter((method) => method === 'users.lookupByEmail')).toHaveLength(1)
})

test('a server that behaves as Slack documents: quiet when asked for, and what never succeeds', async () => {
  await using on = await withSlack()
  on.slack.rateLimits = [42]
  expect(await on.send('#access')).toMatchObject({ kind: 'failed', pauseMs: 42_000 })
  expect(await on.send('@nobody@shop.example')).toMatchObject({
    kind: 'void',
    why: expect.stringContaining('users_not_found'),
  })
  expect(await on.send('#access', 'C0:1.0')).toMatchObject({ kind: 'void' })
  expect(await on.send('#elsewhere')).toMatchObject({
    kind: 'failed',
    problem: expect.stringContaining('channel_not_found'),
  })
  await using stranger = await withSlack('xoxb-another')
  const refused = await stranger.send('#access')
  expect(refused).toMatchObject({ kind: 'failed', problem: expect.stringContaining('invalid_auth') })
  expect(JSON.stringify(refused)).not.toContain('xoxb')
})
