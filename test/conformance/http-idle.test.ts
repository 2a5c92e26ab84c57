import { afterAll, beforeAll, expect, test } from 'vitest'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'

// Goal: a session of a web application ends when nobody comes, and not while somebody is there. Method: curl, a WebSocket and a short time.
let gateway: HttpTestGateway
const idleMs = 1500

beforeAll(async () => {
  gateway = await startHttpTestGateway({
    configure: (config) => {
      config.access = { ...config.access, httpIdle: `${idleMs}ms` }
    },
  })
  await gateway.httpGrant('alice', 'open')
}, 60_000)
afterAll(() => gateway?.[Symbol.asyncDispose]())

const ended = async () => {
  const person = await gateway.person('alice')
  const rows = await gateway.gateway.state.sessions.sessions({ person: person.id, limit: 100 })
  return rows.filter(({ end }) => end !== null).map(({ end }) => end!.by)
}

test('without requests it ends by itself, and the next request begins another', async () => {
  const words = Object.entries(await gateway.bearer('alice', 'open')).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ])
  expect((await gateway.curl('/echo', words)).status).toBe(200)
  expect(gateway.gateway.gate.liveCount).toBe(1)
  expect(await ended()).toEqual([])
  await expect.poll(ended, { timeout: 10_000 }).toEqual(['client'])
  expect(gateway.gateway.gate.liveCount).toBe(0)
  expect((await gateway.curl('/echo', words)).status).toBe(200)
  await expect.poll(ended, { timeout: 10_000 }).toEqual(['client', 'client'])
})

test('a WebSocket that is silent keeps it open', async () => {
  const headers = await gateway.bearer('alice', 'open')
  const before = (await ended()).length
  const socket = await gateway.webSocket('/ws/silent', { headers })
  const sinceMs = performance.now()
  // Nothing happens that could be waited for: that is what is looked for, over more than the idle time.
  await expect.poll(() => performance.now() - sinceMs > 2.5 * idleMs, { timeout: 10_000 }).toBe(true)
  expect(await ended()).toHaveLength(before)
  expect(gateway.gateway.gate.liveCount).toBe(1)
  socket.socket.close()
  await expect.poll(async () => (await ended()).length, { timeout: 10_000 }).toBe(before + 1)
})
