// Goal: a button in Slack decides for exactly the person who is signed in at the gateway, and Slack's word alone for nobody.
// Method: the whole gateway, and a server that behaves as Slack documents its API; presses are posted over HTTPS with real
// signatures. What was decided is read from the rooms and from the audit log.
import { createHmac } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { Agent, fetch } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Request } from '../../src/access/states.ts'
import { Secret } from '../../src/kernel/secret.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { isFromSlack } from '../../src/notify/slack-signature.ts'
import { startTestGateway, type ConfigInput, type Login, type TestGateway } from '../servers/gateway.ts'
import { startPostgres } from '../servers/postgres.ts'
import { startSlackLike, type SlackLike } from '../servers/slack-like.ts'

const stack = new AsyncDisposableStack()
let slack: SlackLike
let place: TestGateway
let agent: Agent

const users = { alice: 'UALICE', bob: 'UBOB', carol: 'UCAROL', sam: 'USAM', stranger: 'USTRANGER' } as const
type User = keyof typeof users

beforeAll(async () => {
  const postgres = stack.use(await startPostgres())
  const members = Object.fromEntries(Object.entries(users).map(([name, id]) => [`${name}@shop.example`, id]))
  slack = stack.use(await startSlackLike(members, ['#access']))
  place = stack.use(await startTestGateway({ postgres, configure, beforeLoad }))
  agent = new Agent({ connect: { ca: place.ca } })
  stack.defer(() => agent.destroy())
  for (const login of ['alice', 'bob', 'carol', 'sam'] as const) await place.person(login)
}, 120_000)
afterAll(() => stack.disposeAsync())

function configure(config: ConfigInput): void {
  config.notify = {
    slack: {
      ...{ token: 'file:secrets/slack-token', channel: '#access', apiUrl: slack.apiUrl },
      ...{ buttons: true, signingSecret: 'file:secrets/slack-signing', team: slack.team },
    },
  }
}

async function beforeLoad(folder: string): Promise<void> {
  const secrets = { 'slack-token': slack.token, 'slack-signing': slack.signingSecret }
  for (const [name, text] of Object.entries(secrets)) {
    await writeFile(join(folder, 'secrets', name), text, { mode: 0o600 })
  }
}

async function ask(login: Login, role = 'readonly'): Promise<Request> {
  const reason = `because ${Math.random()}`
  const wish = { resource: 'prod-db', role, lengthMs: 3_600_000, reason, ticket: null, startsAt: null, origin: 'test' }
  return place.gateway.access.ask(await place.person(login), wish)
}

let presses = 0

/** What Slack posts when somebody has pressed a button and confirmed. */
function pressOn(request: Request, user: User, action: 'curfew-approve' | 'curfew-deny', over: object = {}) {
  const to = `/answers/${++presses}`
  const payload = {
    type: 'block_actions',
    team: { id: slack.team, domain: 'shop' },
    user: { id: users[user], username: user, team_id: slack.team },
    api_app_id: 'A0CURFEW',
    response_url: new URL(to, slack.apiUrl).href,
    actions: [{ action_id: action, block_id: 'x', type: 'button', value: request.id, action_ts: '1.2' }],
    ...over,
  }
  return { to, body: new URLSearchParams({ payload: JSON.stringify(payload) }).toString() }
}

interface Posting {
  readonly secret?: string
  readonly agoS?: number
  readonly signature?: string
  readonly headers?: Record<string, string>
}

async function post(body: string, { secret = slack.signingSecret, agoS = 0, signature, headers = {} }: Posting = {}) {
  const timestamp = String(Math.floor(Date.now() / 1000) - agoS)
  const signed = `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`
  const answer = await fetch(new URL('/slack/actions', place.url), {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': signature ?? signed,
      ...headers,
    },
    dispatcher: agent,
  })
  return { status: answer.status, text: await answer.text(), signed, timestamp }
}

async function press(request: Request, user: User, action: 'curfew-approve' | 'curfew-deny', over: object = {}) {
  const { to, body } = pressOn(request, user, action, over)
  expect((await post(body)).status).toBe(200)
  return slack.untilAnswered(to)
}

async function stateOf({ id }: Request): Promise<string | undefined> {
  return (await place.gateway.state.access.request(id))?.state
}

async function eventsAbout({
  id,
}: Request): Promise<{ type: string; person: string | null; data: Record<string, unknown> }[]> {
  const events = await place.gateway.state.audit.search({ limit: 500 })
  return events.map(({ json }) => JSON.parse(json)).filter(({ data }) => data.request === id)
}

const mine =
  ({ id }: Request) =>
  (message: { links: string[] }) =>
    message.links[0]?.endsWith(id) === true

test('the message to those who decide has both buttons, each asks once more; they go with the decision', async () => {
  const request = await ask('alice')
  const card = await slack.until(mine(request))
  expect(card.buttons.map(({ action_id, value }) => [action_id, value])).toEqual([
    ['curfew-deny', request.id],
    ['curfew-approve', request.id],
  ])
  expect(card.buttons.map(({ confirm }) => confirm.text)).toEqual([
    { type: 'plain_text', text: 'You refuse alice@shop.example: readonly on prod-db for 1 h.', emoji: false },
    { type: 'plain_text', text: 'You approve alice@shop.example: readonly on prod-db for 1 h.', emoji: false },
  ])
  const answer = await press(request, 'bob', 'curfew-approve')
  expect(answer).toMatchObject({ response_type: 'ephemeral', replace_original: false })
  expect(answer.text).toContain('You approved as bob@shop.example.')
  expect(await stateOf(request)).toBe('approved')
  const bob = await place.person('bob')
  expect(await eventsAbout(request)).toContainEqual(
    expect.objectContaining({
      type: 'request.approved',
      person: bob.id,
      data: expect.objectContaining({ via: 'slack' }),
    }),
  )
  await slack.until((message) => message === card && message.shown.includes('Approved by: bob@shop.example'))
  expect(card.buttons).toEqual([])
})

test('a refusal decides; of two it takes two people, and one who pressed twice is one', async () => {
  const refused = await ask('alice')
  expect((await press(refused, 'carol', 'curfew-deny')).text).toContain('You refused as carol@shop.example.')
  expect(await stateOf(refused)).toBe('denied')
  const two = await ask('alice', 'admin')
  await press(two, 'bob', 'curfew-approve')
  expect((await press(two, 'bob', 'curfew-approve')).text).toContain('You have decided on this request already.')
  expect(await stateOf(two)).toBe('requested')
  expect(await eventsAbout(two)).toContainEqual(
    expect.objectContaining({ type: 'request.approval-given', data: expect.objectContaining({ via: 'slack' }) }),
  )
  await press(two, 'carol', 'curfew-approve')
  expect(await stateOf(two)).toBe('approved')
  expect((await press(two, 'carol', 'curfew-deny')).text).toContain('Nothing was decided.')
})

test('whoever may not decide on the page may not here: the requester, another group, a role that is gone', async () => {
  const request = await ask('alice')
  expect((await press(request, 'alice', 'curfew-approve')).text).toContain('Nobody decides on their own request.')
  expect((await press(request, 'sam', 'curfew-approve')).text).toContain('You are not among those who decide')
  expect(await stateOf(request)).toBe('requested')
  const refusals = (await eventsAbout(request)).filter(({ type }) => type === 'decision.refused')
  expect(refusals.map(({ data }) => [data['code'], data['via']])).toEqual(
    expect.arrayContaining([
      ['SELF_APPROVAL', 'slack'],
      ['NOT_ALLOWED', 'slack'],
    ]),
  )
})

test('a wrong secret, an old time, one ahead, a changed body, no signature, a page elsewhere: nothing is looked at', async () => {
  const request = await ask('alice')
  const { body } = pressOn(request, 'bob', 'curfew-approve')
  const { body: other } = pressOn(request, 'carol', 'curfew-approve')
  const calls = slack.calls.filter((method) => method === 'users.info').length
  for (const posting of [
    { secret: 'another secret' },
    { agoS: 301 },
    { agoS: -301 },
    { signature: (await post(other, { secret: 'x' })).signed },
    { signature: '' },
    { signature: `v0=${'0'.repeat(64)}` },
    { signature: `v1=${'0'.repeat(64)}` },
  ] satisfies Posting[]) {
    expect((await post(body, posting)).status, JSON.stringify(posting)).toBe(401)
  }
  expect((await post(body, { headers: { origin: 'https://evil.example' } })).status).toBe(403)
  expect((await post('x'.repeat(70_000))).status).toBe(413)
  expect(slack.calls.filter((method) => method === 'users.info')).toHaveLength(calls)
  expect(await stateOf(request)).toBe('requested')
  expect((await eventsAbout(request)).map(({ type }) => type)).toEqual(['request.opened'])
})

test('the same post a second time is not looked at', async () => {
  const request = await ask('alice', 'admin')
  const { to, body } = pressOn(request, 'bob', 'curfew-approve')
  const first = await post(body)
  expect(first.status).toBe(200)
  await slack.untilAnswered(to)
  const headers = { 'x-slack-request-timestamp': first.timestamp }
  expect((await post(body, { signature: first.signed, headers })).status).toBe(401)
  expect(await stateOf(request)).toBe('requested')
})

test('another workspace, a guest of another one, a bot, somebody who left, nobody that Slack knows', async () => {
  const request = await ask('alice')
  for (const over of [
    { team: { id: 'T0OTHER' } },
    { team: null },
    { user: { id: users.bob, team_id: 'T0OTHER' } },
  ] as const) {
    expect((await press(request, 'bob', 'curfew-approve', over)).text).toContain('another workspace')
  }
  for (const odd of [{ team_id: 'T0OTHER' }, { deleted: true }, { is_bot: true }, { profile: {} }]) {
    slack.odd = { UBOB: odd }
    expect((await press(request, 'bob', 'curfew-approve')).text, JSON.stringify(odd)).toContain('Slack does not say')
  }
  slack.odd = {}
  expect((await press(request, 'bob', 'curfew-approve', { user: { id: 'UNOBODY' } })).text).toContain(
    'Decide on the page',
  )
  expect(await stateOf(request)).toBe('requested')
})

test('who is not signed in at the gateway decides nothing, and gets the link', async () => {
  const request = await ask('alice')
  const unknown = await press(request, 'stranger', 'curfew-approve')
  expect(unknown.text).toContain('cannot tell who you are')
  const { identity } = place.gateway
  const carol = await place.person('carol')
  for (const { id } of (await identity.own.list(carol.id)).browserSessions) await identity.own.revoke(carol, id)
  const answer = await press(request, 'carol', 'curfew-approve')
  expect(answer.text).toBe(
    `Nothing was decided. You are not signed in at the gateway. Open the page and decide there. <${new URL(`/requests/${request.id}`, place.url).href}|Look at it>`,
  )
  expect(await stateOf(request)).toBe('requested')
  expect(await eventsAbout(request)).toContainEqual(
    expect.objectContaining({
      type: 'decision.refused',
      person: carol.id,
      data: expect.objectContaining({ code: 'SIGN_IN_REQUIRED', via: 'slack', slackUser: 'UCAROL' }),
    }),
  )
})

test('an address that two people share is nobody', async () => {
  const request = await ask('alice')
  const sam = await place.person('sam')
  const twin = {
    ...sam,
    id: 'person-twin' as const,
    issuer: 'https://other.example',
    email: 'BOB@shop.example',
    groups: [],
  }
  await place.gateway.state.identity.transact((tx) => tx.savePerson(twin))
  expect((await press(request, 'bob', 'curfew-approve')).text).toContain('cannot tell who you are')
  expect(await stateOf(request)).toBe('requested')
})

test('answers go to Slack only, whatever a post says', async () => {
  const request = await ask('alice')
  const { body } = pressOn(request, 'alice', 'curfew-approve', { response_url: new URL('/healthz', place.url).href })
  expect((await post(body)).status).toBe(200)
  await expect.poll(async () => (await eventsAbout(request)).some(({ type }) => type === 'decision.refused')).toBe(true)
  await expect.poll(() => place.logFile && readLog()).toContain('was not told')
})

async function readLog(): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  return readFile(place.logFile, 'utf8')
}

test('a signature is right for its own body, time and secret only', () => {
  const now = 1_800_000_000_000 as Instant
  const sign = (secret: string, timestamp: string, body: string) =>
    `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`
  fc.assert(
    fc.property(
      fc.string(),
      fc.string({ minLength: 1 }),
      fc.integer({ min: -600, max: 600 }),
      fc.string(),
      (body, secret, agoS, junk) => {
        const timestamp = String(now / 1000 - agoS)
        const signature = sign(secret, timestamp, body)
        const check = (post: object, key = secret) =>
          isFromSlack({ body, timestamp, signature, ...post }, new Secret(key), now)
        expect(check({})).toBe(Math.abs(agoS) <= 300)
        expect(check({ body: `${body}x` })).toBe(false)
        expect(check({}, `${secret}x`)).toBe(false)
        expect(check({ signature: junk })).toBe(false)
        expect(check({ timestamp: junk })).toBe(junk === timestamp && Math.abs(agoS) <= 300)
      },
    ),
  )
})
