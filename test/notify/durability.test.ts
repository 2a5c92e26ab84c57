// Goal: what is to be told is told, whatever stops in between, and nobody waits for a receiver.
// Method: gateways that are killed with SIGKILL, receivers that are down, silent or slow, and the next gateway on the data.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../scripts/ports.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startGateway } from '../../src/gateway.ts'
import type { ConfigInput } from '../servers/gateway.ts'
import { startPostgres, type TestPostgres } from '../servers/postgres.ts'
import { startSeparateGateway } from '../servers/separate-gateway.ts'
import { newWebhookSecret, startWebhookReceiver } from '../servers/webhook-receiver.ts'
import { silence } from '../store/place.ts'

const stack = new AsyncDisposableStack()
let postgres: TestPostgres

beforeAll(async () => {
  postgres = stack.use(await startPostgres())
})
afterAll(() => stack.disposeAsync())

const hourMs = 3_600_000

async function secretFile(secret: string): Promise<string> {
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'curfew-notify-')), (path) => rm(path, { recursive: true }))
  const file = join(folder, 'webhook')
  await writeFile(file, secret, { mode: 0o600 })
  return file
}

function telling(port: number, secretFile: string, events?: ['request.opened']) {
  return (config: ConfigInput): void => {
    const webhook = { name: 'siem', url: `http://127.0.0.1:${port}/hook`, secrets: [`file:${secretFile}`] }
    config.notify = { webhooks: [events === undefined ? webhook : { ...webhook, events }] }
  }
}

test('a receiver that is down gets everything after the gateway was killed and started again', async () => {
  const [port, secret] = [await freePort(), newWebhookSecret()]
  const file = await secretFile(secret)
  await using killed = await startSeparateGateway({ postgres, configure: telling(port, file) })
  await killed.enter(hourMs)
  await killed.kill()
  await using receiver = await startWebhookReceiver({ port, secret })
  await using _next = await startGateway(await loadConfig(killed.configFile, {}), { log: silence })
  await expect
    .poll(() => receiver.hooks.map(({ payload }) => String(payload.type)).toSorted())
    .toEqual(['grant.started', 'request.approved', 'request.opened'])
  expect(new Set(receiver.hooks.map(({ id }) => id)).size).toBe(3)
})

test('what was sent and not yet written down when it was killed is sent again, with the same id', async () => {
  await using receiver = await startWebhookReceiver()
  receiver.answer = 'nothing'
  const file = await secretFile(receiver.secret)
  await using killed = await startSeparateGateway({
    postgres,
    configure: telling(receiver.port, file, ['request.opened']),
  })
  await killed.enter(hourMs) // resolves although the receiver says nothing
  const [first] = await receiver.until(() => true)
  await killed.kill()
  receiver.answer = 204
  await using next = await startGateway(await loadConfig(killed.configFile, {}), { log: silence })
  const both = await receiver.until(() => true, 2)
  expect(both.map(({ id, body }) => [id, body])).toEqual([
    [first!.id, first!.body],
    [first!.id, first!.body],
  ])
  await expect
    .poll(async () => (await next.state.outbox.recent(9)).map(({ message }) => message.state))
    .toEqual(['sent'])
})

test('whoever begins to tell does not tell of what happened before', async () => {
  await using receiver = await startWebhookReceiver()
  const file = await secretFile(receiver.secret)
  await using before = await startSeparateGateway({ postgres })
  await before.enter(hourMs)
  await before.kill()
  const input = parse(await readFile(before.configFile, 'utf8')) as ConfigInput
  telling(receiver.port, file)(input)
  await writeFile(before.configFile, stringify(input))
  await using next = await startGateway(await loadConfig(before.configFile, {}), { log: silence })
  const person = (await next.state.identity.person('person-alice'))!
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs: 5000, reason: '', ticket: null, startsAt: null }
  const request = await next.access.ask(person, { ...wish, origin: 'test' })
  await receiver.until(({ payload }) => payload.type === 'grant.started')
  const told = receiver.hooks.filter(({ payload }) => payload.type === 'request.opened')
  expect(told.map(({ payload }) => payload.data.request.id)).toEqual([request.id])
})
