// Goal: what a grant's life promises holds for a real psql: it lives on over an extension, past its old end; a second
// connection is refused where the access is for one; the clock starts with the first connection; hours and databases
// that were not approved are closed. Method: real psql, real gateway whose wall clock can be set, real PostgreSQL.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Terms } from '../../src/access/states.ts'
import { later, type Clock, type Instant } from '../../src/kernel/time.ts'
import { systemClock } from '../../src/system.ts'
import { startTestGateway, type Login, type TestGateway, type TestRole } from '../servers/gateway.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** The machine's clock, which can be set. */
let aheadMs = 0
const clock: Clock = {
  now: () => later(systemClock.now(), Math.round(aheadMs)),
  monotonicMs: () => systemClock.monotonicMs(),
  after: (delayMs, task) => systemClock.after(delayMs, task),
}

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway({
    overrides: { clock },
    configure: (config) => {
      const [reporting, readonly, admin] = config.policies
      config.access = { waitFor: '0', warnBefore: ['2s'] }
      config.policies = [
        { ...reporting!, grants: { recurring: '14d' } },
        { ...readonly!, grants: { uses: 'once' } },
        { ...admin!, approval: { from: ['approvers'] }, grants: { clock: 'first-use', unused: '4h' } },
      ]
      const { roles } = config.resources['prod-db']!
      for (const role of Object.values(roles)) (role as { databases: string[] }).databases.push('postgres')
    },
  })
}, 60_000)
afterAll(() => gateway?.[Symbol.asyncDispose]())

async function psql(login: Login, role: TestRole, commands: readonly string[], database = 'prod-db') {
  const password = await gateway.token(login)
  return gateway.psql({ user: `${role}.token`, password, commands, database, args: ['-v', 'ON_ERROR_STOP=1'] })
}

async function give(login: Login, role: TestRole, more: object = {}, terms: Partial<Terms> | null = null) {
  const { access } = gateway.gateway
  const person = await gateway.person(login)
  const wish = { resource: 'prod-db', role, lengthMs: hourMs, reason: 'a test', ticket: null, startsAt: null }
  const request = await access.ask(person, { ...wish, origin: 'test', ...more })
  if (request.state === 'requested') {
    const none = { lengthMs: null, startsAt: null, role: null, databases: null, networks: null }
    const approver = await gateway.person('bob')
    await access.decide(approver, request.id, 'approve', '', undefined, terms && { ...none, ...terms })
  }
  return (await gateway.gateway.state.access.grantOf(request.id))!
}
const now = async ({ id }: { readonly id: `grant-${string}` }) => (await gateway.gateway.state.access.grant(id))!

test(
  'psql works past the old end of its access when that was extended, and reads both',
  { timeout: 30_000 },
  async () => {
    const { access } = gateway.gateway
    const grant = await give('alice', 'reporting', { lengthMs: 4000 })
    await using running = await psql('alice', 'reporting', [
      'select 6 * 7',
      'select pg_sleep(5)',
      "select 'still' || ' here'",
    ])
    await running.until(/42/)
    const alice = await gateway.person('alice')
    await access.extend(alice, grant.id, { lengthMs: hourMs, reason: 'more', ticket: null, origin: 'test' })
    const { status, stdout, stderr } = await running.exited()
    expect([status, stdout]).toEqual([0, expect.stringContaining('still here') as string])
    expect(stderr).toMatch(/your access to prod-db as reporting now lasts until 20/)
    expect(clock.now()).toBeGreaterThan(grant.expiresAt)
    await access.handBack(alice, grant.id)
  },
)

test('a warning says where to ask for more time', { timeout: 30_000 }, async () => {
  const grant = await give('dave', 'reporting', { lengthMs: 5000 })
  await using running = await psql('dave', 'reporting', ['select 6 * 7', 'select pg_sleep(3.5)', 'select pg_sleep(60)'])
  const { stderr } = await running.exited()
  expect(stderr).toContain(`For more time: ${gateway.url.origin}/grants/${grant.id}/extend`)
  expect(stderr).toMatch(/FATAL: +Your access to prod-db as reporting ended at/)
})

test('access for one session admits one psql, and is over with it', { timeout: 30_000 }, async () => {
  const grant = await give('alice', 'readonly')
  await using first = await psql('alice', 'readonly', ['select 6 * 7', 'select pg_sleep(600)'])
  await first.until(/42/)
  await using second = await psql('alice', 'readonly', ['select 1'])
  const refused = await second.exited()
  expect([refused.status, refused.stderr]).toEqual([
    2,
    expect.stringContaining('was for one session, which has begun') as string,
  ])
  expect(refused.stderr).toContain(`Ask again: ${gateway.url.origin}/ask?resource=prod-db&role=readonly`)
  first.kill('SIGINT')
  await first.exited()
  await expect
    .poll(() => now(grant))
    .toMatchObject({ state: 'expired', comment: 'It was for one session, and that is over.' })
  await using third = await psql('alice', 'readonly', ['select 1'])
  expect((await third.exited()).stderr).toContain('You have no access to prod-db as readonly now.')
})

test('the clock starts with the first psql', { timeout: 30_000 }, async () => {
  const grant = await give('alice', 'admin', { lengthMs: 10 * minuteMs })
  expect(grant).toMatchObject({ clock: 'first-use', firstUsedAt: null })
  expect(grant.expiresAt - grant.startsAt).toBe(4 * hourMs)
  await using first = await psql('alice', 'admin', ['select 6 * 7'])
  expect((await first.exited()).stdout).toBe('42\n')
  const used = await now(grant)
  expect(used.expiresAt).toBe(used.firstUsedAt! + 10 * minuteMs)
  await using again = await psql('alice', 'admin', ['select 6 * 7'])
  expect((await again.exited()).stdout).toBe('42\n')
  expect((await now(grant)).expiresAt).toBe(used.expiresAt)
})

test('a database that was not approved stays closed', { timeout: 30_000 }, async () => {
  await give('dave', 'admin', {}, { databases: ['shop'] })
  await using refused = await psql('dave', 'admin', ['select 1'], 'prod-db/postgres')
  expect((await refused.exited()).stderr).toContain('is not for this database')
  await using admitted = await psql('dave', 'admin', ['select 6 * 7'])
  expect((await admitted.exited()).stdout).toBe('42\n')
})

test(
  'psql in a statement is cut when the hours of its access close, and kept out until they open',
  { timeout: 60_000 },
  async () => {
    for (const { id } of await gateway.gateway.access.livingGrants((await gateway.person('alice')).id)) {
      await gateway.gateway.access.handBack(await gateway.person('alice'), id)
    }
    const closesAt = ((Math.ceil(clock.now() / minuteMs) + 1) * minuteMs) as Instant
    const minute = (at: number) => new Date(at).getUTCHours() * 60 + new Date(at).getUTCMinutes()
    const days = [1, 2, 3, 4, 5, 6, 7]
    const windows = [
      { days, fromMinute: minute(closesAt - 2 * hourMs), toMinute: minute(closesAt) || 1440, zone: 'UTC' },
    ]
    const grant = await give('alice', 'reporting', { lengthMs: 14 * 24 * hourMs, windows })
    await using running = await psql('alice', 'reporting', ['select 6 * 7', 'select pg_sleep(600)'])
    await running.until(/42/)
    await gateway.postgres.untilRunning('pg_sleep(600)', 1)
    aheadMs = closesAt - systemClock.now() - 1500
    const { stderr } = await running.exited()
    expect(clock.now()).toBeGreaterThanOrEqual(closesAt)
    expect(stderr).toMatch(/FATAL: +Your access to prod-db as reporting is for certain hours\. It opens at 20/)
    await gateway.postgres.untilRunning('pg_sleep(600)', 0)
    expect(await now(grant)).toMatchObject({ state: 'active' })
    await using refused = await psql('alice', 'reporting', ['select 1'])
    expect((await refused.exited()).stderr).toContain('is for certain hours')
  },
)
