// Goal: the oldest TLS version and the keepalives are what the settings say, towards clients and towards targets.
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectTarget, type TargetWish } from '../../../src/protocols/postgres/target.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'
import { keepaliveIn } from '../../clients/keepalive-timer.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'
import { openStage, resourceOf, type Stage } from './stage.ts'

const deps = { clock: systemClock, random: systemRandom }
const never = new AbortController().signal
let postgres: TestPostgres
let stage: Stage

beforeAll(async () => {
  postgres = await startPostgres()
  const keepalives = { idleMs: 1_800_000, intervalMs: 7000, count: 3 }
  stage = await openStage(postgres, { listener: { minTlsVersion: 'TLSv1.3', keepalives } })
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

function wish(change: Partial<TargetWish['resource']>): TargetWish {
  const resource = { ...resourceOf(postgres), ...change }
  return { resource, role: resource.roles['readonly']!, database: 'shop', parameters: [] }
}

test('a client that cannot speak the oldest version gets no TLS', async () => {
  const max = (version: string) =>
    stage.psql(['-At', '-c', 'select 42'], 'readonly', `ssl_max_protocol_version=${version}`)
  const old = max('TLSv1.2')
  await old.exited
  expect(old.err).toMatch(/protocol version/)
  const current = max('TLSv1.3')
  await current.exited
  expect(current.out).toBe('42\n')
})

test('a target that cannot is not spoken to', async () => {
  const set = async (sql: string) => {
    await postgres.query(`alter system ${sql}`)
    await postgres.query('select pg_reload_conf()')
  }
  await set("set ssl_max_protocol_version = 'TLSv1.2'")
  try {
    await expect
      .poll(() => connectTarget(wish({ minTlsVersion: 'TLSv1.3' }), never, deps).catch((error: unknown) => error))
      .toMatchObject({ code: 'UPSTREAM_TLS' })
    const target = await connectTarget(wish({}), never, deps)
    target.socket.destroy()
  } finally {
    await set('reset ssl_max_protocol_version')
  }
})

test('a silent client is asked after its time', async () => {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port: stage.port, user: 'readonly', database: 'shop' },
    ssl: { ca: stage.ca, servername: 'localhost' },
  })
  await client.connect()
  await client.query('select 1')
  const { port } = stage.gate.last.session.client
  await expect.poll(() => keepaliveIn(stage.port, port)).toBe(30)
  await client.end()
})

test.each([
  [{ idleMs: 600_000, intervalMs: 5000, count: 2 }, 10],
  [null, null],
])('a silent target is asked with %o', async (keepalives, minutes) => {
  const target = await connectTarget(wish({ keepalives }), never, deps)
  try {
    const { localPort, remotePort } = target.socket
    await expect.poll(() => keepaliveIn(localPort!, remotePort!)).toBe(minutes)
  } finally {
    target.socket.destroy()
  }
})
