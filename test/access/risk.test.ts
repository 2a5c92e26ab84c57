// Goal: the risk of a request is worked out once, from what happened before it, chooses the policy, and is told to those
// who decide and to nobody else. Method: the use cases over a real store.
import { describe, expect, test } from 'vitest'
import type { Wish } from '../../src/access/access.ts'
import { assess, seesRisk } from '../../src/access/assess.ts'
import { stepOf } from '../../src/policy/approval.ts'
import { riskDefaults, type History } from '../../src/policy/risk.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { compileCondition } from '../../src/policy/condition.ts'
import type { Denial, Policy } from '../../src/policy/rules.ts'
import { HandClock } from '../clock.ts'
import { openWorld, people } from './world.ts'

const { alice, bob, carol } = people
const hourMs = 3_600_000
const dayMs = 24 * hourMs

const policy = (name: string, condition: string, approval: Policy['approval']): Policy => ({
  name,
  who: { groups: ['engineers'] },
  what: { resources: ['prod-db'], labels: {}, roles: ['readonly'] },
  condition: compileCondition(condition),
  length: { defaultMs: hourMs, mostMs: 8 * hourMs },
  reason: 'optional',
  ticket: null,
  approval,
})

/** Low: nobody; high: two people; else one. */
const policies = [
  policy('fast track', 'risk.level == "low"', { kind: 'none' }),
  policy('two people', 'risk.score >= 60', { kind: 'people', steps: [stepOf(2, ['approvers'])] }),
  policy('one person', 'true', { kind: 'people', steps: [stepOf(1, ['approvers'])] }),
]
const countryOf = (address: string) => (address.startsWith('198.') ? 'FR' : 'DE')

async function open(denials: readonly Denial[] = []) {
  const clock = new HandClock()
  const world = await openWorld(clock, hourMs, { policies, denials, countryOf })
  return { ...world, clock }
}

const wish = (part: Partial<Wish> = {}): Wish => ({
  ...{ resource: 'prod-db', role: 'readonly', lengthMs: hourMs, reason: 'stuck invoices', ticket: null },
  ...{ startsAt: null, origin: 'test', asker: { address: '203.0.113.9' }, ...part },
})

/** A session under alice's last grant, that begins now. */
async function work({ state, clock }: Awaited<ReturnType<typeof open>>, id: `session-${string}`, address: string) {
  clock.pass(1000)
  const [grant] = await state.access.grantsOf(alice.id, 1)
  const client = { protocol: 'postgres', address, port: 5, application: 'psql', tls: true } as const
  const who = { person: alice.id, personName: 'alice', credential: 'token-a', browserSession: null } as const
  const what = { grant: grant!.id, resource: 'prod-db', role: 'readonly', database: null }
  await state.sessions.transact((tx) =>
    tx.insertSession({ id, ...who, ...what, client, node: 'gw-1', startedAt: clock.now() }, null),
  )
  clock.pass(1000)
}

test('one who is new is looked at by two, and one who is known goes through', async () => {
  await using world = await open()
  const first = await world.access.ask(alice, wish())
  expect(first).toMatchObject({ state: 'requested', policy: 'two people' })
  expect(first.risk).toEqual({
    ...{ score: 60, level: 'high' },
    factors: [
      { code: 'first-time', label: 'First time on prod-db', weight: 20 },
      { code: 'new-country', label: 'First time from DE', weight: 25 },
      { code: 'new-network', label: 'First time from the network 203.0.113.0/24', weight: 15 },
    ],
  })
  for (const approver of [bob, carol]) await world.access.decide(approver, first.id, 'approve', '')
  await work(world, 'session-a', '203.0.113.9')
  world.clock.pass(dayMs)
  const second = await world.access.ask(alice, wish({ reason: 'once more' }))
  expect(second).toMatchObject({ state: 'approved', policy: 'fast track', risk: { score: 0, level: 'low' } })
  const elsewhere = await world.access.ask(alice, wish({ asker: { address: '198.51.100.1' } }))
  expect(elsewhere).toMatchObject({ state: 'requested', policy: 'one person', risk: { score: 40, level: 'medium' } })
})

test('whoever just came from a new place, at a new hour, does not make it known by a session there', async () => {
  await using world = await open()
  const { id } = await world.access.ask(alice, wish())
  for (const approver of [bob, carol]) await world.access.decide(approver, id, 'approve', '')
  for (const number of [1, 2, 3, 4, 5]) await work(world, `session-${number}`, '203.0.113.9')
  world.clock.pass(30 * hourMs)
  const { id: again } = await world.access.ask(alice, wish({ reason: 'at night' }))
  expect(await world.state.access.request(again)).toMatchObject({ risk: { factors: [{ code: 'unusual-hour' }] } })
  await work(world, 'session-6', '198.51.100.1')
  const { risk } = await world.access.ask(
    alice,
    wish({ reason: 'at night, elsewhere', asker: { address: '198.51.100.2' } }),
  )
  expect(risk?.factors.map(({ code }) => code)).toEqual(['new-country', 'new-network', 'unusual-hour'])
  world.clock.pass(dayMs)
  const later = await world.access.ask(alice, wish({ reason: 'and again', asker: { address: '198.51.100.2' } }))
  expect(later.risk?.factors).toEqual([])
})

test('it is kept as it was, and stands in the audit log', async () => {
  await using world = await open()
  const { id, risk } = await world.access.ask(alice, wish())
  await world.access.decide(bob, id, 'deny', 'not today')
  expect(await world.state.access.request(id)).toMatchObject({ state: 'denied', risk })
  const events = (await world.state.audit.events(0, 100)).map(({ json }) => JSON.parse(json))
  expect(events.find(({ type }) => type === 'request.opened').data).toMatchObject({
    ...{ riskScore: 60, riskLevel: 'high', riskFactors: ['first-time', 'new-country', 'new-network'] },
  })
})

test('a request does not count for itself, and one that was refused counts for the next', async () => {
  await using world = await open()
  const { id, risk } = await world.access.ask(alice, wish())
  world.clock.pass(1000)
  const beside = await world.access.ask(alice, wish({ reason: 'the same, really' }))
  expect(beside.risk).toEqual(risk)
  await world.access.decide(bob, id, 'deny', '')
  world.clock.pass(1000)
  const next = await world.access.ask(alice, wish({ reason: 'please' }))
  expect(next.risk?.factors.at(-1)).toEqual({
    ...{ code: 'refused-lately', label: '1 request was refused within 30 days', weight: 10 },
  })
})

test('attempts that the rules turn away count', async () => {
  await using world = await open()
  for (const role of ['admin', 'root']) {
    await expect(world.access.ask(alice, wish({ role }))).rejects.toMatchObject({ code: 'ROLE_UNKNOWN' })
  }
  world.clock.pass(1000)
  const { risk } = await world.access.ask(alice, wish())
  expect(risk?.factors.at(-1)).toMatchObject({ code: 'failed-lately', weight: 10 })
})

describe('as long as nobody has asked, it is not known', () => {
  test('and stops no offer', async () => {
    await using world = await open()
    const [offer] = world.access.offers(alice)
    expect(offer).toMatchObject({ policy: { name: 'fast track' } })
    expect(offer?.stopped).toBeUndefined()
  })

  test('and lets no denial speak; when it is, the denial does', async () => {
    const tooRisky: Denial = {
      ...{ kind: 'policy', name: 'too risky', who: null, except: [], message: 'Ask your lead.' },
      ...{ what: { resources: null, labels: {}, roles: null }, condition: compileCondition('risk.score >= 50') },
    }
    await using world = await open([tooRisky])
    expect(world.access.offers(alice)[0]?.stopped).toBeUndefined()
    await expect(world.access.ask(alice, wish())).rejects.toMatchObject({ code: 'POLICY_DENIES' })
  })
})

test('those who ask are not told', async () => {
  await using world = await open()
  const { id } = await world.access.ask(alice, wish())
  const view = await world.access.view(bob, id)
  expect([seesRisk(view, bob), seesRisk(view, alice)]).toEqual([true, false])
  expect(seesRisk(view, { ...bob, email: 'Alice@example.com' })).toBe(false)
})

test('of recurring hours, the first counts', async () => {
  const sessionsAt = [16, 17, 18, 19, 20].map((day) => Date.UTC(2026, 10, day, 9) as Instant)
  const known: History = { lengthsThereMs: [hourMs], sessionsAt, addresses: ['203.0.113.9'], refusals: 0, failures: 0 }
  const deps = { history: { history: () => Promise.resolve(known) }, risk: riskDefaults, rules: {} }
  const night = Date.UTC(2026, 10, 23, 2) as Instant
  const windows = [{ days: [1, 2, 3, 4, 5], fromMinute: 540, toMinute: 600, zone: 'UTC' }]
  const codes = async (part: object) => {
    const wished = { resource: { name: 'prod-db', labels: {} }, lengthMs: hourMs, startsAt: null, ...part }
    return (await assess(deps, alice.id, wished, night)).factors.map(({ code }) => code)
  }
  expect(await codes({})).toEqual(['unusual-hour'])
  expect(await codes({ windows })).toEqual([])
})
