// Goal: an emergency is loud: security, those who review it, the person themself and webhooks hear of it at once, and again
// while nobody looks at it. Method: the whole gateway, a real SMTP server, a webhook receiver that checks signatures.
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
})
afterAll(() => stack.disposeAsync())

function configure(config: ConfigInput): void {
  config.policies.unshift({
    name: 'break glass',
    who: { groups: ['engineering'] },
    what: { roles: ['admin'] },
    breakGlass: { review: { from: ['approvers'], named: ['Sam@shop.example', 'never.seen@shop.example'] } },
  })
  config.notify = {
    mail: {
      ...{ host: 'localhost', port: smtp.port, ca: 'smtp-ca.pem', from: 'curfew@shop.example', approvers: false },
      ...{ user: smtp.user, password: 'file:secrets/smtp-password' },
    },
    webhooks: [{ name: 'siem', url: hooks.url.href, secrets: ['file:secrets/webhook'] }],
    security: { mail: ['soc@shop.example'], events: [] },
    groups: { approvers: { mail: ['approvers@lists.shop.example'] } },
  }
}

async function beforeLoad(folder: string): Promise<void> {
  await writeFile(join(folder, 'smtp-ca.pem'), smtp.ca)
  for (const [name, text] of Object.entries({ 'smtp-password': smtp.password, webhook: hooks.secret })) {
    await writeFile(join(folder, 'secrets', name), text, { mode: 0o600 })
  }
}

test(
  'everybody who should hears of it at once, of the wait when it is over, and of the review',
  { timeout: 30_000 },
  async () => {
    const { access, state } = place.gateway
    const [alice, bob] = [await place.person('alice'), await place.person('bob')]
    const request = await access.ask(alice, {
      ...{ resource: 'prod-db', role: 'admin', lengthMs: 600_000, reason: 'checkout is down <b>now</b>' },
      ...{ ticket: null, startsAt: null, origin: 'a test', emergency: true },
    })
    const review = (await access.reviews.ofRequest(request.id))!
    const link = new URL(`/reviews/${review.id}`, place.url).href
    for (const address of ['bob', 'carol', 'sam', 'never.seen', 'soc', 'approvers@lists'].map((one) =>
      one.includes('@') ? `${one}.shop.example` : `${one}@shop.example`,
    )) {
      const { mail } = await smtp.untilMail(address, /^EMERGENCY: alice@shop\.example took admin on prod-db$/)
      expect(mail.text).toContain('> checkout is down <b>now</b>')
      expect(mail.text).toContain(link)
      expect(mail.html).toContain('&lt;b&gt;now&lt;/b&gt;')
    }
    await smtp.untilMail('alice@shop.example', /^EMERGENCY: access to admin on prod-db was taken in your name$/)
    const [hook] = await hooks.until(({ payload }) => payload.type === 'break-glass.used')
    expect(hook!.payload.data).toMatchObject({
      review: {
        ...{ id: review.id, state: 'open', link, request: request.id, resource: 'prod-db', role: 'admin' },
        ...{
          person: { email: 'alice@shop.example' },
          reviewers: 'approvers or sam@shop.example or never.seen@shop.example',
          verdict: null,
        },
      },
    })
    await access.handBack(alice, (await state.access.grantOf(request.id))!.id)
    await smtp.untilMail('carol@shop.example', /^Nobody has reviewed the emergency of alice@shop\.example/)
    await hooks.until(({ payload }) => payload.type === 'review.waiting')
    await access.reviews.close(bob, review.id, 'justified', 'it was down')
    const told = await smtp.untilMail('alice@shop.example', /^Your emergency .* was reviewed: justified$/)
    expect(told.mail.text).toContain('Comment of bob@shop.example:\n> it was down')
    await hooks.until(({ payload }) => payload.type === 'review.closed')
    expect(hooks.badSignatures).toBe(0)
    expect(smtp.mails.some(({ to }) => to.includes('dave@shop.example'))).toBe(false)
    const metrics = async () => (await fetch(new URL('/metrics', place.opsUrl))).text()
    await expect.poll(metrics, { timeout: 5000 }).toMatch(/^curfew_open_reviews 0$/m)
  },
)

test('a campaign asks its reviewers, and whoever loses a token by it hears of that', { timeout: 30_000 }, async () => {
  const { access, identity } = place.gateway
  const [alice, bob, sam] = [await place.person('alice'), await place.person('bob'), await place.person('sam')]
  const wish = { label: 'nightly deploy', kind: 'access', lengthMs: 3_600_000 } as const
  const { token } = await identity.tokens.make(alice, wish)
  const { campaign, entries } = await access.campaigns.start(sam, {
    ...{ name: 'autumn', lengthMs: 86_400_000, grantMs: 0, tokenMs: 0, reviewers: ['approvers'] },
  })
  const asked = await smtp.untilMail(
    'approvers@lists.shop.example',
    /^Access review “autumn” began: \d+ entries to decide$/,
  )
  expect(asked.mail.text).toContain(new URL(`/reviews/campaigns/${campaign.id}`, place.url).href)
  const entry = entries.find(({ entry: { subject } }) => subject === token.id)!.entry
  await access.campaigns.decide(bob, entry.id, 'end', 'the deploy has a machine now')
  const told = await smtp.untilMail(
    'alice@shop.example',
    /^Your token “nightly deploy” ended \(access review “autumn”\)/,
  )
  expect(told.mail.text).toContain('> the deploy has a machine now')
  const [hook] = await hooks.until(({ payload }) => payload.type === 'campaign.entry-ended')
  expect(hook!.payload.data).toMatchObject({
    campaign: { id: campaign.id, counts: { ended: 1 } },
    entry: {
      kind: 'token',
      title: 'token “nightly deploy”',
      bySilence: false,
      holder: { email: 'alice@shop.example' },
    },
  })
  expect(hooks.badSignatures).toBe(0)
})

test('nobody is asked to decide in a campaign that is finished by then', { timeout: 30_000 }, async () => {
  const { access, state } = place.gateway
  const [bob, sam] = [await place.person('bob'), await place.person('sam')]
  smtp.refuse = () => ({ code: 451, text: 'try later' })
  const { campaign, entries } = await access.campaigns.start(sam, {
    ...{ name: 'winter', lengthMs: 86_400_000, grantMs: 0, tokenMs: 0, reviewers: ['approvers'] },
  })
  const asked = async () =>
    (await state.outbox.recent(200)).filter(
      ({ message, notice }) =>
        notice.subject === campaign.id && notice.type === 'campaign.started' && message.channel === 'mail',
    )
  const tries = async () => (await asked()).map(({ message }) => message.problem !== null)
  await expect.poll(tries).toEqual([true])
  for (const { entry } of entries) await access.campaigns.decide(bob, entry.id, 'confirm', 'still needed')
  smtp.refuse = undefined
  const states = async () => (await asked()).map(({ message }) => `${message.state}: ${message.problem}`)
  await expect.poll(states, { timeout: 20_000 }).toEqual(['dropped: the review is finished'])
})
