// Goal: a session of an application outlives its connections, so each request is judged by the address that it comes from;
// and a window that closes ends the session for all of them.
// Method: the real curl, from two addresses of this machine, and a clock that can be set.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { later, type Clock, type Instant } from '../../src/kernel/time.ts'
import { systemClock } from '../../src/system.ts'
import { startHttpTestGateway, type HttpTestGateway } from '../servers/http-gateway.ts'

const minuteMs = 60_000
const closesAt = ((Math.ceil(systemClock.now() / minuteMs) + 3) * minuteMs) as Instant
const clockText = (at: number) => new Date(at).toISOString().slice(11, 16)

let aheadMs = 0
const clock: Clock = {
  now: () => later(systemClock.now(), Math.round(aheadMs)),
  monotonicMs: () => systemClock.monotonicMs(),
  after: (delayMs, task) => systemClock.after(delayMs, task),
}

let gateway: HttpTestGateway
beforeAll(async () => {
  gateway = await startHttpTestGateway({
    overrides: { clock },
    configure: (config) => {
      config.policies = config.policies.map((policy) => ({
        ...policy,
        from: { networks: ['127.0.0.1'] },
        when: [{ from: clockText(closesAt - 360 * minuteMs), to: clockText(closesAt) }],
      }))
    },
  })
})
afterAll(() => gateway[Symbol.asyncDispose]())

test('requests from elsewhere are refused, those from home go on, until the window closes', async () => {
  await gateway.httpGrant('alice', 'open')
  const token = await gateway.token('alice')
  const headers = ['-H', `authorization: Bearer ${token}`, '-H', 'curfew-role: open']
  const from = async (address: string) => {
    const { status, body } = await gateway.curl('/echo', [...headers, '--interface', address])
    return { status, code: status === 200 ? null : (JSON.parse(body) as { code: string }).code }
  }
  expect(await from('127.0.0.2')).toEqual({ status: 403, code: 'FROM_ELSEWHERE' })
  expect(await from('127.0.0.1')).toEqual({ status: 200, code: null })
  expect(await from('127.0.0.2')).toEqual({ status: 403, code: 'FROM_ELSEWHERE' })
  expect(await from('127.0.0.1')).toEqual({ status: 200, code: null })
  const { sessions } = gateway.gateway.state
  const live = await sessions.sessions({ live: true, limit: 10 })
  expect(live).toHaveLength(1)

  aheadMs = closesAt - 1500 - systemClock.now()
  await expect
    .poll(async () => (await sessions.session(live[0]!.session.id))?.end, { timeout: 5000 })
    .toMatchObject({ by: 'gate', code: 'OUTSIDE_WINDOW' })
  const { end } = (await sessions.session(live[0]!.session.id))!
  expect(end!.at).toBeGreaterThanOrEqual(closesAt)
  expect(await from('127.0.0.1')).toEqual({ status: 403, code: 'OUTSIDE_WINDOW' })
})
