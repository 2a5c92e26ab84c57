// Goal: a session ends at the very instant at which its policy's window closes, a freeze begins or a denial comes to
// speak of its person, and reads why and when it opens again; from another network nobody gets in.
// Method: a real psql sleeps in a statement behind the real gateway, whose wall clock is set to some seconds before the
// minute at which windows close.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { later, timeForPeople, type Clock, type Instant } from '../../src/kernel/time.ts'
import { systemClock } from '../../src/system.ts'
import { startTestGateway, type Login, type TestGateway, type TestRole } from '../servers/gateway.ts'

const minuteMs = 60_000
const hourMs = 3_600_000
/** Everything closes at this minute. */
const closesAt = ((Math.ceil(systemClock.now() / minuteMs) + 3) * minuteMs) as Instant
const freezeEnds = later(closesAt, 2 * hourMs)
const clockText = (at: number) => new Date(at).toISOString().slice(11, 16)
const momentText = (at: number) => new Date(at).toISOString().slice(0, 16)

/** The machine's clock, which can be set. */
let aheadMs = 0
const clock: Clock = {
  now: () => later(systemClock.now(), Math.round(aheadMs)),
  monotonicMs: () => systemClock.monotonicMs(),
  after: (delayMs, task) => systemClock.after(delayMs, task),
}

let gateway: TestGateway
beforeAll(async () => {
  const when = [{ from: clockText(closesAt - 6 * hourMs), to: clockText(closesAt) }]
  gateway = await startTestGateway({
    overrides: { clock },
    configure: (config) => {
      const [reporting, readonly, admin] = config.policies
      config.identity.refreshEvery = '1s'
      config.policies = [
        reporting!,
        { ...readonly!, when },
        { ...admin!, from: { networks: ['192.0.2.0/24', '2001:db8::/32'] } },
        {
          ...{ name: 'leavers', effect: 'deny', who: { groups: ['leaving'] }, what: {} },
          message: 'Your last day has come.',
        },
      ]
      config.freezes = [
        {
          ...{
            name: 'release',
            from: momentText(closesAt),
            to: momentText(freezeEnds),
            what: { roles: ['reporting'] },
          },
          except: { groups: ['operations'] },
        },
      ]
    },
  })
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** psql in the middle of a statement. */
async function working(login: Login, role: TestRole) {
  const grant = await gateway.grant(login, role)
  const psql = gateway.psql({
    user: `${role}.token`,
    password: await gateway.token(login),
    commands: ['select 6 * 7', 'select pg_sleep(600)'],
    args: ['-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1'],
  })
  await psql.until(/42/)
  return { psql, grant }
}

const codeOf = async (grant: string) => {
  const rows = await gateway.gateway.state.sessions.sessions({ live: false, limit: 20 })
  return rows.find(({ session }) => session.grant === grant)?.end?.code
}

test('windows close and freezes begin at their instant, for sessions in the middle of a statement', async () => {
  const { psql: windowed, grant } = await working('alice', 'readonly')
  const { psql: frozen, grant: free } = await working('dave', 'reporting')
  await gateway.postgres.untilRunning('pg_sleep(600)', 2)
  aheadMs = closesAt - 4000 - systemClock.now()

  // Not a moment before, and at most a second after.
  const ended = [windowed, frozen].map(async (psql) => ({ ...(await psql.exited()), atMs: clock.now() }))
  for (const { status, atMs } of await Promise.all(ended)) {
    expect(status).not.toBe(0)
    expect(atMs).toBeGreaterThanOrEqual(closesAt)
    expect(atMs - closesAt).toBeLessThan(1000)
  }
  await gateway.postgres.untilRunning('pg_sleep(600)', 0)
  expect(windowed.stderr).toContain(
    `FATAL:  57P01: prod-db as readonly is not open now. It opens at ${timeForPeople(later(closesAt, 18 * hourMs))}.`,
  )
  expect(frozen.stderr).toMatch(/FATAL: {2}57P01: Frozen until \w{3} [\d-]+ [\d:]+ \(UTC\): release\. It opens at/)
  await expect.poll(() => codeOf(grant.id)).toBe('OUTSIDE_WINDOW')
  await expect.poll(() => codeOf(free.id)).toBe('POLICY_DENIES')

  // The grant still stands, and lets nobody in until it opens; asking is refused, asking for a later start is not.
  const again = gateway.psql({ user: 'readonly.token', password: await gateway.token('alice'), commands: ['select 1'] })
  expect((await again.exited()).stderr).toContain('prod-db as readonly is not open now. It opens at')
  const { access } = gateway.gateway
  const alice = await gateway.person('alice')
  const wish = { resource: 'prod-db', role: 'readonly', lengthMs: hourMs, reason: 'x', ticket: null, origin: 'test' }
  await expect(access.ask(alice, { ...wish, startsAt: null })).rejects.toMatchObject({ code: 'OUTSIDE_WINDOW' })
  await expect(access.ask(alice, { ...wish, startsAt: later(closesAt, 19 * hourMs) })).resolves.toMatchObject({
    state: 'requested',
  })
  expect(access.offers(alice).find(({ role }) => role.name === 'readonly')?.stopped).toMatchObject({
    ...{ code: 'OUTSIDE_WINDOW', opensAt: later(closesAt, 18 * hourMs) },
  })
  const page = await (await gateway.visitor('alice')).open(gateway.url, 'alice')
  expect(page.body).toMatch(/Not now: opens/)
  expect(page.body).toContain('release.')
  expect(await metric('curfew_sweeper_found_total')).toBe(0)
})

test('from another network nobody gets in, whoever approved it', async () => {
  await gateway.grant('alice', 'admin')
  const psql = gateway.psql({ user: 'admin.token', password: await gateway.token('alice'), commands: ['select 1'] })
  expect((await psql.exited()).stderr).toContain('FATAL:  prod-db as admin may not be used from your network.')
  const [event] = await gateway.gateway.state.audit.search({ types: ['session.refused'], limit: 1 })
  expect(JSON.parse(event!.json)).toMatchObject({ data: { code: 'FROM_ELSEWHERE', address: '127.0.0.1' } })
  const fault = gateway.gateway.access.ask(await gateway.person('alice'), {
    ...{ resource: 'prod-db', role: 'admin', lengthMs: hourMs, reason: 'x', ticket: null, startsAt: null },
    ...{ origin: 'test', asker: { address: '127.0.0.1' } },
  })
  await expect(fault).rejects.toMatchObject({ code: 'FROM_ELSEWHERE' })
})

test('a denial that comes to speak of somebody ends what they are doing', async () => {
  aheadMs = freezeEnds + minuteMs - systemClock.now()
  const { psql } = await working('dave', 'reporting')
  gateway.provider.setGroups('dave', ['engineering', 'leaving'])
  const { status, stderr } = await psql.exited()
  expect(status).not.toBe(0)
  expect(stderr).toContain('FATAL:  57P01: Your last day has come.')
})

async function metric(name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', gateway.opsUrl))).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
}
