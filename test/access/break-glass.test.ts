// Goal: in an emergency access is there at once, is short, and waits for somebody else to look at it, however hard one tries.
// Method: the access room over the real store, whose database refuses by itself what the room forbids.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Wish } from '../../src/access/access.ts'
import type { Person } from '../../src/identity/person.ts'
import type { Metrics } from '../../src/kernel/metrics.ts'
import { grantLifeFacts } from '../../src/notify/life-facts.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { isExtendable } from '../../src/sessions/find-grant.ts'
import type { Active } from '../../src/access/states.ts'
import { HandClock } from '../clock.ts'
import { openRaw } from '../store/raw.ts'
import { accessOver, openWorld, people, policies, type World } from './world.ts'

const { alice, bob, carol, olga, sam, mallory } = people
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const reason = 'checkout is down since 14:40'

const glass: Policy = {
  name: 'break glass',
  who: { groups: ['engineers'] },
  what: { resources: ['prod-db'], labels: {}, roles: ['admin', 'reporting'] },
  length: { defaultMs: 1_800_000, mostMs: hourMs },
  reason: 'required',
  ticket: null,
  approval: { kind: 'none' },
  breakGlass: { review: { from: ['approvers'], allOf: [], named: [], manager: false } },
}

const open = (clock = new HandClock(), metrics?: Metrics) =>
  openWorld(clock, hourMs, { policies: [glass, ...policies], ...(metrics && { metrics }) })

const wish = (more: Partial<Wish> = {}): Wish => ({
  ...{ resource: 'prod-db', role: 'admin', lengthMs: hourMs, reason, ticket: null, startsAt: null, origin: 'test' },
  emergency: true,
  ...more,
})

async function broken({ access, state }: World, who = alice, more: Partial<Wish> = {}) {
  const request = await access.ask(who, wish(more))
  const review = (await access.reviews.ofRequest(request.id))!
  return { request, review, grant: (await state.access.grantOf(request.id))! }
}

/** Straight into the file, past everything. */
function raw({ folder }: World, sql: string, ...values: (string | number)[]): void {
  const database = openRaw(join(folder, 'state.db'))
  try {
    database.prepare(sql).run(...values)
  } finally {
    database.close()
  }
}

test('in an emergency the access is there at once, on record, with a review that is open', async () => {
  await using world = await open()
  const { request, review, grant } = await broken(world)
  expect(request).toMatchObject({ state: 'approved', kind: 'break-glass', policy: 'break glass' })
  expect(grant).toMatchObject({ state: 'active', expiresAt: request.askedAt + hourMs })
  expect(review).toMatchObject({ state: 'open', person: alice.id, reviewers: { from: ['approvers'] } })
  expect(await world.auditTypes()).toEqual([
    ...['request.opened', 'request.approved', 'grant.started', 'request.break-glass'],
  ])
  const same = await Promise.all([world.access.ask(alice, wish()), world.access.ask(alice, wish())])
  expect(same.map(({ id }) => id)).toEqual([request.id, request.id])
  expect(await world.access.reviews.open(bob)).toHaveLength(1)
})

test('it is for those whom a policy names, for emergencies, with a reason, now, and for no longer than it says', async () => {
  await using world = await open()
  const codes = await Promise.all(
    [
      [mallory, {}],
      [alice, { reason: 'test' }],
      [alice, { reason: ' '.repeat(40) }],
      [alice, { lengthMs: hourMs + 1 }],
      [alice, { startsAt: (Date.UTC(2026, 10, 23) + 0) as Wish['startsAt'] }],
      [alice, { role: 'readonly' }],
    ].map(([who, more]) =>
      world.access.ask(who as Person, wish(more as Partial<Wish>)).then(
        () => 'had',
        (error: { code: string }) => error.code,
      ),
    ),
  )
  expect(codes).toEqual([
    ...['RESOURCE_UNKNOWN', 'REASON_REQUIRED', 'REASON_REQUIRED', 'LENGTH_REFUSED', 'INPUT_INVALID', 'ROLE_UNKNOWN'],
  ])
  expect((await world.access.ask(alice, wish({ emergency: false }))).state).toBe('requested')
  const roles = (offers: readonly { role: { name: string } }[]) => offers.map(({ role }) => role.name)
  expect(roles(world.access.offers(alice))).toEqual(['readonly', 'admin', 'reporting'])
  expect(roles(world.access.emergencies(alice))).toEqual(['admin', 'reporting'])
})

test('what can be had in an emergency only is not offered otherwise, and says where to go', async () => {
  await using world = await openWorld(new HandClock(), hourMs, { policies: [glass] })
  expect(world.access.offers(alice)).toEqual([])
  expect(() => world.access.offer(alice, 'prod-db', 'admin')).toThrow(
    expect.objectContaining({
      code: 'NO_GRANT',
      hint: 'In an emergency: https://gw.example.com/ask/emergency?resource=prod-db&role=admin',
    }),
  )
  expect(() => world.access.offer(mallory, 'prod-db', 'admin')).toThrow(
    expect.objectContaining({ code: 'RESOURCE_UNKNOWN' }),
  )
})

test('what was taken in an emergency only can be reached as long as it lives, and no longer', async () => {
  const clock = new HandClock()
  await using world = await openWorld(clock, hourMs, { policies: [glass] })
  const roles = async () => (await world.access.usable(alice)).map(({ role }) => role.name)
  expect(await roles()).toEqual([])
  const { grant } = await broken(world)
  expect(await roles()).toEqual(['admin'])
  await world.access.handBack(alice, grant.id)
  expect(await roles()).toEqual([])
})

test('a lock stops an emergency, too', async () => {
  await using world = await open()
  await world.access.placeLock(olga, { person: alice.id, resource: null, role: null }, 'odd')
  await expect(world.access.ask(alice, wish())).rejects.toMatchObject({ code: 'LOCKED' })
})

test('somebody else closes the review, once, with a word; others cannot, and their attempts are on record', async () => {
  await using world = await open()
  const { review, grant } = await broken(world)
  const { reviews } = world.access
  await expect(reviews.close(mallory, review.id, 'justified', 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(reviews.close(sam, review.id, 'justified', 'x')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(reviews.close(bob, review.id, 'justified', ' ')).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  await expect(reviews.close(bob, review.id, 'justified', 'x')).rejects.toMatchObject({ code: 'GRANT_IN_WRONG_STATE' })
  expect(await reviews.view(bob, review.id)).toMatchObject({ mayClose: true, lives: true, review: { state: 'open' } })
  await world.access.handBack(alice, grant.id)
  const closed = await reviews.close(bob, review.id, 'justified', 'it was down')
  expect(closed).toMatchObject({
    review: { verdict: 'justified' },
    closedBy: { id: bob.id },
    mayClose: false,
    lives: false,
  })
  await expect(reviews.close(carol, review.id, 'not-justified', 'no')).rejects.toMatchObject({ code: 'REVIEW_CLOSED' })
  expect((await world.auditTypes()).slice(4)).toEqual([
    ...['review.refused', 'review.refused', 'review.refused', 'grant.handed-back', 'review.closed', 'review.refused'],
  ])
})

test('nobody closes their own, nor by a second account with their address; the database refuses it, too', async () => {
  await using world = await open()
  const twin: Person = {
    ...alice,
    id: 'person-twin',
    subject: 'twin',
    groups: ['approvers'],
    email: 'ALICE@example.com',
  }
  const both: Person = { ...alice, groups: ['engineers', 'approvers'] }
  await world.state.identity.transact(async (tx) => {
    await tx.savePerson(twin)
    await tx.savePerson(both)
  })
  const { review } = await broken(world, both)
  for (const self of [both, twin]) {
    await expect(world.access.reviews.close(self, review.id, 'justified', 'fine')).rejects.toMatchObject({
      code: 'SELF_APPROVAL',
    })
    const close = "update reviews set verdict = 'justified', comment = 'x', closed_by = ?, closed_at = ? where id = ?"
    expect(() => raw(world, close, self.id, review.openedAt + 1, review.id)).toThrow('curfew:SELF_APPROVAL')
  }
  expect(await world.access.reviews.waiting(both)).toBe(0)
  expect(await world.access.reviews.waiting(bob)).toBe(1)
  expect(await world.access.reviews.waiting(mallory)).toBeNull()
})

test('who is locked closes none; a lock on the resource keeps nobody from it', async () => {
  await using world = await open()
  const { review, grant } = await broken(world)
  await world.access.handBack(alice, grant.id)
  const { reviews } = world.access
  await world.access.placeLock(olga, { person: null, resource: grant.resource, role: null }, 'incident')
  await world.access.placeLock(olga, { person: bob.id, resource: null, role: null }, 'stolen laptop')
  await expect(reviews.close(bob, review.id, 'justified', 'fine')).rejects.toMatchObject({ code: 'LOCKED' })
  expect(await reviews.close(carol, review.id, 'justified', 'fine')).toMatchObject({ closedBy: { id: carol.id } })
})

test('of two who close it at one instant one wins, every time', async () => {
  await using world = await open()
  for (let round = 0; round < 10; round++) {
    const { review, grant } = await broken(world, alice, { reason: `${reason}, round ${round}` })
    await world.access.handBack(alice, grant.id)
    const outcomes = await Promise.allSettled([
      world.access.reviews.close(bob, review.id, 'justified', 'yes'),
      world.access.reviews.close(carol, review.id, 'not-justified', 'no'),
    ])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  }
})

test('what was not justified and still lives ends with the review', async () => {
  await using world = await open()
  const { review, grant } = await broken(world)
  await world.access.reviews.close(bob, review.id, 'not-justified', 'there was no outage')
  expect(await world.state.access.grant(grant.id)).toMatchObject({
    ...{ state: 'revoked', endedBy: bob.id, comment: 'there was no outage' },
  })
  expect((await world.auditTypes()).slice(-2)).toEqual(['review.closed', 'grant.revoked'])
})

test('it is said that a review waits when the access is over, daily, then weekly, until somebody closes it', async () => {
  const clock = new HandClock()
  const seen: Record<string, number> = {}
  const metrics = {
    add: () => undefined,
    observe: () => undefined,
    forget: () => undefined,
    set: (name: string, _: unknown, value: number) => void (seen[name] = value),
  }
  await using world = await open(clock, metrics)
  const waiting: number[] = []
  using _ = world.state.changes.subscribe((change) => {
    if (change.kind === 'review-waiting') waiting.push(Math.floor((clock.now() - start) / dayMs))
  })
  const start = clock.now()
  const { review, grant } = await broken(world)
  await world.access.sweep()
  expect(waiting).toEqual([])
  expect(seen['curfew_open_reviews']).toBe(1)
  clock.pass(hourMs / 4)
  await world.access.handBack(alice, grant.id)
  await world.access.sweep()
  await expect.poll(() => waiting).toEqual([0])
  for (let hour = 0; hour < 30 * 24; hour++) {
    clock.pass(hourMs)
    await world.access.sweep()
  }
  await expect.poll(() => waiting).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 27])
  expect(seen['curfew_oldest_open_review_seconds']).toBe((30 * dayMs + hourMs / 4) / 1000)
  await world.access.reviews.close(bob, review.id, 'justified', 'late, but it was')
  clock.pass(10 * dayMs)
  expect(await world.access.sweep()).toBe(0)
  expect(seen).toEqual({ curfew_open_reviews: 0, curfew_oldest_open_review_seconds: 0 })
})

test('a review is never deleted or opened again, and no emergency is without one, whoever writes to the file', async () => {
  await using world = await open()
  const { review, request, grant } = await broken(world)
  const refused = (sql: string, ...values: (string | number)[]) => expect(() => raw(world, sql, ...values)).toThrow()
  refused('delete from reviews')
  refused('update reviews set reviewers = ?', '{}')
  refused('update reviews set person_id = ?', bob.id)
  refused('update grants set expires_at = expires_at + 1 where id = ?', grant.id)
  refused(
    "update reviews set verdict = 'justified', closed_by = ?, closed_at = ?, comment = ' '",
    bob.id,
    review.openedAt,
  )
  await world.access.handBack(alice, grant.id)
  await world.access.reviews.close(bob, review.id, 'justified', 'fine')
  refused('update reviews set verdict = null, comment = null, closed_by = null, closed_at = null')
  refused("update reviews set comment = 'other'")
  refused(
    `insert into requests (id, person_id, resource, role, length_ms, reason, policy, approval, origin, asked_at, lapses_at,
      state, closed_at, kind, step, step_since)
     select 'request-x', person_id, resource, role, length_ms, ' ', policy, approval, origin, asked_at, lapses_at,
      state, closed_at, kind, step, step_since from requests where id = ?`,
    request.id,
  )
  raw(
    world,
    `insert into requests (id, person_id, resource, role, length_ms, reason, policy, approval, origin, asked_at, lapses_at,
      state, closed_at, kind, step, step_since)
     select 'request-x', person_id, resource, role, length_ms, reason, policy, approval, origin, asked_at, lapses_at,
      state, closed_at, kind, step, step_since from requests where id = ?`,
    request.id,
  )
  refused(
    `insert into grants (id, request_id, person_id, resource, role, policy, starts_at, expires_at, state, length_ms)
     select 'grant-x', 'request-x', person_id, resource, role, policy, starts_at, expires_at, 'active', length_ms
      from grants where id = ?`,
    grant.id,
  )
})

test('emergencies of one person that nobody looked at are bounded', async () => {
  await using world = await open()
  for (let count = 0; count < 20; count++) await broken(world, alice, { reason: `${reason} (${count})` })
  await expect(world.access.ask(alice, wish())).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  expect(await world.access.reviews.emergencies([])).toEqual(new Set())
})

test('who reviews it sees its request, its sessions and nothing else of the person', async () => {
  await using world = await open()
  const { request, grant, review } = await broken(world)
  expect((await world.access.view(bob, request.id)).request.id).toBe(request.id)
  await expect(world.access.view(mallory, request.id)).rejects.toMatchObject({ code: 'REQUEST_UNKNOWN' })
  expect(await world.access.reviews.looksAt(bob, grant.id)).toBe(true)
  expect(await world.access.reviews.looksAt(mallory, grant.id)).toBe(false)
  expect(await world.access.reviews.looksAt(alice, grant.id)).toBe(false)
  const usual = await world.access.ask(alice, wish({ emergency: false, role: 'reporting' }))
  const other = (await world.state.access.grantOf(usual.id))!
  expect(await world.access.reviews.looksAt(bob, other.id)).toBe(false)
  expect(await world.access.reviews.emergencies([grant.id, other.id])).toEqual(new Set([grant.id]))
  expect(await world.access.reviews.view(sam, review.id)).toMatchObject({ mayClose: false, sessions: [] })
})

test('more time is neither offered nor given, also when its policy has another name by now', async () => {
  const clock = new HandClock()
  await using world = await open(clock)
  const { request, grant } = await broken(world, alice, { role: 'reporting' })
  const more = { lengthMs: hourMs, reason, ticket: null, origin: 'test' }
  const renamed = [{ ...glass, name: 'emergencies' }, ...policies]
  const later = accessOver(world.state, clock, hourMs, { policies: renamed })
  for (const access of [world.access, later]) {
    expect((await access.extension(alice, grant.id)).why).toMatch(/emergency/)
    await expect(access.extend(alice, grant.id, more)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  }
  const link = () => 'a link'
  for (const policy of [glass, undefined]) {
    expect(grantLifeFacts(grant, request, policy, link).extendLink).toBeNull()
    expect(isExtendable({ policies: renamed }, grant as Active, { isEmergency: true })).toBe(false)
  }
})
