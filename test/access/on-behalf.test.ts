// Goal: whoever a machine names may ask for it, by the policies of the machine; nobody else; and neither of the two approves.
// Method: the access room over a real store, with a machine in it.
import { expect, test } from 'vitest'
import type { Wish } from '../../src/access/access.ts'
import { machineId, machineIssuer } from '../../src/identity/machine.ts'
import type { Person } from '../../src/identity/person.ts'
import { networksOf } from '../../src/policy/networks.ts'
import { stepOf } from '../../src/policy/approval.ts'
import type { Bundle } from '../../src/policy/bundle.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { openWorld, people, policies, type World } from './world.ts'

const machine: Person = {
  ...{ id: machineId('nightly'), issuer: machineIssuer, subject: 'nightly', name: 'nightly', email: null },
  ...{ groups: ['approvers'], seenAt: 0 as Person['seenAt'], kind: 'machine' },
}

const forNightly: Policy = {
  ...policies[0]!,
  name: 'imports',
  who: { machines: ['nightly'] },
  networks: networksOf(['10.0.0.0/8']),
  what: { resources: ['prod-db'], labels: {}, roles: ['admin'] },
  approval: { kind: 'people', steps: [stepOf(1, ['approvers', 'engineers'])] },
}

async function open(rules: readonly Policy[] = [forNightly, ...policies], items: Bundle['items'] = []): Promise<World> {
  const askedForBy = ({ groups }: Pick<Person, 'groups'>) =>
    groups.includes('engineers') ? ['nightly', 'unknown'] : []
  const byName = (name: string) => Promise.resolve(name === 'nightly' ? machine : undefined)
  const world = await openWorld(undefined, undefined, {
    policies: rules,
    bundles: [{ name: 'imports', description: '', items }],
    machines: { askedForBy, byName },
  })
  await world.state.identity.transact((tx) => tx.savePerson(machine))
  return world
}

const wish = (over: Partial<Wish> = {}): Wish => ({
  ...{
    resource: 'prod-db',
    role: 'admin',
    lengthMs: 60_000,
    reason: 'tonight',
    ticket: null,
    startsAt: null,
    origin: 'test',
  },
  ...{ asker: { address: '203.0.113.9' }, onBehalfOf: 'nightly' },
  ...over,
})

test('who may ask for it asks; it is the machine’s, and says who asked', async () => {
  await using world = await open()
  const { access, state } = world
  expect(await access.machinesFor(people.alice)).toEqual([machine])
  expect(await access.machinesFor(people.bob)).toEqual([])
  expect(await access.machinesFor({ ...machine, groups: ['engineers'] })).toEqual([])
  const request = await access.ask(people.alice, wish())
  expect(request).toMatchObject({ person: machine.id, askedBy: people.alice.id, policy: 'imports', state: 'requested' })
  expect(await access.ask(people.alice, wish())).toEqual(request)
  expect(await access.requestsAskedBy(people.alice, 9)).toEqual([request])
  expect(await access.requestsOf(people.alice, 9)).toEqual([])
  expect((await access.view(people.alice, request.id)).requesters).toEqual([machine, people.alice])
  const [opened] = await state.audit.search({ types: ['request.opened'], limit: 1 })
  expect(JSON.parse(opened!.json)).toMatchObject({ person: people.alice.id, data: { holder: machine.id } })

  await access.decide(people.bob, request.id, 'approve', '')
  const [grant] = await access.livingGrants(machine.id)
  expect(grant).toMatchObject({ person: machine.id, state: 'active' })
  expect(await access.livingGrants(people.alice.id)).toEqual([])
  await expect(access.handBack(people.dave, grant!.id)).rejects.toMatchObject({ code: 'GRANT_UNKNOWN' })
  await access.handBack(people.alice, grant!.id)
  expect(await access.livingGrants(machine.id)).toEqual([])
})

test('more time for a machine is asked for by either, and approved by neither', async () => {
  await using world = await open()
  const { access, state } = world
  const { id } = await access.ask(people.dave, wish())
  await access.decide(people.bob, id, 'approve', '')
  const [grant] = await access.livingGrants(machine.id)
  const more = { lengthMs: 60_000, reason: 'not done', ticket: null, origin: 'test', asker: { address: '203.0.113.9' } }
  await expect(access.extend(people.alice, grant!.id, more)).rejects.toMatchObject({ code: 'GRANT_UNKNOWN' })
  const request = await access.extend(machine, grant!.id, { ...more, asker: { address: '10.0.0.0' }, key: 'k' })
  expect(request).toMatchObject({ kind: 'extension', person: machine.id, askedBy: people.dave.id })
  expect((await access.extend(machine, grant!.id, { ...more, asker: { address: '10.0.0.0' }, key: 'k' })).id).toBe(
    request.id,
  )
  expect((await access.extend(people.dave, grant!.id, more)).id).toBe(request.id)
  const [opened] = await state.audit.search({ types: ['request.opened'], limit: 1 })
  expect(JSON.parse(opened!.json)).toMatchObject({ person: machine.id })
  for (const one of [people.dave, machine]) {
    await expect(access.decide(one, request.id, 'approve', '')).rejects.toMatchObject({ code: 'SELF_APPROVAL' })
  }
  await access.decide(people.carol, request.id, 'approve', '')
  expect((await access.livingGrants(machine.id))[0]!.expiresAt).toBe(grant!.expiresAt + 60_000)
})

test('neither the machine nor who asked approves, whatever groups they are in', async () => {
  await using world = await open()
  const { access } = world
  const { id } = await access.ask(people.dave, wish())
  for (const one of [people.dave, machine, { ...people.mallory, email: 'DAVE@example.com', groups: ['approvers'] }]) {
    await expect(access.decide(one, id, 'approve', '')).rejects.toMatchObject({ code: 'SELF_APPROVAL' })
  }
  expect(await access.toDecide(people.dave)).toEqual([])
  expect((await access.toDecide(people.alice)).map(({ request }) => request.id)).toEqual([id])
  expect(await access.decide(people.alice, id, 'approve', '')).toMatchObject({ state: 'approved' })
})

test.for<readonly [string, Person, Partial<Wish>, string]>([
  ['somebody whom it does not name', people.bob, {}, 'NOT_ALLOWED'],
  ['an operator', people.olga, {}, 'NOT_ALLOWED'],
  ['the machine itself', machine, {}, 'NOT_ALLOWED'],
  ['for a machine that is not there', people.alice, { onBehalfOf: 'unknown' }, 'NOT_ALLOWED'],
  ['for a person', people.alice, { onBehalfOf: 'bob' }, 'NOT_ALLOWED'],
  ['for what only they may have', people.alice, { role: 'reporting' }, 'ROLE_UNKNOWN'],
  ['for what it may have, for themselves', people.mallory, { onBehalfOf: undefined }, 'RESOURCE_UNKNOWN'],
  ['somebody in an emergency', people.alice, { emergency: true }, 'INPUT_INVALID'],
  ['the machine in an emergency', machine, { emergency: true, onBehalfOf: undefined }, 'INPUT_INVALID'],
])('asked by %s it is refused', async ([, asker, over, code]) => {
  await using world = await open()
  await expect(world.access.ask(asker, wish(over))).rejects.toMatchObject({ code })
  expect(await world.auditTypes()).toContain('request.refused')
})

test('a lock on either stops it; who asked calls it off, nobody else', async () => {
  await using world = await open()
  const { access } = world
  for (const person of [machine.id, people.alice.id]) {
    const lock = await access.placeLock(people.olga, { person, resource: null, role: null }, 'stop')
    await expect(access.ask(people.alice, wish())).rejects.toMatchObject({ code: 'LOCKED' })
    await access.liftLock(people.olga, lock.id)
  }
  const { id } = await access.ask(people.alice, wish())
  await expect(access.cancel(people.dave, id)).rejects.toMatchObject({ code: 'REQUEST_UNKNOWN' })
  await access.cancel(people.alice, id)
  expect((await access.view(people.alice, id)).request.state).toBe('cancelled')
})

test('a key is its asker’s: the same twice is one request, for themselves it is another', async () => {
  await using world = await open()
  const { access } = world
  const one = await access.ask(people.alice, wish({ key: 'k' }))
  expect((await access.ask(people.alice, wish({ key: 'k' }))).id).toBe(one.id)
  const own = access.ask(people.alice, wish({ key: 'k', onBehalfOf: undefined }))
  await expect(own).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  expect((await access.ask(people.dave, wish({ key: 'k' }))).id).not.toBe(one.id)
})

test('whoever asked for a machine does not say in a review of access that it keeps it, nor does a second account', async () => {
  const long: Policy = { ...forNightly, length: { defaultMs: 60_000, mostMs: 60 * 86_400_000 } }
  await using world = await open([long, ...policies])
  const { access, state } = world
  const twin: Person = { ...people.mallory, email: 'DAVE@example.com', groups: ['approvers'] }
  await state.identity.transact((tx) => tx.savePerson(twin))
  const { id } = await access.ask(people.dave, wish({ lengthMs: 30 * 86_400_000 }))
  await access.decide(people.bob, id, 'approve', '')
  const started = await access.campaigns.start(people.olga, {
    ...{ name: 'autumn', lengthMs: 86_400_000, reviewers: ['approvers'] },
  })
  const { entry } = started.entries.find((one) => one.entry.kind === 'grant')!
  for (const self of [people.dave, twin]) {
    const view = await access.campaigns.view(self, entry.campaign)
    expect(view.entries.find((one) => one.entry.id === entry.id)).toMatchObject({ mayDecide: false })
    for (const word of ['confirm', 'end'] as const) {
      await expect(access.campaigns.decide(self, entry.id, word, 'still needed')).rejects.toMatchObject({
        code: 'SELF_APPROVAL',
      })
    }
  }
  await access.campaigns.decide(people.bob, entry.id, 'confirm', 'still needed')
})

test('who may ask for a machine no longer gets no more time for it, but can hand it back', async () => {
  await using world = await open()
  const { access } = world
  const { id } = await access.ask(people.dave, wish())
  await access.decide(people.bob, id, 'approve', '')
  const [grant] = await access.livingGrants(machine.id)
  const left: Person = { ...people.dave, groups: ['approvers'] }
  const more = { lengthMs: 60_000, reason: 'not done', ticket: null, origin: 'test' }
  await expect(access.extend(left, grant!.id, more)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(access.extension(left, grant!.id)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await access.handBack(left, grant!.id)
  expect(await access.livingGrants(machine.id)).toEqual([])
})

test('a bundle is the machine’s where its policies have every part, and each part says who asked', async () => {
  const both: Policy = { ...forNightly, what: { resources: ['prod-db'], labels: {}, roles: ['admin', 'readonly'] } }
  const items = ['admin', 'readonly'].map((role) => ({ resource: 'prod-db', role, lengthMs: null }))
  await using world = await open([both], items)
  const { access } = world
  const { resource: _, role: _role, lengthMs: _length, ...rest } = wish()
  const all = { ...rest, bundle: 'imports', lengthMs: null }
  expect(access.bundles(machine)).toHaveLength(1)
  expect(access.bundles(people.alice)).toEqual([])
  const requests = await access.askBundle(people.alice, { ...all, key: 'tonight' })
  expect(requests).toMatchObject(
    ['admin', 'readonly'].map((role) => ({ role, person: machine.id, askedBy: people.alice.id, state: 'requested' })),
  )
  const ids = (found: typeof requests) => found.map(({ id }) => id).toSorted()
  expect(ids(await access.askBundle(people.alice, { ...all, key: 'tonight' }))).toEqual(ids(requests))
  expect(ids(await access.askBundle(people.alice, all))).toEqual(ids(requests))
  expect(ids(await access.askBundle(people.dave, all))).not.toEqual(ids(requests))
  await expect(access.askBundle(people.bob, all)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(access.decide(people.alice, requests[0]!.id, 'approve', '')).rejects.toMatchObject({
    code: 'SELF_APPROVAL',
  })
  await access.decide(people.bob, requests[0]!.id, 'approve', '')
  expect(await access.livingGrants(machine.id)).toMatchObject([{ role: 'admin' }])

  const anybody = { person: null, resource: null, role: null }
  for (const scope of [{ person: machine.id }, { address: '203.0.113.0/24' }]) {
    const lock = await access.placeLock(people.olga, { ...anybody, ...scope }, 'incident')
    const again = access.askBundle(people.alice, { ...all, reason: 'later' })
    await expect(again, JSON.stringify(scope)).rejects.toMatchObject({ code: 'LOCKED' })
    await access.liftLock(people.olga, lock.id)
  }
})
