// Goal: from a terminal, operators see and end live sessions, see and test notifications; and a token does what it was made
// for. Method: the real CLI against a real gateway, with psql and a webhook receiver.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCurfew, type Curfew } from '../clients/curfew.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../servers/webhook-receiver.ts'

const stack = new AsyncDisposableStack()
let hooks: WebhookReceiver
let gateway: TestGateway
let curfew: Curfew

beforeAll(async () => {
  hooks = stack.use(await startWebhookReceiver())
  gateway = stack.use(
    await startTestGateway({
      configure: (config) => {
        const secrets = ['file:secrets/webhook'] as const
        config.notify = { webhooks: [{ name: 'siem', url: hooks.url.href, secrets: [...secrets] }] }
      },
      beforeLoad: (folder) => writeFile(join(folder, 'secrets/webhook'), hooks.secret, { mode: 0o600 }),
    }),
  )
  curfew = stack.use(await openCurfew(gateway))
}, 60_000)
afterAll(() => stack.disposeAsync())

test('live sessions are listed and ended, by those who may', { timeout: 60_000 }, async () => {
  await gateway.grant('alice', 'reporting')
  await using psql = gateway.psql({
    ...{ user: 'reporting.token', password: await gateway.token('alice') },
    commands: ['select 42', 'select pg_sleep(600)'],
  })
  await psql.until(/42/)
  const list = await curfew.run('alice', 'sessions')
  const [id] = /session-\w+/.exec(list.stdout)!
  expect(list.stdout).toMatch(/alice@shop\.example +prod-db(\/\S+)? as reporting +postgres 127\.0\.0\.1 +20/)
  const others = await curfew.run('alice', 'sessions', '--all')
  expect([others.status, others.stderr]).toEqual([1, expect.stringContaining('Only operators')])
  expect(await curfew.json('olga', 'sessions', '--all')).toMatchObject([{ id, resource: 'prod-db', role: 'reporting' }])
  const ended = await curfew.run('olga', 'sessions', 'end', id, '--comment', 'runs since noon')
  expect([ended.status, ended.stdout]).toEqual([0, `${id} is ended.\n`])
  expect((await psql.exited()).stderr).toContain('runs since noon')
  expect((await curfew.run('olga', 'sessions', '--all')).stderr).toBe('Nobody has a live session.\n')
  expect((await curfew.run('olga', 'sessions', 'end', id, '--json')).status).toBe(1)
})

test('a test message goes out, and its fate can be seen', { timeout: 60_000 }, async () => {
  const sent = await curfew.run('olga', 'notify', 'test', 'siem')
  expect([sent.status, sent.stdout]).toEqual([
    0,
    expect.stringMatching(/^A test message to siem \(.*\) is queued\.\n$/),
  ])
  await hooks.until(({ payload }) => payload.type === 'test')
  expect((await curfew.run('olga', 'notify')).stdout).toMatch(/^RECEIVER .*\nsiem +127\.0\.0\.1:\d+ +ok +0\n$/)
  const [status] = await curfew.json('olga', 'notify', 'status')
  expect(status).toMatchObject({ receivers: [{ channel: 'webhook', name: 'siem' }] })
  const mistyped = await curfew.run('olga', 'notify', 'test', 'sime')
  expect([mistyped.status, mistyped.stderr]).toEqual([1, expect.stringContaining('There are: siem')])
  const refused = await curfew.run('alice', 'notify')
  expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('for operators')])
})

test('a token with scopes speaks to the API as far as they go, and opens no session', { timeout: 60_000 }, async () => {
  const [made] = await curfew.json(
    'sam',
    'token',
    'create',
    '--scope',
    'audit:read',
    '--scope',
    'requests:read,evidence:read',
  )
  expect(made).toMatchObject({ kind: 'access', scopes: ['requests:read', 'audit:read', 'evidence:read'] })
  expect((await curfew.run('sam', 'token', 'list')).stdout).toContain('requests:read audit:read evidence:read')
  await using psql = gateway.psql({
    user: 'reporting.token',
    password: made!['text'] as string,
    commands: ['select 1'],
  })
  expect((await psql.exited()).stderr).toMatch(/it needs the scope sessions[\s\S]*--scope sessions/)
  const wrong = await curfew.run('sam', 'token', 'create', '--scope', 'everything')
  expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining('There is no scope')])
})
