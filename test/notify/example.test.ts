// Goal: what the documentation tells receivers to do lets our messages in and nothing else, and its payload is ours.
// Method: the example runs as it is printed, and is sent to by the real sender, and by others.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { freePort } from '../../scripts/ports.ts'
import type { Notice } from '../../src/access/outbox.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { WebhookSender, webhookHeaders } from '../../src/notify/webhook.ts'
import { systemClock as clock } from '../../src/system.ts'
import { Program } from '../clients/program.ts'
import { newWebhookSecret } from '../servers/webhook-receiver.ts'

const docs = join(import.meta.dirname, '../../docs')

test('the receiver in docs/notifications.md takes what is signed, once, and refuses everything else', async () => {
  const [port, secret] = [await freePort(), newWebhookSecret()]
  const env = { SECRET: secret, LISTEN: String(port) }
  await using program = new Program(process.execPath, [join(docs, 'examples/webhook.mjs')], { env })
  const url = new URL(`http://127.0.0.1:${port}/`)
  await vi.waitFor(() => fetch(url), { timeout: 10_000 })
  const at = clock.now()
  const request = { id: 'request-x' }
  const notice: Notice = { id: 'notice-1', type: 'request.opened', at, subject: 'request-x', data: { request } }
  const settings = { name: 'x', url, secrets: [new Secret(secret)], ca: null, events: [] }
  await using sender = new WebhookSender(settings, { gateway: 'gw-1', clock })
  for (let times = 0; times < 2; times++) {
    expect(await sender.send(notice, AbortSignal.timeout(10_000))).toMatchObject({ kind: 'sent' })
  }
  await sender.send({ ...notice, id: 'notice-2', type: 'request.denied' }, AbortSignal.timeout(10_000))
  const printed = () =>
    program.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(1).join(' '))
  await vi.waitFor(() => expect(printed()).toEqual(['request.opened request-x', 'request.denied request-x']))

  const body = '{"type":"grant.started"}'
  const forged = webhookHeaders('notice-3', at, body, { secrets: [new Secret(newWebhookSecret())] })
  const stale = webhookHeaders('notice-3', at - 3_600_000, body, { secrets: [new Secret(secret)] })
  for (const headers of [{}, forged, stale]) {
    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(401)
  }
})

test('docs/notifications.md shows docs/examples/webhook.mjs as it is', async () => {
  const example = await readFile(join(docs, 'examples/webhook.mjs'), 'utf8')
  expect(await readFile(join(docs, 'notifications.md'), 'utf8')).toContain(`\n${example}\`\`\``)
})
