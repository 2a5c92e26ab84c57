// Goal: the operator's file with countries decides about real connections and real requests, and counts in risk. Method:
// the whole gateway; psql comes from this machine, which is in no country, and requests say from where they come.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mmdbOf } from '../geo/mmdb.ts'
import { startTestGateway, type TestGateway } from '../servers/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway({
    beforeLoad: (folder) =>
      writeFile(join(folder, 'countries.mmdb'), mmdbOf({ '203.0.113.0/24': 'DE', '198.51.100.0/24': 'FR' })),
    configure: (config) => {
      config.geo = { file: 'countries.mmdb' }
      for (const policy of config.policies) policy.from = { countries: ['DE', 'FR'] }
    },
  })
}, 90_000)
afterAll(() => gateway?.[Symbol.asyncDispose]())

test('countries decide about real requests and connections, and count in their risk', { timeout: 60_000 }, async () => {
  const { access, state } = gateway.gateway
  const alice = await gateway.person('alice')
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs: 60_000, reason: 'x', ticket: null, startsAt: null }
  const ask = (address: string, reason: string) =>
    access.ask(alice, { ...wish, reason, origin: 'test', asker: { address } })
  await expect(ask('127.0.0.1', 'a')).rejects.toMatchObject({ code: 'FROM_ELSEWHERE' })
  await expect(ask('192.0.2.1', 'b')).rejects.toMatchObject({ code: 'FROM_ELSEWHERE' })
  const { state: decided, risk } = await ask('::ffff:203.0.113.9', 'c')
  expect(decided).toBe('approved')
  expect(risk?.factors.map(({ label }) => label)).toEqual([
    ...['First time on prod-db', 'First time from DE', 'First time from the network 203.0.113.0/24'],
    '2 attempts were turned away within 24 hours',
  ])

  const psql = gateway.psql({ user: 'reporting.token', password: await gateway.token('alice'), commands: ['select 1'] })
  expect((await psql.exited()).stderr).toContain('FATAL:  prod-db as reporting may not be used from your country.')
  const [event] = await state.audit.search({ types: ['session.refused'], limit: 1 })
  expect(JSON.parse(event!.json)).toMatchObject({ data: { code: 'FROM_ELSEWHERE', address: '127.0.0.1' } })
  const metrics = await (await fetch(new URL('/metrics', gateway.opsUrl))).text()
  expect(metrics).toMatch(/^curfew_countries_file_good 1$/m)
})
