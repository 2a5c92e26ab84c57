import { describe, expect, test } from 'vitest'
import type { Wish } from '../../src/access/access.ts'
import { noTerms } from '../../src/access/terms.ts'
import type { RequestId } from '../../src/kernel/ids.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { HandClock } from '../clock.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { systemClock } from '../../src/system.ts'
import { accessOver, openWorld, people, policies, type World } from './world.ts'

const { alice, bob, carol, dave, olga, sam, mallory } = people

const wish = (role: string, more: Partial<Wish> = {}): Wish => ({
  resource: 'prod-db',
  role,
  lengthMs: 60_000,
  reason: 'stuck invoices',
  ticket: null,
  startsAt: null,
  origin: 'test',
  ...more,
})

const holds = (world: World, who = alice, role = 'readonly') =>
  world.state.access.activeGrants(who.id, 'prod-db', role).then(([first]) => first)

describe('asking', () => {
  test('where nobody is needed, the grant is there at once', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(alice, wish('reporting'))
    expect(request.state).toBe('approved')
    expect(await holds(world, alice, 'reporting')).toMatchObject({ state: 'active', person: alice.id })
    expect(await world.auditTypes()).toEqual(['request.opened', 'request.approved', 'grant.started'])
  })

  test('what was left to the gateway is the same request under its key, whatever the policies say by then', async () => {
    await using world = await openWorld()
    const { role: _role, lengthMs: _lengthMs, ...rest } = wish('', { key: 'nightly' })
    const loose = { ...rest, role: null, lengthMs: null }
    const own = (changed: Partial<Policy>) => [{ ...policies[0]!, ...changed }]
    const under = (all: readonly Policy[]) => accessOver(world.state, systemClock, 3_600_000, { policies: all })
    const first = await under(own({})).ask(alice, loose)
    expect(first).toMatchObject({ role: 'readonly', lengthMs: 60_000 })
    for (const now of [own({ length: { defaultMs: 1000, mostMs: 2000 } }), policies, []]) {
      expect((await under(now).ask(alice, loose)).id).toBe(first.id)
    }
    for (const other of [
      { ...loose, role: 'admin' },
      { ...loose, lengthMs: 1000 },
      { ...loose, reason: 'else' },
    ]) {
      await expect(world.access.ask(alice, other)).rejects.toMatchObject({ code: 'INPUT_INVALID', message: /key/ })
    }
    await expect(world.access.ask(alice, { ...loose, key: 'other' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      hint: expect.stringContaining('readonly, admin, reporting') as string,
    })
    await expect(world.access.ask(mallory, loose)).rejects.toMatchObject({ code: 'RESOURCE_UNKNOWN' })
  })

  test('a second tap on the same button files nothing new', async () => {
    await using world = await openWorld()
    const [first, second] = await Promise.all([
      world.access.ask(alice, wish('readonly')),
      world.access.ask(alice, wish('readonly')),
    ])
    expect(second.id).toBe(first.id)
  })

  test('a person without a policy learns no names', async () => {
    await using world = await openWorld()
    await expect(world.access.ask(mallory, wish('readonly'))).rejects.toMatchObject({
      code: 'RESOURCE_UNKNOWN',
      hint: expect.not.stringContaining('prod') as string,
    })
  })

  test('a misspelt name is answered with what was meant', async () => {
    await using world = await openWorld()
    await expect(world.access.ask(alice, wish('readonyl'))).rejects.toMatchObject({
      code: 'ROLE_UNKNOWN',
      hint: 'Did you mean "readonly"?',
    })
  })

  test('open requests of one person are bounded', async () => {
    await using world = await openWorld()
    for (let count = 0; count < 20; count++)
      await world.access.ask(alice, wish('readonly', { reason: `reason ${count}` }))
    await expect(world.access.ask(alice, wish('readonly'))).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  })
})

describe('deciding', () => {
  test('one approver suffices where one is asked for; the clock starts then', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock)
    const request = await world.access.ask(alice, wish('readonly'))
    clock.pass(600_000)
    await world.access.decide(bob, request.id, 'approve', 'fine')
    expect(await holds(world)).toMatchObject({ startsAt: clock.now(), expiresAt: clock.now() + 60_000 })
  })

  test('two distinct people are needed where two are asked for', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(alice, wish('admin'))
    expect((await world.access.decide(bob, request.id, 'approve', '')).state).toBe('requested')
    await expect(world.access.decide(bob, request.id, 'approve', '')).rejects.toMatchObject({ code: 'ALREADY_DECIDED' })
    expect(await holds(world, alice, 'admin')).toBeUndefined()
    expect((await world.access.decide(carol, request.id, 'approve', '')).state).toBe('approved')
    expect(await holds(world, alice, 'admin')).toBeDefined()
  })

  test('nobody decides for themselves, and the attempt is on record', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(dave, wish('readonly'))
    await expect(world.access.decide(dave, request.id, 'approve', '')).rejects.toMatchObject({ code: 'SELF_APPROVAL' })
    expect(await holds(world, dave)).toBeUndefined()
    expect(await world.auditTypes()).toEqual(['request.opened', 'decision.refused'])
  })

  test('nobody outside the groups decides', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(alice, wish('readonly'))
    for (const outsider of [olga, sam, mallory]) {
      await expect(world.access.decide(outsider, request.id, 'approve', '')).rejects.toMatchObject({
        code: 'NOT_ALLOWED',
      })
    }
  })

  test('what nobody knows fills no pages of the audit log', async () => {
    await using world = await openWorld()
    const madeUp = `request-${'x'.repeat(10_000)}` as const
    await expect(world.access.decide(bob, madeUp, 'approve', '')).rejects.toMatchObject({ code: 'REQUEST_UNKNOWN' })
    const [refused] = await world.state.audit.events(0, 9)
    expect(refused!.json.length).toBeLessThan(1000)
  })

  test('one refusal decides, and later words come too late', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(alice, wish('admin'))
    await world.access.decide(bob, request.id, 'deny', 'not today')
    await expect(world.access.decide(carol, request.id, 'approve', '')).rejects.toMatchObject({
      code: 'REQUEST_CLOSED',
    })
    const view = await world.access.view(alice, request.id)
    expect(view.request.state).toBe('denied')
    expect(view.decisions[0]).toMatchObject({ decision: { comment: 'not today' }, person: { id: bob.id } })
  })

  test('in a race of approval and refusal exactly one wins, every time', async () => {
    await using world = await openWorld()
    for (let round = 0; round < 20; round++) {
      const request = await world.access.ask(alice, wish('readonly', { reason: `round ${round}` }))
      const outcomes = await Promise.allSettled([
        world.access.decide(bob, request.id, 'approve', ''),
        world.access.decide(carol, request.id, 'deny', ''),
        world.access.decide(dave, request.id, 'approve', ''),
      ])
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      const { request: after, grant } = await world.access.view(alice, request.id)
      expect(grant !== undefined).toBe(after.state === 'approved')
    }
  })

  test('at the instant of lapse it is too late', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock, 60_000)
    const request = await world.access.ask(alice, wish('readonly'))
    clock.pass(60_000)
    await expect(world.access.decide(bob, request.id, 'approve', '')).rejects.toMatchObject({ code: 'REQUEST_LAPSED' })
    expect(await world.access.sweep()).toBe(1)
    expect((await world.access.view(alice, request.id)).request.state).toBe('lapsed')
    expect(await world.auditTypes()).toContain('request.lapsed')
  })
})

describe('ending', () => {
  const granted = async (world: World) => {
    await world.access.ask(alice, wish('reporting'))
    return (await holds(world, alice, 'reporting'))!
  }

  test('a revoked grant is over, once', async () => {
    await using world = await openWorld()
    const grant = await granted(world)
    await expect(world.access.revoke(mallory, grant.id, '')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    await world.access.revoke(olga, grant.id, 'incident')
    expect(await holds(world, alice, 'reporting')).toBeUndefined()
    await expect(world.access.revoke(olga, grant.id, '')).rejects.toMatchObject({ code: 'GRANT_IN_WRONG_STATE' })
  })

  test('approvers of a role may revoke what they approved', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(alice, wish('readonly'))
    await world.access.decide(bob, request.id, 'approve', '')
    await world.access.revoke(carol, (await holds(world))!.id, '')
    expect(await holds(world)).toBeUndefined()
  })

  test('handing back is for the holder alone', async () => {
    await using world = await openWorld()
    const grant = await granted(world)
    await expect(world.access.handBack(bob, grant.id)).rejects.toMatchObject({ code: 'GRANT_UNKNOWN' })
    await world.access.handBack(alice, grant.id)
    expect(await world.state.access.grant(grant.id)).toMatchObject({ state: 'ended', endedBy: alice.id })
  })

  test('time expires grants and starts scheduled ones, and writes it down', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock)
    await world.access.ask(alice, wish('reporting', { startsAt: (clock.now() + 30_000) as Instant }))
    expect(await holds(world, alice, 'reporting')).toBeUndefined()
    clock.pass(30_000)
    await world.access.sweep()
    expect(await holds(world, alice, 'reporting')).toMatchObject({ state: 'active' })
    clock.pass(60_000)
    await world.access.sweep()
    expect(await holds(world, alice, 'reporting')).toBeUndefined()
    expect(await world.auditTypes()).toContain('grant.expired')
  })

  test('a locked approver decides nothing', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(alice, wish('readonly'))
    await world.access.placeLock(olga, { person: bob.id, resource: null, role: null }, 'phone lost')
    await expect(world.access.decide(bob, request.id, 'approve', '')).rejects.toMatchObject({ code: 'LOCKED' })
    await world.access.decide(carol, request.id, 'approve', '')
    expect(await holds(world)).toBeDefined()
  })

  test('a refused wish is on record', async () => {
    await using world = await openWorld()
    await expect(world.access.ask(alice, wish('readonly', { reason: '' }))).rejects.toMatchObject({
      code: 'REASON_REQUIRED',
    })
    expect(await world.auditTypes()).toEqual(['request.refused'])
  })

  test('a lock stops new requests until it is lifted; only operators place it', async () => {
    await using world = await openWorld()
    const scope = { person: alice.id, resource: null, role: null }
    await expect(world.access.placeLock(bob, scope, 'x')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    const nothing = { person: null, resource: null, role: null }
    await expect(world.access.placeLock(olga, nothing, 'x')).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    const lock = await world.access.placeLock(olga, scope, 'stolen laptop')
    await expect(world.access.ask(alice, wish('reporting'))).rejects.toMatchObject({ code: 'LOCKED' })
    await world.access.liftLock(olga, lock.id)
    await expect(world.access.ask(alice, wish('reporting'))).resolves.toBeDefined()
  })
})

describe('waiting for a grant', () => {
  const wait = (world: World, waitMs = 60_000, signal = new AbortController().signal, request?: RequestId) =>
    world.access.waitForGrant({ ...known, request }, 'prod-db', 'readonly', waitMs, signal)
  const known = {
    person: alice.id,
    personName: 'alice',
    credential: 'binding-one',
    browserSession: 'browser-one',
  } as const

  test.each([
    { kind: 'signed-out', person: alice.id, browserSession: 'browser-one' },
    { kind: 'signed-out', person: alice.id, browserSession: null },
    { kind: 'credential-revoked', person: alice.id, credential: 'binding-one' },
  ] as const)('ends by $kind', async (change) => {
    await using world = await openWorld()
    const waiting = wait(world)
    const elsewhere = { kind: 'signed-out', person: alice.id, browserSession: 'browser-two' } as const
    await world.state.identity.transact((tx) => tx.announce(elsewhere))
    expect(await Promise.race([waiting, Promise.resolve('waiting')])).toBe('waiting')
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: 'SIGNED_OUT' }),
      world.state.identity.transact((tx) => tx.announce(change)),
    ])
  })

  test('goes on when it is approved', async () => {
    await using world = await openWorld()
    const waiting = wait(world)
    const request = await world.access.ask(alice, wish('readonly'))
    await world.access.decide(bob, request.id, 'approve', '')
    await expect(waiting).resolves.toBeUndefined()
  })

  test('goes on at once when there is one already', async () => {
    await using world = await openWorld()
    const request = await world.access.ask(alice, wish('readonly'))
    await world.access.decide(bob, request.id, 'approve', '')
    await expect(wait(world)).resolves.toBeUndefined()
  })

  test('ends with the refusal and its comment', async () => {
    await using world = await openWorld()
    const waiting = wait(world)
    const request = await world.access.ask(alice, wish('readonly'))
    await Promise.all([
      expect(waiting).rejects.toMatchObject({
        code: 'REQUEST_DENIED',
        message: expect.stringContaining('no ticket') as string,
      }),
      world.access.decide(bob, request.id, 'deny', 'no ticket'),
    ])
  })

  test('ends when they call off what they asked for', async () => {
    await using world = await openWorld()
    const waiting = wait(world)
    const request = await world.access.ask(alice, wish('readonly'))
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: 'REQUEST_CLOSED', message: 'Your request was called off.' }),
      world.access.cancel(alice, request.id),
    ])
  })

  test.each([
    {
      what: 'another role',
      terms: { role: 'reporting' },
      message: 'Your request was approved as reporting, not as readonly.',
    },
    {
      what: 'a later start',
      terms: { startsAt: 3_600_000 as Instant },
      message: 'Your request was approved for later: from 1970-01-01 01:00:00 UTC on.',
    },
  ])('ends when $what is approved', async ({ terms, message }) => {
    await using world = await openWorld(new HandClock(0))
    const waiting = wait(world)
    const request = await world.access.ask(alice, wish('readonly'))
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: 'REQUEST_CLOSED', message }),
      world.access.decide(bob, request.id, 'approve', '', undefined, { ...noTerms, ...terms }),
    ])
  })

  test('goes on for what waits beside something that was approved for later', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock)
    const waiting = wait(world)
    const own = await world.access.ask(alice, wish('readonly'))
    const tomorrow = (clock.now() + 86_400_000) as Instant
    const other = await world.access.ask(alice, wish('readonly', { startsAt: tomorrow }))
    await world.access.decide(bob, other.id, 'approve', '')
    await world.access.decide(bob, own.id, 'approve', '')
    await expect(waiting).resolves.toBeUndefined()
  })

  test('ends at once when it was refused before they began to wait', async () => {
    await using world = await openWorld()
    const { id } = await world.access.ask(alice, wish('readonly'))
    await world.access.decide(bob, id, 'deny', 'no ticket')
    const signal = new AbortController().signal
    await expect(wait(world, 500, signal, id)).rejects.toMatchObject({ code: 'REQUEST_DENIED' })
    const again = await world.access.ask(alice, wish('readonly'))
    const waiting = wait(world, 60_000, signal, again.id)
    await world.access.decide(bob, again.id, 'approve', '')
    await expect(waiting).resolves.toBeUndefined()
  })

  test('goes on through a start that is a little later', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock)
    const waiting = wait(world)
    const request = await world.access.ask(alice, wish('readonly'))
    const startsAt = (clock.now() + 30_000) as Instant
    await world.access.decide(bob, request.id, 'approve', '', undefined, { ...noTerms, startsAt })
    clock.pass(30_000)
    await world.access.sweep()
    await expect(waiting).resolves.toBeUndefined()
  })

  test('is not ended by what concerns somebody else', async () => {
    await using world = await openWorld()
    const waiting = wait(world)
    const other = await world.access.ask(dave, wish('readonly'))
    await world.access.decide(bob, other.id, 'deny', '')
    await world.access.cancel(dave, (await world.access.ask(dave, wish('readonly'))).id)
    const own = await world.access.ask(alice, wish('readonly'))
    await world.access.decide(bob, own.id, 'approve', '')
    await expect(waiting).resolves.toBeUndefined()
  })

  test('is for a bounded number of connections of one person', async () => {
    await using world = await openWorld()
    const gone = new AbortController()
    const waiting = Array.from({ length: 51 }, () => wait(world, 60_000, gone.signal))
    await expect(waiting[50]).rejects.toMatchObject({ code: 'RATE_LIMITED' })
    gone.abort(new Error('gone'))
    expect((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected')).toBe(true)
    await expect(wait(world, 60_000, gone.signal)).rejects.toThrow('gone')
  })

  test('ends after its time, and with its connection', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock)
    const waiting = expect(wait(world, 1000)).rejects.toMatchObject({ code: 'REQUEST_WAIT_OVER' })
    clock.pass(1000)
    await waiting
    const gone = new AbortController()
    const left = expect(wait(world, 60_000, gone.signal)).rejects.toThrow('gone')
    gone.abort(new Error('gone'))
    await left
  })
})

describe('who may see a request', () => {
  test('requester, approvers, reviewers and operators; nobody else', async () => {
    await using world = await openWorld()
    const { id } = await world.access.ask(alice, wish('readonly'))
    for (const one of [alice, bob, sam, olga]) expect((await world.access.view(one, id)).request.id).toBe(id)
    await expect(world.access.view(mallory, id)).rejects.toMatchObject({ code: 'REQUEST_UNKNOWN' })
    expect((await world.access.toDecide(bob)).map((view) => view.request.id)).toEqual([id])
    expect(await world.access.toDecide(alice)).toEqual([])
  })
})
