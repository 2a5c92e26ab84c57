// Goal: whoever is told of grants hears that one was extended, with where to ask for more, and hears nothing of a clock
// that started with the first use. Method: a real gateway, a real psql, and a webhook receiver.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startTestGateway } from '../servers/gateway.ts'
import { startWebhookReceiver } from '../servers/webhook-receiver.ts'

const hourMs = 3_600_000

test('an extension is told, a first use is not', { timeout: 90_000 }, async () => {
  await using stack = new AsyncDisposableStack()
  const receiver = stack.use(await startWebhookReceiver())
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'curfew-notify-')), (path) => rm(path, { recursive: true }))
  await writeFile(join(folder, 'webhook'), receiver.secret, { mode: 0o600 })
  const gateway = stack.use(
    await startTestGateway({
      configure: (config) => {
        const [reporting] = config.policies
        config.policies = [{ ...reporting!, grants: { clock: 'first-use' } }]
        config.notify = { webhooks: [{ name: 'siem', url: receiver.url.href, secrets: [`file:${folder}/webhook`] }] }
      },
    }),
  )
  const { access } = gateway.gateway
  const grant = await gateway.grant('alice', 'reporting', hourMs)
  await receiver.until(({ payload }) => payload.type === 'grant.started')
  const password = await gateway.token('alice')
  await using psql = gateway.psql({ user: 'reporting.token', password, commands: ['select 6 * 7'] })
  expect((await psql.exited()).stdout).toBe('42\n')
  const alice = await gateway.person('alice')
  await access.extend(alice, grant.id, { lengthMs: hourMs, reason: 'more', ticket: null, origin: 'test' })
  await access.handBack(alice, grant.id)
  await receiver.until(({ payload }) => payload.type === 'grant.handed-back')
  const all = await receiver.until(() => true, 7)
  const types = all.map(({ payload }) => String(payload.type))
  expect(types.toSorted()).toEqual([
    ...['grant.extended', 'grant.handed-back', 'grant.started'],
    ...['request.approved', 'request.approved', 'request.opened', 'request.opened'],
  ])
  const told = (type: string) => all.find(({ payload }) => payload.type === type)!.payload.data as { grant: object }
  expect(told('grant.started').grant).toMatchObject({ lengthSeconds: 3600, extendLink: null, uses: 'many' })
  expect(told('grant.extended').grant).toMatchObject({ lengthSeconds: null, useBy: null })
  const kinds = all.flatMap(({ payload }) => (payload.data as { request?: { kind: string } }).request?.kind ?? [])
  expect(kinds.toSorted()).toEqual(['access', 'access', 'extension', 'extension'])
})
