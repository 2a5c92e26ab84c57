import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { BrowserSession } from '../../src/identity/store.ts'
import type { Active } from '../../src/access/states.ts'
import type { Fault } from '../../src/kernel/fault.ts'
import type { Change } from '../../src/kernel/change.ts'
import type { Instant } from '../../src/kernel/time.ts'
import type { Policy, Weekly } from '../../src/policy/rules.ts'
import { openSigningKey } from '../../src/recording/keys.ts'
import { openRecordings } from '../../src/recording/recordings.ts'
import type { Admission, Ask } from '../../src/sessions/admission.ts'
import { SessionGate } from '../../src/sessions/gate.ts'
import { systemClock, systemRandom } from '../../src/system.ts'
import { openWorld, people, policies, quiet, silent } from '../access/world.ts'
import { HandClock } from '../clock.ts'
import { approved, someGrant, someRequest } from '../contracts/samples.ts'

const { alice } = people
const minuteMs = 60_000
const hourMs = 60 * minuteMs
/** Sunday, 22 November 2026, 14:48:07 UTC, as the clock of the tests begins. */
const sunday = (from: string, to: string): Weekly => {
  const minute = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
  return { days: [7], fromMinute: minute(from), toMinute: minute(to), zone: 'UTC' }
}

async function open(grants?: Partial<NonNullable<Policy['grants']>>) {
  await using stack = new AsyncDisposableStack()
  const clock = new HandClock()
  const usual = { clock: 'start', uses: 'many', unusedMs: null, totalMs: null, recurringMs: null } as const
  const given = policies.map((policy) => ({ ...policy, ...(grants && { grants: { ...usual, ...grants } }) }))
  const world = stack.use(await openWorld(clock, hourMs, { policies: given }))
  const browserSession: BrowserSession = {
    ...{ id: 'browser-one', person: alice.id, secretHash: 'x', providerSession: null, idToken: null },
    ...{ sealedRefreshToken: null, address: '127.0.0.1', userAgent: 'test', createdAt: clock.now() },
    ...{ expiresAt: (clock.now() + 90 * 24 * hourMs) as Instant, endedAt: null },
  }
  await world.state.identity.transact((tx) => tx.insertBrowserSession(browserSession))
  const key = await openSigningKey(world.folder)
  const settings = { unsavedBytesMax: 1 << 20, unsavedMsMax: 250, freeBytesMin: 0 }
  const recordings = stack.use(
    await openRecordings({
      ...{ folder: join(world.folder, 'recordings'), key, settings, clock: systemClock, log: quiet, metrics: silent },
    }),
  )
  const newGate = (node: string) =>
    new SessionGate({
      ...{ node, catalogue: world.catalogue, rules: { policies: given }, operators: ['operators'] },
      connectCommand: (resource, role) => `${role.kind} ${role.name} ${resource}`,
      ...{ access: world.state.access, sessions: world.state.sessions, recordings, changes: world.state.changes },
      person: (id) => world.state.identity.person(id),
      stands: () => Promise.resolve(true),
      askLink: (resource, role) => world.access.askLink(resource, role),
      extendLink: (grant) => world.access.extendLink(grant),
      ...{ warnBeforeMs: [5 * minuteMs], sessionsPerPersonMax: 20, clock, random: systemRandom },
      ...{ log: quiet, metrics: silent, soon: setImmediate },
    })
  const gate = stack.use(newGate('gw-1'))
  const second = () => all.use(newGate('gw-2'))
  const give = async (over: Partial<Active> = {}) => {
    const wish = {
      policy: 'reporting',
      role: 'reporting',
      approval: { kind: 'none' },
      lengthMs: over.lengthMs ?? hourMs,
    } as const
    const request = someRequest(alice.id, {
      ...wish,
      askedAt: clock.now(),
      stepSince: clock.now(),
      lapsesAt: (clock.now() + hourMs) as Instant,
    })
    const times = { startsAt: clock.now(), expiresAt: (clock.now() + hourMs) as Instant, lengthMs: hourMs }
    const grant = someGrant(request, { ...times, ...over })
    await world.state.access.transact(async (tx) => {
      await tx.insertRequest(request)
      await tx.updateRequest({ ...approved(request), closedAt: clock.now() })
      await tx.insertGrant(grant)
    })
    return grant
  }
  const now = async ({ id }: Pick<Active, 'id'>) => (await world.state.access.grant(id))!
  const all = stack.move()
  return { world, clock, gate, second, give, now, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

const ask = (more: Partial<Ask> = {}): Ask => ({
  identified: { person: alice.id, personName: 'alice', credential: 'browser-one', browserSession: 'browser-one' },
  ...{ resource: 'prod-db', role: 'reporting', database: 'shop' },
  client: { protocol: 'postgres', address: '127.0.0.1', port: 5, application: 'psql', tls: true },
  ...more,
})

/** What a protocol does when it is cut off. */
function hold(admission: Admission): Promise<Fault> {
  const { promise, resolve } = Promise.withResolvers<Fault>()
  const goodbye = () => {
    admission.told()
    void admission.end({ by: 'gate', bytesFromClient: 0, bytesFromTarget: 0 })
    resolve(admission.cutOff.reason as Fault)
  }
  if (admission.cutOff.aborted) goodbye()
  else admission.cutOff.addEventListener('abort', goodbye, { once: true })
  return promise
}
const leave = (admission: Admission) => admission.end({ by: 'client', bytesFromClient: 0, bytesFromTarget: 0 })

describe('of several grants', () => {
  test('the one under which the session lasts longest is taken', async () => {
    await using place = await open()
    await place.give({ lengthMs: 30 * minuteMs, expiresAt: (place.clock.now() + 30 * minuteMs) as Instant })
    const long = await place.give()
    await place.give({ expiresAt: (place.clock.now() + 24 * hourMs) as Instant, windows: [sunday('14:00', '15:00')] })
    const admission = await place.gate.admit(ask())
    expect(admission.session.grant).toBe(long.id)
    await leave(admission)
  })

  test('the one that admits this client is taken, however short it is', async () => {
    await using place = await open()
    await place.give({ windows: [sunday('16:00', '17:00')] })
    await place.give({ databases: ['other'] })
    await place.give({ networks: ['203.0.113.0/24'] })
    const short = await place.give({ expiresAt: (place.clock.now() + minuteMs) as Instant })
    const admission = await place.gate.admit(ask())
    expect(admission.session.grant).toBe(short.id)
    await leave(admission)
  })
})

describe('is refused', () => {
  test('outside the hours of the grant, with when it opens', async () => {
    await using place = await open()
    await place.give({ windows: [sunday('16:00', '17:00')], expiresAt: (place.clock.now() + 9 * hourMs) as Instant })
    await expect(place.gate.admit(ask())).rejects.toMatchObject({
      code: 'OUTSIDE_WINDOW',
      message: 'Your access to prod-db as reporting is for certain hours. It opens at 2026-11-22 16:00:00 UTC.',
    })
    place.clock.pass(72 * minuteMs)
    await leave(await place.gate.admit(ask()))
  })

  test('a database, or a network, that was not approved', async () => {
    await using place = await open()
    const narrow = await place.give({ databases: ['other'] })
    const hint = 'It was approved for other only.'
    await expect(place.gate.admit(ask())).rejects.toMatchObject({ code: 'DATABASE_REFUSED', hint })
    const replicating = ask({ database: 'shop', reachesAllDatabases: true })
    const shop = await place.give({ databases: ['shop'] })
    await expect(place.gate.admit(replicating)).rejects.toMatchObject({ code: 'DATABASE_REFUSED' })
    await leave(await place.gate.admit(ask({ database: 'shop' })))
    for (const { id } of [narrow, shop]) await place.world.access.handBack(alice, id)
    await place.give({ networks: ['203.0.113.0/24', '2001:db8::/32'] })
    await expect(place.gate.admit(ask())).rejects.toMatchObject({
      code: 'FROM_ELSEWHERE',
      hint: 'It was approved for 203.0.113.0/24, 2001:db8::/32 only.',
    })
    const admission = await place.gate.admit(ask({ client: { ...ask().client, address: '203.0.113.9' } }))
    expect(await admission.refusalFrom('198.51.100.1')).toMatchObject({ code: 'FROM_ELSEWHERE' })
    expect(await admission.refusalFrom('2001:db8::7')).toBeUndefined()
    await leave(admission)
  })
})

test('a session ends when the hours of its grant do, with a warning before', async () => {
  await using place = await open()
  await place.give({ windows: [sunday('14:00', '15:00')], expiresAt: (place.clock.now() + 9 * hourMs) as Instant })
  const admission = await place.gate.admit(ask())
  const cut = hold(admission)
  const warnings: unknown[] = []
  using _ = admission.onWarning((leftMs, cause) => warnings.push([leftMs, cause]))
  expect(admission.deadline.value).toBe(Date.UTC(2026, 10, 22, 15))
  place.clock.pass(11 * minuteMs + 52_999)
  expect(warnings).toEqual([[5 * minuteMs, 'closing']])
  expect(admission.cutOff.aborted).toBe(false)
  place.clock.pass(1)
  expect(await cut).toMatchObject({ code: 'OUTSIDE_WINDOW' })
  expect(place.gate.liveCount).toBe(0)
})

describe('the first use', () => {
  const unused = (clock: HandClock) => {
    const useBy = (clock.now() + 4 * hourMs) as Instant
    return { clock: 'first-use', lengthMs: hourMs, useBy, expiresAt: useBy } as const
  }

  test('starts the clock of the grant, for every node', async () => {
    await using place = await open()
    const grant = await place.give(unused(place.clock))
    const changes: Change[] = []
    using _ = place.world.state.changes.subscribe((change) => changes.push(change))
    place.clock.pass(2 * hourMs)
    const admission = await place.gate.admit(ask())
    const endsAt = place.clock.now() + hourMs
    expect(admission.deadline.value).toBe(endsAt)
    expect(await place.now(grant)).toMatchObject({ firstUsedAt: place.clock.now(), expiresAt: endsAt })
    await expect
      .poll(() => changes)
      .toContainEqual({
        ...{ kind: 'grant-moved', grant: grant.id, expiresAt: endsAt, cause: 'first-use' },
      })
    expect(await place.world.auditTypes()).toContain('grant.clock-started')
    await leave(admission)
    place.clock.pass(30 * minuteMs)
    const again = await place.second().admit(ask())
    expect(again.deadline.value).toBe(endsAt)
    const cut = hold(again)
    place.clock.pass(30 * minuteMs)
    expect(await cut).toMatchObject({ code: 'GRANT_EXPIRED' })
  })

  test('is one, however many begin at once, on whatever node', async () => {
    await using place = await open()
    const grant = await place.give(unused(place.clock))
    const other = place.second()
    const all = await Promise.all([1, 2, 3, 4].map((n) => (n % 2 === 0 ? place.gate : other).admit(ask())))
    const endsAt = place.clock.now() + hourMs
    expect(all.map(({ deadline }) => deadline.value)).toEqual([endsAt, endsAt, endsAt, endsAt])
    expect((await place.world.auditTypes()).filter((type) => type === 'grant.clock-started')).toHaveLength(1)
    expect(await place.now(grant)).toMatchObject({ expiresAt: endsAt })
    for (const admission of all) await leave(admission)
  })

  test('that comes too late is refused, before anybody wrote that down', async () => {
    await using place = await open()
    await place.give(unused(place.clock))
    place.clock.pass(4 * hourMs)
    await expect(place.gate.admit(ask())).rejects.toMatchObject({ code: 'NO_GRANT' })
  })
})

describe('a grant for one session', () => {
  test('admits one, says so to the next, and is over with it', async () => {
    await using place = await open()
    const grant = await place.give({ uses: 'once' })
    const [one, two] = await Promise.allSettled([place.gate.admit(ask()), place.second().admit(ask())])
    const [won, lost] = one.status === 'fulfilled' ? [one, two] : [two, one]
    expect(lost).toMatchObject({ status: 'rejected', reason: { code: 'GRANT_USED_UP' } })
    await expect(place.gate.admit(ask())).rejects.toMatchObject({
      ...{
        code: 'GRANT_USED_UP',
        message: 'Your access to prod-db as reporting was for one session, which has begun.',
      },
      hint: 'Ask again: https://gw.example.com/ask?resource=prod-db&role=reporting',
    })
    if (won.status !== 'fulfilled') throw new Error('nobody was admitted')
    await leave(won.value)
    expect(await place.now(grant)).toMatchObject({
      ...{ state: 'expired', endedAt: place.clock.now(), comment: 'It was for one session, and that is over.' },
    })
    expect(await place.world.auditTypes()).toContain('grant.used-up')
    await expect(place.gate.admit(ask())).rejects.toMatchObject({ code: 'NO_GRANT' })
  })

  test('is left alone where another one admits', async () => {
    await using place = await open()
    const used = await place.give({ uses: 'once', expiresAt: (place.clock.now() + 2 * hourMs) as Instant })
    const first = await place.gate.admit(ask())
    expect(first.session.grant).toBe(used.id)
    const other = await place.give()
    const second = await place.gate.admit(ask())
    expect(second.session.grant).toBe(other.id)
    for (const admission of [first, second]) await leave(admission)
  })

  test('is over after a stop that left its session open', async () => {
    await using place = await open()
    const grant = await place.give({ uses: 'once' })
    const admission = await place.second().admit(ask())
    expect(await place.second().closeStranded()).toBe(1)
    expect(await place.now(grant)).toMatchObject({ state: 'expired' })
    await leave(admission)
  })
})

test('a session lives on past its old end when its grant is extended, and ends with the new one', async () => {
  await using place = await open({})
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs: hourMs, reason: 'x', ticket: null, startsAt: null }
  const request = await place.world.access.ask(alice, { ...wish, origin: 'test' })
  const grant = (await place.world.state.access.grantOf(request.id))!
  const admission = await place.gate.admit(ask())
  const cut = hold(admission)
  const moves: Instant[] = []
  using _ = admission.deadline.subscribe((at) => moves.push(at))
  const warnings: unknown[] = []
  using _also = admission.onWarning((leftMs, cause) => warnings.push([leftMs, cause]))
  expect(admission.extendLink?.href).toBe(`https://gw.example.com/grants/${grant.id}/extend`)
  place.clock.pass(56 * minuteMs)
  expect(warnings).toEqual([[5 * minuteMs, 'deadline']])
  await place.world.access.extend(alice, grant.id, { lengthMs: hourMs / 2, reason: 'x', ticket: null, origin: 'test' })
  await expect.poll(() => moves).toEqual([grant.expiresAt + hourMs / 2])
  place.clock.pass(30 * minuteMs)
  expect(admission.cutOff.aborted).toBe(false)
  place.clock.pass(4 * minuteMs)
  expect(await cut).toMatchObject({ code: 'GRANT_EXPIRED' })
  expect(warnings).toHaveLength(2)
})
