// Goal: a lock stops what matches all that its scope names, nothing else, and not a moment longer than it says.
import type { AuditEvent } from '../../src/audit/event.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lockMatch, stoppingLock, type LockTarget } from '../../src/access/locks.ts'
import type { LockScope } from '../../src/kernel/change.ts'
import type { PersonId } from '../../src/kernel/ids.ts'
import { later } from '../../src/kernel/time.ts'
import { HandClock } from '../clock.ts'
import { openWorld, people } from './world.ts'

const { alice, bob, olga } = people
const person = fc.constantFrom<PersonId>('person-a', 'person-b')
const name = fc.constantFrom('x', 'y')
const octet = fc.integer({ min: 0, max: 3 })
const address = fc.tuple(octet, octet).map(([high, low]) => `10.0.${high}.${low}`)
const network = fc.tuple(address, fc.integer({ min: 20, max: 32 })).map(([base, bits]) => `${base}/${bits}`)
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: null })
const scopes: fc.Arbitrary<LockScope> = fc.record({
  ...{ person: maybe(person), resource: maybe(name), role: maybe(name), group: maybe(name) },
  address: maybe(fc.oneof(address, network)),
})
const targets: fc.Arbitrary<LockTarget> = fc.record({
  ...{ person, resource: name, role: name, groups: fc.subarray(['x', 'y']) },
  addresses: fc.array(address, { maxLength: 2 }),
})

const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const isWithin = (scope: string, used: string) => {
  const [base = '', bits = '32'] = scope.split('/')
  const size = 2 ** (32 - Number(bits))
  return Math.floor(number(base) / size) === Math.floor(number(used) / size)
}

test('all that a scope names must match; one that names nothing stops nothing', () => {
  fc.assert(
    fc.property(scopes, targets, (scope, target) => {
      const parts = [
        ...(scope.person === null ? [] : [scope.person === target.person]),
        ...(scope.resource === null ? [] : [scope.resource === target.resource]),
        ...(scope.role === null ? [] : [scope.role === target.role]),
        ...(scope.group === null ? [] : [target.groups.includes(scope.group!)]),
        ...(scope.address === null ? [] : [[...target.addresses].some((used) => isWithin(scope.address!, used))]),
      ]
      expect(lockMatch(scope)(target)).toBe(parts.length > 0 && parts.every(Boolean))
    }),
    { numRuns: 2000 },
  )
})

test('an address is the same however it is written', () => {
  const target = { person: alice.id, groups: [], resource: 'x', role: 'y', addresses: ['::ffff:192.0.2.7'] }
  const scope = { person: null, resource: null, role: null }
  expect(lockMatch({ ...scope, address: '192.0.2.0/24' })(target)).toBe(true)
  expect(lockMatch({ ...scope, address: '2001:db8::/32' })({ ...target, addresses: ['2001:DB8::1'] })).toBe(true)
  expect(lockMatch({ ...scope, address: '192.0.2.8' })(target)).toBe(false)
})

describe('a lock that ends', () => {
  const wish = {
    ...{ resource: 'prod-db', role: 'reporting', lengthMs: 60_000, reason: 'why', ticket: null },
    ...{ startsAt: null, origin: 'a test' },
  }
  const everybody = { person: null, resource: 'prod-db', role: null }

  test('stops until its instant and no longer, swept or not; the gateway writes it down', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock)
    const until = later(clock.now(), 60_000)
    const lock = await world.access.placeLock(olga, everybody, 'drill', 60_000)
    clock.pass(59_999)
    await expect(world.access.ask(alice, wish)).rejects.toMatchObject({ code: 'LOCKED' })
    expect(await world.access.sweep()).toBe(0)
    clock.pass(1)
    expect(await world.access.locks()).toEqual([])
    await expect(world.access.ask(alice, wish)).resolves.toMatchObject({ state: 'approved' })
    await world.access.sweep()
    expect(await world.access.pastLocks(5)).toEqual([{ ...lock, liftedAt: until, liftedBy: null }])
    const [event] = await world.state.audit.search({ types: ['lock.lifted'], limit: 1 })
    expect(JSON.parse(event!.json)).toMatchObject({ person: null, data: { lock: lock.id, scopeResource: 'prod-db' } })
    await expect(world.access.liftLock(olga, lock.id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('may be lifted before; cannot end before it begins', async () => {
    const clock = new HandClock()
    await using world = await openWorld(clock)
    await expect(world.access.placeLock(olga, everybody, 'x', 0)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
    const lock = await world.access.placeLock(olga, everybody, 'x', 1000)
    await world.access.liftLock(olga, lock.id)
    clock.pass(2000)
    await world.access.sweep()
    expect(await world.access.pastLocks(5)).toMatchObject([{ liftedBy: olga.id }])
  })

  test('is looked over for one that stands', () => {
    const at = (time: number) => later(0 as never, time)
    const common = { scope: everybody, reason: 'x', placedBy: olga.id, placedAt: at(0), liftedBy: null, liftedAt: null }
    const over = { ...common, id: 'lock-over', until: at(5) } as const
    const stands = { ...common, id: 'lock-stands', until: at(6) } as const
    const target = { person: bob.id, groups: [], resource: 'prod-db', role: 'x', addresses: [] }
    expect(stoppingLock([over, stands], target, at(5))?.id).toBe('lock-stands')
  })
})

test('nobody lifts a lock that others placed on them, nor does a second account; their own they lift', async () => {
  await using world = await openWorld()
  const oscar = { ...olga, id: 'person-oscar', subject: 'oscar', email: 'oscar@example.com' } as const
  const twin = { ...olga, id: 'person-twin', subject: 'twin', email: 'OLGA@example.com' } as const
  await world.state.identity.transact(async (tx) => {
    for (const one of [oscar, twin]) await tx.savePerson(one)
  })
  const onOlga = { person: olga.id, resource: null, role: null }
  const lock = await world.access.placeLock(oscar, onOlga, 'stolen laptop')
  await expect(world.access.liftLock(olga, lock.id)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(world.access.liftLock(twin, lock.id)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  expect(await world.access.locks()).toHaveLength(1)
  const refused = (await world.state.audit.search({ types: ['lock.refused'], limit: 10 })).map(
    ({ json }) => JSON.parse(json) as AuditEvent,
  )
  expect(refused).toMatchObject([
    { person: twin.id, data: { lock: lock.id, code: 'NOT_ALLOWED' } },
    { person: olga.id, data: { lock: lock.id, code: 'NOT_ALLOWED' } },
  ])
  await world.access.liftLock(oscar, lock.id)
  const own = await world.access.placeLock(olga, onOlga, 'a drill')
  await world.access.liftLock(olga, own.id)
  expect(await world.access.locks()).toEqual([])
})

test('who may neither place nor lift locks, nor end the access of others, leaves a trace of it', async () => {
  await using world = await openWorld()
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs: 60_000, reason: 'x', ticket: null, startsAt: null }
  await world.access.ask(alice, { ...wish, origin: 'x' })
  const [grant] = await world.access.livingGrants(alice.id)
  const before = (await world.auditTypes()).length
  const onBob = { person: bob.id, resource: null, role: null }
  await expect(world.access.placeLock(alice, onBob, 'x')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(world.access.liftLock(alice, 'lock-x')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(world.access.revoke(bob, grant!.id, '')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(world.access.handBack(bob, grant!.id)).rejects.toMatchObject({ code: 'GRANT_UNKNOWN' })
  const types = (await world.auditTypes()).slice(before)
  expect(types).toEqual(['lock.refused', 'lock.refused', 'grant.end-refused', 'grant.end-refused'])
})

test('asking and deciding from a locked address, or in a locked group, is refused', async () => {
  await using world = await openWorld()
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs: 60_000, reason: 'x', ticket: null, startsAt: null }
  const nothing = { person: null, resource: null, role: null }
  for (const address of ['', '10.0.0.0/33', '::/129', 'localhost', 'fe80::1%eth0']) {
    await expect(world.access.placeLock(olga, { ...nothing, address }, 'x')).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  }
  const lock = await world.access.placeLock(olga, { ...nothing, address: '198.51.100.0/24' }, 'x')
  const from = (address: string) => world.access.ask(alice, { ...wish, origin: 'x', asker: { address } })
  await expect(from('198.51.100.9')).rejects.toMatchObject({ code: 'LOCKED' })
  await expect(from('203.0.113.9')).resolves.toBeDefined()
  const { id } = await world.access.ask(alice, { ...wish, role: 'readonly', origin: 'x' })
  const decide = (address: string) => world.access.decide(bob, id, 'approve', '', { address })
  await expect(decide('198.51.100.9')).rejects.toMatchObject({ code: 'LOCKED' })
  await expect(decide('203.0.113.9')).resolves.toMatchObject({ state: 'approved' })
  await world.access.liftLock(olga, lock.id)
  await world.access.placeLock(olga, { ...nothing, group: 'engineers' }, 'x')
  await expect(from('203.0.113.9')).rejects.toMatchObject({ code: 'LOCKED' })
})
