import { expect, test } from 'vitest'
import { metricTable } from '../../src/kernel/metrics.ts'
import { createLog } from '../../src/observability/log.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { listenOps } from '../../src/observability/ops.ts'
import type { Readiness } from '../../src/observability/ops.ts'

async function start(ready: () => Promise<Readiness> = async () => ({ ok: true, problems: [] })) {
  const metrics = createMetrics()
  const lines: string[] = []
  const log = createLog({ level: 'debug', destination: { write: (line) => void lines.push(line) } })
  const ops = await listenOps({ address: '127.0.0.1', port: 0 }, { metrics, ready, log })
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${ops.port}${path}`, init)
  return { metrics, lines, get, [Symbol.asyncDispose]: () => ops[Symbol.asyncDispose]() }
}

test('/healthz answers as long as the process does', async () => {
  await using ops = await start(async () => ({ ok: false, problems: ['no state'] }))
  const response = await ops.get('/healthz')
  expect([response.status, await response.json()]).toEqual([200, { ok: true }])
})

test('/readyz says with 503 what is wrong', async () => {
  const now: { readiness: Readiness } = { readiness: { ok: true, problems: [] } }
  await using ops = await start(async () => now.readiness)
  expect((await ops.get('/readyz')).status).toBe(200)
  now.readiness = { ok: false, problems: ['the state cannot be read and written'] }
  const response = await ops.get('/readyz')
  expect([response.status, await response.json()]).toEqual([503, now.readiness])
})

test('a check that throws is an answer of 500 and a line in the log, without the reason on the wire', async () => {
  await using ops = await start(() => Promise.reject(new Error('disk on fire')))
  const response = await ops.get('/readyz')
  expect([response.status, await response.text()]).toEqual([500, 'internal error\n'])
  expect(ops.lines.join('')).toContain('disk on fire')
})

test('/metrics has every metric of the table and those of the process', async () => {
  await using ops = await start()
  ops.metrics.add('curfew_connections_total', { protocol: 'postgres' })
  ops.metrics.add('curfew_recording_bytes_total', {}, 12)
  ops.metrics.set('curfew_sessions_live', {}, 7)
  ops.metrics.observe('curfew_cut_latency_seconds', { code: 'GRANT_EXPIRED' }, 0.004)
  const text = await (await ops.get('/metrics')).text()
  for (const [name, { type }] of Object.entries(metricTable)) expect(text).toContain(`# TYPE ${name} ${type}`)
  expect(text).toContain('curfew_connections_total{protocol="postgres"} 1')
  expect(text).toContain('curfew_recording_bytes_total 12')
  expect(text).toContain('curfew_sessions_live 7')
  expect(text).toContain('curfew_cut_latency_seconds_bucket{le="0.005",code="GRANT_EXPIRED"} 1')
  expect(text).toContain('process_cpu_seconds_total')
  expect(text).toContain('nodejs_eventloop_lag_seconds')
})

test('anything else is refused', async () => {
  await using ops = await start()
  expect((await ops.get('/')).status).toBe(404)
  expect((await ops.get('/metrics', { method: 'POST', body: 'x' })).status).toBe(405)
})

test('a port that is taken is the system error, for the caller to explain', async () => {
  const metrics = createMetrics()
  const deps = { metrics, log: createLog({ level: 'error' }), ready: async () => ({ ok: true, problems: [] }) }
  await using first = await listenOps({ address: '127.0.0.1', port: 0 }, deps)
  await expect(listenOps({ address: '127.0.0.1', port: first.port }, deps)).rejects.toMatchObject({
    code: 'EADDRINUSE',
  })
})
