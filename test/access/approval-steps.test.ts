// Goal: steps are done one after the other by different people, silence calls others, and time ends it all.
// Method: the use cases over a real store, with a clock that is turned by hand.
import { describe, expect, test } from 'vitest'
import { machineId, machineIssuer } from '../../src/identity/machine.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { stepOf, type Step } from '../../src/policy/approval.ts'
import { policies as usual, openWorld, people, type World } from './world.ts'
import { HandClock } from '../clock.ts'

const { alice, bob, carol, sam, olga } = people
const minuteMs = 60_000
const security = stepOf(1, ['security'])
const approvers = stepOf(1, ['approvers'])
const nobody = { from: [], allOf: [], named: [], manager: false }
const wish = {
  resource: 'prod-db',
  role: 'readonly',
  lengthMs: 60_000,
  reason: 'why',
  ticket: null,
  startsAt: null,
  origin: 'test',
}

function withSteps(clock: HandClock, steps: readonly Step[], requestMs = 60 * minuteMs): Promise<World> {
  const policy = { ...usual[0]!, approval: { kind: 'people' as const, steps }, requestMs }
  return openWorld(clock, 24 * 60 * minuteMs, {
    policies: [policy],
    settings: { requestMs: 24 * 60 * minuteMs, managerClaim: 'manager' },
  })
}

async function saved(world: World, person: Person, claims?: Person['claims']): Promise<Person> {
  const known = claims === undefined ? person : { ...person, claims }
  await world.state.identity.transact((tx) => tx.savePerson(known))
  return known
}

const coded = (code: string) => expect.objectContaining({ code })

describe('steps', () => {
  test('are done one after the other; who is waited for is told', async () => {
    const clock = new HandClock()
    await using world = await withSteps(clock, [approvers, security])
    const { access } = world
    const { id } = await access.ask(alice, wish)
    expect((await access.toDecide(bob)).map(({ request }) => request.id)).toEqual([id])
    expect(await access.toDecide(sam)).toEqual([])
    await expect(access.decide(sam, id, 'approve', '')).rejects.toThrow('Others decide on this request first.')
    clock.pass(minuteMs)
    const first = await access.decide(bob, id, 'approve', 'fine')
    expect(first).toMatchObject({ state: 'requested', step: 1, stepSince: clock.now() })
    await expect(access.decide(carol, id, 'approve', '')).rejects.toEqual(coded('NOT_ALLOWED'))
    expect(await access.toDecide(carol)).toEqual([])
    const view = await access.view(alice, id)
    expect(view.steps).toMatchObject([
      { state: 'done', missing: 0, approved: [{ id: bob.id }] },
      { state: 'waits', missing: 1, approved: [] },
    ])
    expect(view.waitsFor).toMatchObject({ from: ['security'], missing: 1, since: clock.now(), others: null })
    expect(await access.decide(sam, id, 'approve', '')).toMatchObject({ state: 'approved', step: 2 })
    expect(await access.view(alice, id)).toMatchObject({ waitsFor: null, grant: { state: 'active' } })
    expect(await world.auditTypes()).toEqual(
      ['request.opened', 'decision.refused', 'request.approval-given', 'decision.refused'].concat([
        'request.approved',
        'grant.started',
      ]),
    )
  })

  test('take different people, whatever their accounts', async () => {
    await using world = await withSteps(new HandClock(), [approvers, stepOf(1, ['approvers', 'security'])])
    const { access } = world
    const second = await saved(world, { ...sam, id: 'person-bob-2', subject: 'bob-2', email: 'Bob@Example.com' })
    const alter = await saved(world, { ...sam, id: 'person-alice-2', subject: 'alice-2', email: 'ALICE@example.com' })
    const { id } = await access.ask(alice, wish)
    await access.decide(bob, id, 'approve', '')
    await expect(access.decide(bob, id, 'approve', '')).rejects.toEqual(coded('ALREADY_DECIDED'))
    await expect(access.decide(second, id, 'approve', '')).rejects.toEqual(coded('ALREADY_DECIDED'))
    expect(await access.toDecide(second)).toEqual([])
    await expect(access.decide(alter, id, 'approve', '')).rejects.toEqual(coded('SELF_APPROVAL'))
    expect(await access.toDecide(alter)).toEqual([])
    expect(await access.decide(carol, id, 'approve', '')).toMatchObject({ state: 'approved' })
  })

  test('of two taps at one instant one counts, and of two people for one place one', async () => {
    await using world = await withSteps(new HandClock(), [approvers, security])
    const { id } = await world.access.ask(alice, wish)
    const taps = [bob, bob, carol, bob, carol].map((person) => world.access.decide(person, id, 'approve', ''))
    const done = (await Promise.allSettled(taps)).filter(({ status }) => status === 'fulfilled')
    expect(done).toHaveLength(1)
    expect(await world.state.access.decisionsOn(id)).toHaveLength(1)
    expect(await world.state.access.request(id)).toMatchObject({ state: 'requested', step: 1 })
  })

  test('a refusal in any step decides, unless it takes more of them', async () => {
    const clock = new HandClock()
    const second = { ...stepOf(1, ['approvers', 'security']), refusals: 2 }
    await using world = await withSteps(clock, [approvers, second])
    const { access } = world
    const { id } = await access.ask(alice, wish)
    await access.decide(bob, id, 'approve', '')
    expect(await access.decide(carol, id, 'deny', 'no')).toMatchObject({ state: 'requested', step: 1 })
    expect(await access.view(alice, id)).toMatchObject({ waitsFor: { refused: 1, refusals: 2, missing: 1 } })
    clock.pass(1)
    expect(await access.decide(sam, id, 'deny', 'no')).toMatchObject({ state: 'denied' })
    expect(await access.view(alice, id)).toMatchObject({
      steps: [{ state: 'done' }, { state: 'stopped', refused: [{ id: carol.id }, { id: sam.id }] }],
    })
    expect(await world.auditTypes()).toContain('request.refusal-given')
    const other = await access.ask(alice, { ...wish, reason: 'again' })
    expect(await access.decide(bob, other.id, 'deny', '')).toMatchObject({ state: 'denied' })
  })
})

describe('time', () => {
  test('at the instant of the lapse it is over, one before it is not, in every step', async () => {
    const clock = new HandClock()
    await using world = await withSteps(clock, [approvers, security], 10 * minuteMs)
    const { access } = world
    const [first, second] = [await access.ask(alice, wish), await access.ask(alice, { ...wish, reason: 'other' })]
    expect(first.lapsesAt).toBe(clock.now() + 10 * minuteMs)
    clock.pass(10 * minuteMs - 1)
    await access.decide(bob, first.id, 'approve', '')
    clock.pass(1)
    await expect(access.decide(sam, first.id, 'approve', '')).rejects.toEqual(coded('REQUEST_LAPSED'))
    await expect(access.decide(bob, second.id, 'deny', '')).rejects.toEqual(coded('REQUEST_LAPSED'))
    expect(await access.toDecide(sam)).toEqual([])
    await access.sweep()
    expect(await access.view(alice, first.id)).toMatchObject({
      request: { state: 'lapsed', closedAt: first.lapsesAt },
      steps: [{ state: 'done' }, { state: 'stopped' }],
      grant: undefined,
    })
  })

  test('the lapse and the last decision at one instant: one of them, never both', async () => {
    const clock = new HandClock()
    await using world = await withSteps(clock, [approvers], minuteMs)
    const { access } = world
    const requests = await Promise.all(
      Array.from({ length: 8 }, (_, index) => access.ask(alice, { ...wish, reason: `${index}` })),
    )
    clock.pass(minuteMs - 1)
    const words = requests.map(({ id }, index) => {
      if (index === 4) clock.pass(1)
      return access.decide(bob, id, 'approve', '').catch(() => undefined)
    })
    await Promise.all([...words, access.sweep(), access.sweep()])
    for (const { id } of requests) {
      const { state } = (await world.state.access.request(id))!
      expect(['approved', 'lapsed']).toContain(state)
      expect((await world.state.access.grantOf(id)) !== undefined).toBe(state === 'approved')
    }
  })

  test('silence calls others, once, from the beginning of the step on', async () => {
    const clock = new HandClock()
    const escalate = { afterMs: 5 * minuteMs, to: { ...nobody, from: ['operators'] } }
    await using world = await withSteps(clock, [approvers, { ...security, escalate }])
    const { access, state } = world
    const { id } = await access.ask(alice, wish)
    clock.pass(20 * minuteMs)
    expect(await access.sweep()).toBe(0)
    await access.decide(bob, id, 'approve', '')
    expect((await access.view(alice, id)).waitsFor?.others).toEqual({
      ...escalate.to,
      called: false,
      at: clock.now() + 5 * minuteMs,
    })
    clock.pass(5 * minuteMs - 1)
    expect(await access.sweep()).toBe(0)
    await expect(access.decide(olga, id, 'approve', '')).rejects.toEqual(coded('NOT_ALLOWED'))
    clock.pass(1)
    expect(await Promise.all([access.sweep(), access.sweep()])).toContain(1)
    expect(await access.sweep()).toBe(0)
    expect(await state.access.request(id)).toMatchObject({ escalatedAt: clock.now(), state: 'requested', step: 1 })
    expect((await world.auditTypes()).filter((type) => type === 'request.escalated')).toHaveLength(1)
    expect((await access.toDecide(olga)).map(({ request }) => request.id)).toEqual([id])
    expect((await access.toDecide(sam)).map(({ request }) => request.id)).toEqual([id])
    expect((await access.view(alice, id)).waitsFor?.others).toMatchObject({ called: true, at: clock.now() })
    expect(await access.decide(olga, id, 'approve', '')).toMatchObject({ state: 'approved' })
  })

  test('nobody is called to what has lapsed, and each step begins uncalled', async () => {
    const clock = new HandClock()
    const escalate = { afterMs: 5 * minuteMs, to: { ...nobody, from: ['operators'] } }
    await using world = await withSteps(
      clock,
      [
        { ...approvers, escalate },
        { ...security, escalate },
      ],
      30 * minuteMs,
    )
    const { access, state } = world
    const { id } = await access.ask(alice, wish)
    clock.pass(6 * minuteMs)
    await access.sweep()
    expect(await access.decide(bob, id, 'approve', '')).toMatchObject({ step: 1, escalatedAt: null })
    await expect(access.decide(olga, id, 'approve', '')).rejects.toEqual(coded('NOT_ALLOWED'))
    clock.pass(24 * minuteMs)
    await access.sweep()
    expect(await state.access.request(id)).toMatchObject({ state: 'lapsed', escalatedAt: null })
  })
})

describe('the manager', () => {
  const byManager: Step = { ...stepOf(1, []), manager: true }

  test('is who the claim said when it was asked for', async () => {
    await using world = await withSteps(new HandClock(), [byManager])
    const erin = await saved(world, alice, { manager: ['Boss@Example.com'] })
    const boss = await saved(world, {
      ...sam,
      id: 'person-boss',
      subject: 'boss',
      email: 'boss@example.com',
      groups: [],
    })
    const { id, approval } = await world.access.ask(erin, wish)
    expect(approval).toMatchObject({ steps: [{ named: ['boss@example.com'], managerAddress: 'boss@example.com' }] })
    await expect(world.access.decide(bob, id, 'approve', '')).rejects.toEqual(coded('NOT_ALLOWED'))
    expect(await world.access.decide(boss, id, 'approve', '')).toMatchObject({ state: 'approved' })
  })

  test.each([[undefined], [{}], [{ manager: [] }], [{ manager: ['nobody'] }], [{ manager: ['alice@example.com'] }]])(
    'is needed where nobody else is: %j',
    async (claims) => {
      await using world = await withSteps(new HandClock(), [byManager])
      const erin = await saved(world, alice, claims)
      await expect(world.access.ask(erin, wish)).rejects.toEqual(coded('APPROVER_UNKNOWN'))
    },
  )

  test('is left out where others may decide', async () => {
    await using world = await withSteps(new HandClock(), [{ ...byManager, from: ['approvers'] }])
    const { id, approval } = await world.access.ask(alice, wish)
    expect(approval).toMatchObject({ steps: [{ named: [], manager: false }] })
    expect(await world.access.decide(bob, id, 'approve', '')).toMatchObject({ state: 'approved' })
  })

  test('whoever is the only one named cannot ask', async () => {
    const only = { ...stepOf(1, []), named: ['alice@example.com'] }
    await using world = await withSteps(new HandClock(), [only])
    await expect(world.access.ask(alice, wish)).rejects.toEqual(coded('APPROVER_UNKNOWN'))
  })
})

test('who is named decides by their address, also without any group', async () => {
  const clock = new HandClock()
  await using world = await withSteps(clock, [{ ...stepOf(2, []), named: ['bob@example.com', 'mallory@example.com'] }])
  const { id } = await world.access.ask(alice, { ...wish, startsAt: (clock.now() + minuteMs) as Instant })
  await expect(world.access.decide(carol, id, 'approve', '')).rejects.toEqual(coded('NOT_ALLOWED'))
  await world.access.decide(bob, id, 'approve', '')
  expect(await world.access.decide(people.mallory, id, 'approve', '')).toMatchObject({ state: 'approved' })
})

test('for a machine, the manager of who asks decides', async () => {
  const machine: Person = {
    ...{ id: machineId('nightly'), issuer: machineIssuer, subject: 'nightly', name: 'nightly', email: null },
    ...{ groups: [], seenAt: 0 as Person['seenAt'], kind: 'machine' },
  }
  const steps = [{ ...stepOf(1, []), manager: true }]
  const policy = { ...usual[0]!, who: { machines: ['nightly'] }, approval: { kind: 'people' as const, steps } }
  await using world = await openWorld(undefined, 60 * minuteMs, {
    policies: [policy],
    settings: { requestMs: 60 * minuteMs, managerClaim: 'manager' },
    machines: { askedForBy: () => ['nightly'], byName: () => Promise.resolve(machine) },
  })
  await saved(world, machine)
  const asker = await saved(world, alice, { manager: [bob.email!] })
  const { id, person } = await world.access.ask(asker, { ...wish, onBehalfOf: 'nightly' })
  expect(person).toBe(machine.id)
  await expect(world.access.decide(asker, id, 'approve', '')).rejects.toEqual(coded('SELF_APPROVAL'))
  await expect(world.access.decide(carol, id, 'approve', '')).rejects.toEqual(coded('NOT_ALLOWED'))
  expect(await world.access.decide(bob, id, 'approve', '')).toMatchObject({ state: 'approved' })
})
