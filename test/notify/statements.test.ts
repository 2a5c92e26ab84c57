// oxlint-disable unicorn/no-thenable -- a word of the file; it is never a function
// Goal: those who are asked about a statement hear of it while it waits, nobody else does, and webhooks hear what came of it.
// Method: the whole gateway and psql, a real SMTP server, a webhook receiver that checks signatures.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestGateway, type ConfigInput, type TestGateway } from '../servers/gateway.ts'
import { startSmtp, type SmtpSink } from '../servers/smtp.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts'

const stack = new AsyncDisposableStack()
let smtp: SmtpSink
let hooks: WebhookReceiver
let place: TestGateway

beforeAll(async () => {
  smtp = stack.use(await startSmtp())
  hooks = stack.use(await startWebhookReceiver())
  place = stack.use(await startTestGateway({ configure, beforeLoad }))
  for (const login of ['alice', 'bob', 'carol', 'sam', 'dave'] as const) await place.person(login)
  await place.grant('alice', 'reporting')
})
afterAll(() => stack.disposeAsync())

function configure(config: ConfigInput): void {
  const { roles } = config.resources['prod-db'] as { roles: Record<string, Record<string, unknown>> }
  const rules = [{ name: 'making', when: { kinds: ['create'] }, then: 'ask' }]
  const askers = { from: ['approvers'], named: ['never.seen@shop.example', 'alice@shop.example'] }
  Object.assign(roles['reporting']!, { guard: { rules, askers } })
  config.notify = {
    mail: {
      ...{ host: 'localhost', port: smtp.port, ca: 'smtp-ca.pem', from: 'curfew@shop.example' },
      ...{ user: smtp.user, password: 'file:secrets/smtp-password' },
    },
    webhooks: [{ name: 'siem', url: hooks.url.href, secrets: ['file:secrets/webhook'] }],
    groups: { approvers: { mail: ['approvers@lists.shop.example'] } },
  }
}

async function beforeLoad(folder: string): Promise<void> {
  await writeFile(join(folder, 'smtp-ca.pem'), smtp.ca)
  for (const [name, text] of Object.entries({ 'smtp-password': smtp.password, webhook: hooks.secret })) {
    await writeFile(join(folder, 'secrets', name), text, { mode: 0o600 })
  }
}

test('in person and together, and never the person themself', { timeout: 30_000 }, async () => {
  const password = await place.token('alice')
  await using psql = place.psql({
    user: 'reporting.token',
    password,
    commands: ['create temp table x ()'],
  })
  for (const address of [
    'bob@shop.example',
    'carol@shop.example',
    'never.seen@shop.example',
    'approvers@lists.shop.example',
  ]) {
    const { mail } = await smtp.untilMail(address, /^alice@shop\.example waits to run a statement on prod-db$/)
    expect(mail.text).toContain('> create temp table x ()')
    expect(mail.text).toMatch(/https:\/\/localhost:\d+\/statements\/question-/)
  }
  const { questions } = place.gateway.access
  const bob = await place.person('bob')
  const [view] = await questions.waitingFor(bob)
  await questions.decide(bob, view!.question.id, 'approve', 'as agreed')
  await psql.exited()
  const asked = await hooks.until(({ payload }) => payload.type === 'statement.asked')
  expect(asked[0]!.payload.data).toMatchObject({
    statement: { id: view!.question.id, state: 'waiting', about: 'create on x', rule: 'making', answeredBy: null },
  })
  const answered = await hooks.until(({ payload }) => payload.type === 'statement.answered')
  expect(answered[0]!.payload.data).toMatchObject({
    statement: { state: 'approved', comment: 'as agreed', answeredBy: { email: 'bob@shop.example' } },
  })
  expect(hooks.badSignatures).toBe(0)
  expect(smtp.mails.some(({ to }) => to.includes('alice@shop.example') || to.includes('dave@shop.example'))).toBe(false)
})
