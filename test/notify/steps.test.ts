// Goal: those whose word is waited for are asked when it is, those who are called are called, and nobody who has spoken.
// Method: the whole gateway with a policy in steps, a real SMTP server, a webhook receiver and a server like Slack.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { noTerms } from '../../src/access/terms.ts'
import type { Request } from '../../src/access/states.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway } from '../servers/gateway.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startSlackLike, type SlackLike } from '../servers/slack-like.ts'
import { startSmtp, type SmtpSink } from '../servers/smtp.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts'

const stack = new AsyncDisposableStack()
let smtp: SmtpSink
let hooks: WebhookReceiver
let slack: SlackLike
let place: TestGateway

beforeAll(async () => {
  const postgres = stack.use(await startPostgres())
  smtp = stack.use(await startSmtp())
  hooks = stack.use(await startWebhookReceiver())
  slack = stack.use(await startSlackLike({}, ['#access', '#calls']))
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
    slack: { token: 'file:secrets/slack-token', channel: '#access', apiUrl: slack.apiUrl },
    webhooks: [{ name: 'siem', url: hooks.url.href, secrets: ['file:secrets/webhook'] }],
    groups: { operations: { slack: '#calls' } },
  }
  const steps = [
    { from: ['approvers'], named: ['stranger@shop.example'] },
    {
      from: ['security', 'approvers'],
      escalate: { after: '1s', to: { from: ['operations'], named: ['duty@shop.example'] } },
    },
  ]
  const admin = config.policies.find(({ name }) => name === 'admin')!
  admin.approval = { steps }
}

async function beforeLoad(folder: string): Promise<void> {
  await writeFile(join(folder, 'smtp-ca.pem'), smtp.ca)
  const secrets = { 'smtp-password': smtp.password, 'slack-token': slack.token, webhook: hooks.secret }
  for (const [name, text] of Object.entries(secrets)) {
    await writeFile(join(folder, 'secrets', name), text, { mode: 0o600 })
  }
}

const to = (login: string) => smtp.mails.filter((mail) => mail.to.includes(`${login}@shop.example`))

async function decide(login: Login, { id }: Request, terms = noTerms): Promise<Request> {
  return place.gateway.access.decide(await place.person(login), id, 'approve', '', undefined, terms)
}

test('each step asks its own people; silence calls others; whoever has spoken is left alone', async () => {
  const wish = { resource: 'prod-db', role: 'admin', lengthMs: 3_600_000, reason: 'why', ticket: null, startsAt: null }
  const request = await place.gateway.access.ask(await place.person('alice'), { ...wish, origin: 'test' })
  const first = await smtp.untilMail('bob@shop.example')
  expect(first.mail.text).toContain('Waits for: one more of approvers or stranger@shop.example (step 1 of 2)')
  await smtp.untilMail('carol@shop.example')
  await smtp.untilMail('stranger@shop.example') // has never signed in, but is named
  expect([to('sam'), to('olga'), to('duty')]).toEqual([[], [], []])

  await decide('bob', request, { ...noTerms, lengthMs: 600_000 })
  const asked = await smtp.untilMail('sam@shop.example')
  expect(asked.mail.subject).toBe('alice@shop.example asks for admin on prod-db')
  expect(asked.mail.inReplyTo).toBeUndefined()
  expect(asked.mail.text).toMatch(/Approved by: bob@shop\.example, .* \(for at most 10 min\)/)
  expect(asked.mail.text).toMatch(/Waits for: one more of security or approvers \(step 2 of 2\)/)
  expect(asked.mail.text).toMatch(/Calls: .*operations or duty@shop\.example/)
  const again = await smtp.untilMail('carol@shop.example', /^Re: /)
  expect(again.mail.inReplyTo).toBe(to('carol')[0]!.mail.messageId)

  const called = await smtp.untilMail('duty@shop.example')
  expect(called.mail.text).toMatch(/Called since: .*operations or duty@shop\.example/)
  await smtp.untilMail('olga@shop.example')
  expect(await place.gateway.access.toDecide(await place.person('olga'))).toHaveLength(1)
  await slack.until((message) => message.shown.includes('Called since'))

  expect(await decide('olga', request)).toMatchObject({ state: 'approved' })
  await smtp.untilMail('sam@shop.example', /^Re: /)
  const about = ({ payload }: (typeof hooks.hooks)[number]) => payload.data.request?.id === request.id
  const told = await hooks.until(about, 5)
  expect(told.map(({ payload }) => String(payload.type)).toSorted()).toEqual(
    ['request.advanced', 'request.approved', 'request.escalated', 'request.opened', 'request.seconded'].toSorted(),
  )
  const escalated = told.find(({ payload }) => payload.type === 'request.escalated')!
  expect(escalated.payload.data.request).toMatchObject({
    waitsFor: { step: 2, steps: 2, who: 'security or approvers', missing: 1, escalation: { called: true } },
    decisions: [{ step: 1, terms: { lengthSeconds: 600, role: null } }],
  })
  // Bob has spoken: he was asked once, and hears the end. Every message in Slack that asked says what came of it.
  await smtp.untilMail('bob@shop.example', /^Re: /)
  expect(to('bob')).toHaveLength(2)
  expect(to('dave')).toEqual([])
  await expect.poll(() => slack.posted.filter(({ shown }) => shown.includes('State: waits'))).toEqual([])
})
