import { describe, expect, test } from 'vitest'
import type { ExtensionWish } from '../../src/access/extend.ts'
import type { Wish } from '../../src/access/access.ts'
import type { Active, Grant, Request } from '../../src/access/states.ts'
import { useFirst } from '../../src/access/transitions.ts'
import type { Change } from '../../src/kernel/change.ts'
import type { Instant } from '../../src/kernel/time.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Policy, Weekly } from '../../src/policy/rules.ts'
import { HandClock } from '../clock.ts'
import { openWorld, people, policies, type Given, type World } from './world.ts'

const { alice, bob, carol, dave, mallory } = people
const minuteMs = 60_000
const hourMs = 60 * minuteMs

const wish = (role: string, more: Partial<Wish> = {}): Wish => ({
  ...{ resource: 'prod-db', role, lengthMs: hourMs, reason: 'stuck invoices', ticket: null, startsAt: null },
  ...{ origin: 'test', ...more },
})
const more: ExtensionWish & { readonly lengthMs: number } = {
  lengthMs: 30 * minuteMs,
  reason: 'not done yet',
  ticket: null,
  origin: 'test',
}

const known = { person: alice.id, personName: 'alice', credential: 'binding-one', browserSession: null } as const

type Options = NonNullable<Policy['grants']>
const usual: Options = { clock: 'start', uses: 'many', unusedMs: null, totalMs: null, recurringMs: null }

/** A world in which all policies give such grants, and its clock. */
async function open(grants: Partial<Options> = {}, deps: Given = {}) {
  const clock = new HandClock()
  const given = policies.map((policy) => ({ ...policy, grants: { ...usual, ...grants } }))
  const world = await openWorld(clock, hourMs, { policies: given, ...deps })
  const grantOf = async ({ id }: Request) => (await world.state.access.grantOf(id))!
  const now = async ({ id }: Grant) => (await world.state.access.grant(id))!
  return { clock, world, grantOf, now, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

async function approved(world: World, person: Person, by: Person, role = 'readonly'): Promise<Request> {
  const request = await world.access.ask(person, wish(role))
  return world.access.decide(by, request.id, 'approve', '')
}

describe('unused access', () => {
  test('is over when its time to be used came, and its person reads why', async () => {
    await using open_ = await open({ unusedMs: 10 * minuteMs })
    const { world, clock } = open_
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting')))
    expect(grant).toMatchObject({
      state: 'active',
      useBy: clock.now() + 10 * minuteMs,
      expiresAt: clock.now() + hourMs,
    })
    clock.pass(10 * minuteMs - 1)
    expect(await world.access.sweep()).toBe(0)
    expect(await world.access.livingGrants(alice.id)).toHaveLength(1)
    clock.pass(1)
    expect(await world.access.livingGrants(alice.id)).toEqual([])
    expect(await world.access.sweep()).toBe(1)
    expect(await open_.now(grant)).toMatchObject({
      state: 'expired',
      comment: 'It was not used in time.',
      endedBy: null,
    })
    expect((await world.auditTypes()).at(-1)).toBe('grant.expired')
  })
})

describe('more time', () => {
  test('where nobody is needed, the grant has it at once, and every node is told', async () => {
    await using open_ = await open()
    const { world, clock } = open_
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting')))
    const changes: Change[] = []
    using _ = world.state.changes.subscribe((change) => changes.push(change))
    clock.pass(50 * minuteMs)
    const request = await world.access.extend(alice, grant.id, more)
    expect(request).toMatchObject({ kind: 'extension', state: 'approved', extends: grant.id, policy: 'reporting' })
    const extended = await open_.now(grant)
    expect(extended).toMatchObject({ expiresAt: grant.expiresAt + more.lengthMs, lengthMs: hourMs + more.lengthMs })
    await expect
      .poll(() => changes.map(({ kind }) => kind))
      .toEqual(['request-opened', 'request-closed', 'grant-moved'])
    expect(changes.at(-1)).toEqual({ kind: 'grant-moved', grant: grant.id, expiresAt: extended.expiresAt })
    expect((await world.auditTypes()).slice(-3)).toEqual(['request.opened', 'request.approved', 'grant.extended'])
    expect((await world.access.view(alice, request.id)).grant).toEqual(extended)
  })

  test('at the instant at which access begins, the beginning is told all the same', async () => {
    await using open_ = await open()
    const { world, clock } = open_
    const startsAt = (clock.now() + minuteMs) as Instant
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting', { startsAt })))
    const waiting = world.access.waitForGrant(known, 'prod-db', 'reporting', hourMs, AbortSignal.timeout(5000))
    clock.pass(minuteMs)
    await world.access.extend(alice, grant.id, more)
    await world.access.sweep()
    await expect(waiting).resolves.toBeUndefined()
    expect(await open_.now(grant)).toMatchObject({ state: 'active', expiresAt: grant.expiresAt + more.lengthMs })
    expect((await world.auditTypes()).filter((type) => type === 'grant.started')).toHaveLength(2)
  })

  test('is decided as the access was, counts from its end, and may be shortened', async () => {
    await using open_ = await open()
    const { world, clock } = open_
    const grant = await open_.grantOf(await approved(world, alice, bob))
    const request = await world.access.extend(alice, grant.id, more)
    expect(request).toMatchObject({ state: 'requested', lapsesAt: grant.expiresAt })
    expect((await world.access.toDecide(carol)).map((view) => view.request.id)).toEqual([request.id])
    await expect(world.access.decide(alice, request.id, 'approve', '')).rejects.toMatchObject({ code: 'SELF_APPROVAL' })
    clock.pass(20 * minuteMs)
    await world.access.decide(carol, request.id, 'approve', 'go on')
    expect(await open_.now(grant)).toMatchObject({ expiresAt: grant.expiresAt + more.lengthMs })
    await expect(world.access.decide(bob, request.id, 'approve', '')).rejects.toMatchObject({ code: 'REQUEST_CLOSED' })
    expect(await open_.now(grant)).toMatchObject({ expiresAt: grant.expiresAt + more.lengthMs })
  })

  test('that was asked for twice is one request; something else is refused while it waits', async () => {
    await using open_ = await open()
    const { world } = open_
    const grant = await open_.grantOf(await approved(world, alice, bob))
    const [one, two] = await Promise.all([
      world.access.extend(alice, grant.id, { ...more, key: 'k' }),
      world.access.extend(alice, grant.id, more),
    ])
    expect(two.id).toBe(one.id)
    expect((await world.access.extend(alice, grant.id, { ...more, key: 'k' })).id).toBe(one.id)
    const other = world.access.extend(alice, grant.id, { ...more, lengthMs: hourMs })
    await expect(other).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: 'You have asked for more time already.',
    })
    await expect(world.access.extend(alice, grant.id, { ...more, lengthMs: hourMs, key: 'k' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: 'Something else was asked for under this key.',
    })
    expect((await world.access.extension(alice, grant.id)).open?.id).toBe(one.id)
  })

  test('lapses with the access, however that ends', async () => {
    await using open_ = await open()
    const { world, clock } = open_
    const grant = await open_.grantOf(await approved(world, alice, bob))
    const request = await world.access.extend(alice, grant.id, more)
    await world.access.handBack(alice, grant.id)
    const late = world.access.decide(carol, request.id, 'approve', '')
    await expect(late).rejects.toMatchObject({ code: 'GRANT_IN_WRONG_STATE' })
    await world.access.sweep()
    expect(await world.state.access.request(request.id)).toMatchObject({ state: 'lapsed', closedAt: clock.now() })
    const again = await open_.grantOf(await approved(world, alice, bob, 'readonly'))
    const second = await world.access.extend(alice, again.id, more)
    clock.pass(hourMs)
    await expect(world.access.decide(carol, second.id, 'approve', '')).rejects.toMatchObject({ code: 'REQUEST_LAPSED' })
    await world.access.sweep()
    expect(await open_.now(again)).toMatchObject({ state: 'expired', expiresAt: again.expiresAt })
  })

  test('does not lapse with the time to be used, where the access is used in time', async () => {
    await using open_ = await open({ unusedMs: 10 * minuteMs })
    const { world, clock } = open_
    const grant = await open_.grantOf(await approved(world, alice, bob))
    const request = await world.access.extend(alice, grant.id, more)
    await world.state.access.transact((tx) => tx.updateGrant(useFirst(grant as Active, clock.now())))
    clock.pass(10 * minuteMs)
    await world.access.sweep()
    await world.access.decide(bob, request.id, 'approve', '')
    expect(await open_.now(grant)).toMatchObject({ expiresAt: grant.expiresAt + more.lengthMs })
  })

  test('of the usual length is under its key what it was, also when no more can be had', async () => {
    await using open_ = await open({ totalMs: hourMs + 5 * minuteMs })
    const { world, clock } = open_
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting')))
    const asUsual = { ...more, lengthMs: null, key: 'k' }
    const one = await world.access.extend(alice, grant.id, asUsual)
    expect(one).toMatchObject({ state: 'approved', lengthMs: minuteMs })
    clock.pass(minuteMs)
    await world.access.extend(alice, grant.id, { ...more, lengthMs: 4 * minuteMs })
    expect((await world.access.extend(alice, grant.id, asUsual)).id).toBe(one.id)
    await world.access.handBack(alice, grant.id)
    expect((await world.access.extend(alice, grant.id, asUsual)).id).toBe(one.id)
    await expect(world.access.extend(alice, grant.id, { ...asUsual, reason: 'another' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  })

  test('is never more than the policy gives in all, nor more at once than a request may ask for', async () => {
    await using open_ = await open({ totalMs: 100 * minuteMs })
    const { world } = open_
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting')))
    expect(await world.access.extension(alice, grant.id)).toMatchObject({ mostMs: 40 * minuteMs, why: null })
    await world.access.extend(alice, grant.id, more)
    await expect(world.access.extend(alice, grant.id, { ...more, lengthMs: 11 * minuteMs })).rejects.toMatchObject({
      ...{ code: 'LENGTH_REFUSED', hint: 'Ask for at most 10 min more.' },
    })
    await world.access.extend(alice, grant.id, { ...more, lengthMs: 10 * minuteMs })
    expect(await world.access.extension(alice, grant.id)).toMatchObject({ mostMs: 0 })
    await expect(world.access.extend(alice, grant.id, { ...more, lengthMs: 2 * hourMs })).rejects.toMatchObject({
      code: 'LENGTH_REFUSED',
    })
  })

  test('is for one’s own living access, and where it makes sense', async () => {
    await using open_ = await open({ uses: 'once' })
    const { world, clock } = open_
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting')))
    await expect(world.access.extend(dave, grant.id, more)).rejects.toMatchObject({ code: 'GRANT_UNKNOWN' })
    await expect(world.access.extend(mallory, 'grant-none', more)).rejects.toMatchObject({ code: 'GRANT_UNKNOWN' })
    await expect(world.access.extend(alice, grant.id, more)).rejects.toMatchObject({
      ...{ code: 'NOT_ALLOWED', message: 'It is for one session, which has not begun yet.' },
    })
    clock.pass(hourMs)
    await expect(world.access.extend(alice, grant.id, more)).rejects.toMatchObject({ code: 'GRANT_IN_WRONG_STATE' })
    expect((await world.auditTypes()).filter((type) => type === 'request.refused')).toHaveLength(4)
  })

  test('waits for the clock of the access to have started', async () => {
    await using open_ = await open({ clock: 'first-use' })
    const { world, clock } = open_
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting')))
    expect(grant.expiresAt).toBe(clock.now() + 24 * hourMs)
    await expect(world.access.extend(alice, grant.id, more)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  })
})

describe('recurring hours', () => {
  const office: Weekly = { days: [5, 1, 2, 3, 4, 1], fromMinute: 540, toMinute: 600, zone: 'Europe/Berlin' }
  const stretch = { lengthMs: 14 * 24 * hourMs, windows: [office] }

  test('make one grant that is used inside them', async () => {
    await using open_ = await open({ recurringMs: 14 * 24 * hourMs })
    const { world, clock } = open_
    const grant = await open_.grantOf(await world.access.ask(alice, wish('reporting', stretch)))
    expect(grant).toMatchObject({
      ...{ state: 'active', expiresAt: clock.now() + stretch.lengthMs },
      windows: [{ ...office, days: [1, 2, 3, 4, 5] }],
    })
    await expect(world.access.extend(alice, grant.id, more)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  })

  test('the same again while it waits is the same request; other hours are another', async () => {
    await using open_ = await open({ recurringMs: 14 * 24 * hourMs })
    const { world } = open_
    const one = await world.access.ask(alice, wish('readonly', stretch))
    expect((await world.access.ask(alice, wish('readonly', stretch))).id).toBe(one.id)
    const other = { ...stretch, windows: [{ ...office, toMinute: 590 }] }
    expect((await world.access.ask(alice, wish('readonly', other))).id).not.toBe(one.id)
  })

  const at = (over: Partial<Weekly>): Partial<Wish> => ({ ...stretch, windows: [{ ...office, ...over }] })
  test.each([
    ['a longer stretch', { ...stretch, lengthMs: 15 * 24 * hourMs }, 'LENGTH_REFUSED'],
    ['a longer time than the policy gives at once', at({ toMinute: 601 }), 'LENGTH_REFUSED'],
    [
      'a longer time made of two',
      { ...stretch, windows: [office, { ...office, fromMinute: 600, toMinute: 601 }] },
      'LENGTH_REFUSED',
    ],
    ['no hours', { ...stretch, windows: [] }, 'INPUT_INVALID'],
    ['no days', at({ days: [] }), 'INPUT_INVALID'],
    ['a day that there is not', at({ days: [8] }), 'INPUT_INVALID'],
    ['a zone that there is not', at({ zone: 'Mars/Olympus' }), 'INPUT_INVALID'],
    ['hours that end where they begin', at({ toMinute: 540 }), 'INPUT_INVALID'],
    ['two zones', { ...stretch, windows: [office, { ...office, zone: 'UTC' }] }, 'INPUT_INVALID'],
  ] as const)('%s is refused', async (_, wished, code) => {
    await using open_ = await open({ recurringMs: 14 * 24 * hourMs })
    await expect(open_.world.access.ask(alice, wish('reporting', wished as Partial<Wish>))).rejects.toMatchObject({
      code,
    })
  })

  test('are refused where the policy does not offer them', async () => {
    await using open_ = await open()
    await expect(open_.world.access.ask(alice, wish('reporting', stretch))).rejects.toMatchObject({
      code: 'NOT_ALLOWED',
    })
  })
})

describe('a bundle', () => {
  const items = [
    { resource: 'prod-db', role: 'reporting', lengthMs: 10 * minuteMs },
    { resource: 'prod-db', role: 'readonly', lengthMs: null },
  ]
  const bundles = [{ name: 'onboarding', description: 'For new people', items }]
  const all = {
    bundle: 'onboarding',
    lengthMs: null,
    reason: 'first day',
    ticket: null,
    startsAt: null,
    origin: 'test',
  }

  test('files a request for each part, decided by its own policy', async () => {
    await using open_ = await open({}, { bundles })
    const { world } = open_
    expect(world.access.bundles(alice)).toMatchObject([{ bundle: { name: 'onboarding' } }])
    const requests = await world.access.askBundle(alice, all)
    expect(requests).toMatchObject([
      { role: 'reporting', state: 'approved', lengthMs: 10 * minuteMs, bundle: { name: 'onboarding' } },
      { role: 'readonly', state: 'requested', lengthMs: minuteMs },
    ])
    expect(requests[0]!.bundle).toEqual(requests[1]!.bundle)
    const view = await world.access.view(bob, requests[1]!.id)
    expect(view.bundle).toEqual({ name: 'onboarding', siblings: [], hidden: 1 })
    const own = await world.access.view(alice, requests[1]!.id)
    expect(own.bundle).toEqual({ name: 'onboarding', siblings: [requests[0]], hidden: 0 })
  })

  test('asked for twice is asked for once, by key or without', async () => {
    await using open_ = await open({}, { bundles })
    const { world } = open_
    const one = await world.access.askBundle(alice, { ...all, key: 'k' })
    const ids = (requests: readonly Request[]) => requests.map(({ id }) => id).toSorted()
    expect(ids(await world.access.askBundle(alice, { ...all, key: 'k' }))).toEqual(ids(one))
    expect(ids(await world.access.askBundle(alice, all))).toEqual(ids(one))
    await expect(world.access.askBundle(alice, { ...all, reason: 'other', key: 'k' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
    await expect(world.access.askBundle(alice, { ...all, lengthMs: 5 * minuteMs, key: 'k' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
    const shorter = await world.access.askBundle(alice, { ...all, lengthMs: 30_000 })
    expect(shorter.map(({ lengthMs }) => lengthMs)).toEqual([30_000, 30_000])
    expect(ids(await world.access.askBundle(alice, { ...all, lengthMs: 30_000 }))).toEqual(ids(shorter))
    await expect(world.access.ask(alice, wish('readonly', { key: 'k' }))).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  })

  test('is filed whole or not at all', async () => {
    await using open_ = await open({}, { bundles })
    const { world } = open_
    await expect(world.access.askBundle(alice, { ...all, lengthMs: 2 * hourMs })).rejects.toMatchObject({
      ...{ code: 'LENGTH_REFUSED', message: expect.stringContaining('prod-db as') as string },
    })
    await expect(world.access.askBundle(alice, { ...all, reason: ' ' })).rejects.toMatchObject({
      code: 'REASON_REQUIRED',
    })
    await world.access.placeLock(people.olga, { person: null, resource: 'prod-db', role: 'readonly' }, 'incident')
    await expect(world.access.askBundle(alice, all)).rejects.toMatchObject({ code: 'LOCKED' })
    expect(await world.access.requestsOf(alice, 9)).toEqual([])
  })

  test('is not there for whoever may not ask for every part', async () => {
    await using open_ = await open({}, { bundles })
    expect(open_.world.access.bundles(mallory)).toEqual([])
    await expect(open_.world.access.askBundle(mallory, all)).rejects.toMatchObject({ code: 'RESOURCE_UNKNOWN' })
  })
})
