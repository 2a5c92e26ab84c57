// Goal: standing access stands only as long as somebody else keeps saying so. Method: the access room over the real store,
// whose database refuses by itself what the room forbids; time is turned by hand, up to the due instant and past it.
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EntryView } from '../../src/access/campaigns.ts'
import type { Person } from '../../src/identity/person.ts'
import type { TokenId } from '../../src/kernel/ids.ts'
import type { Instant } from '../../src/kernel/time.ts'
import type { Policy } from '../../src/policy/rules.ts'
import { HandClock } from '../clock.ts'
import { openRaw } from '../store/raw.ts'
import { openWorld, people, policies, type World } from './world.ts'

const { alice, bob, carol, dave, olga, sam, mallory } = people
const dayMs = 86_400_000
const hourMs = 3_600_000

/** Long grants without asking: so there is something to look at. */
const long: Policy = { ...policies[2]!, name: 'long', length: { defaultMs: hourMs, mostMs: 60 * dayMs } }

async function open(clock = new HandClock()): Promise<World> {
  const world = await openWorld(clock, hourMs, { policies: [long, ...policies.slice(0, 2)] })
  return world
}

async function grant({ access, state }: World, who: Person, days: number) {
  const wish = { resource: 'prod-db', role: 'reporting', lengthMs: days * dayMs, reason: `${days} days` }
  const { id } = await access.ask(who, { ...wish, ticket: null, startsAt: null, origin: 'test' })
  return (await state.access.grantOf(id))!
}

async function token({ state }: World, who: Person, now: Instant, days: number): Promise<TokenId> {
  const id: TokenId = `token-${who.subject}-${days}`
  await state.identity.transact((tx) =>
    tx.insertToken({
      ...{ id, person: who.id, label: `deploy ${days}`, kind: 'access', scopes: ['sessions'] },
      ...{ createdAt: now, expiresAt: (now + days * dayMs) as Instant, lastUsedAt: null, endedAt: null },
      secretHash: id,
    }),
  )
  return id
}

const wish = { name: 'autumn', lengthMs: 14 * dayMs, reviewers: ['approvers'] }
const titled = (entries: readonly EntryView[], title: string) =>
  entries.find(({ entry }) => entry.title === title)!.entry

function raw({ folder }: World, sql: string, ...values: (string | number)[]): void {
  const database = openRaw(join(folder, 'state.db'))
  try {
    database.prepare(sql).run(...values)
  } finally {
    database.close()
  }
}

test('a campaign looks at what stands: long grants and tokens, and policies that ask nobody', async () => {
  const clock = new HandClock()
  await using world = await open(clock)
  await grant(world, alice, 30)
  await grant(world, alice, 6)
  await token(world, dave, clock.now(), 90)
  await token(world, dave, clock.now(), 1)
  const { campaign, entries } = await world.access.campaigns.start(olga, wish)
  expect(entries.map(({ entry: { kind, title, details } }) => [kind, title, details])).toEqual([
    ['grant', 'prod-db as reporting', 'since 2026-11-22, by policy “long”: 30 days'],
    ['token', 'token “deploy 90”', 'since 2026-11-22, good for: sessions'],
    ['policy', 'policy “long”', 'gives engineers the role reporting on prod-db, without asking anybody'],
  ])
  expect(campaign).toMatchObject({ dueAt: clock.now() + 14 * dayMs, finishedAt: null })
  expect(await world.access.campaigns.list(bob)).toMatchObject([{ entries: 3, waiting: 3 }])
  expect((await world.auditTypes()).at(-1)).toBe('campaign.started')
  await expect(world.access.campaigns.list(mallory)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(world.access.campaigns.view(alice, campaign.id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(world.access.campaigns.start(bob, wish)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  for (const bad of [{ name: ' ' }, { lengthMs: 1 }, { reviewers: [] }, { lengthMs: 91 * dayMs }]) {
    await expect(world.access.campaigns.start(olga, { ...wish, ...bad })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  }
})

test('a campaign looks at long access whose clock waits for its first use', async () => {
  const firstUse = { clock: 'first-use', uses: 'many', unusedMs: null, totalMs: null, recurringMs: null } as const
  await using world = await openWorld(new HandClock(), hourMs, { policies: [{ ...long, grants: firstUse }] })
  const waits = await grant(world, alice, 30)
  const { entries } = await world.access.campaigns.start(olga, wish)
  expect(entries.map(({ entry }) => entry.subject)).toContain(waits.id)
})

test('reviewers confirm with a word, or end at once; a policy that is to end stays for its operator', async () => {
  const clock = new HandClock()
  await using world = await open(clock)
  const kept = await grant(world, alice, 30)
  const old = await grant(world, dave, 40)
  const deploy = await token(world, alice, clock.now(), 90)
  const { campaign, entries } = await world.access.campaigns.start(sam, wish)
  const { campaigns } = world.access
  const of = (subject: string) => entries.find(({ entry }) => entry.subject === subject)!.entry.id
  await expect(campaigns.decide(bob, of(kept.id), 'confirm', ' ')).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  await campaigns.decide(bob, of(kept.id), 'confirm', 'the quarter’s figures')
  await expect(campaigns.decide(carol, of(kept.id), 'end', '')).rejects.toMatchObject({ code: 'REVIEW_CLOSED' })
  await campaigns.decide(bob, of(old.id), 'end', 'left the team')
  expect(await world.state.access.grant(old.id)).toMatchObject({
    ...{ state: 'revoked', endedBy: bob.id, comment: 'left the team (access review “autumn”)' },
  })
  await campaigns.decide(carol, of(deploy), 'end', '')
  expect(await world.state.access.longTokens(0, clock.now(), 9)).toEqual([])
  const policy = entries.find(({ entry }) => entry.kind === 'policy')!.entry.id
  const done = await campaigns.decide(bob, policy, 'end', 'ask a lead instead')
  expect(done.campaign).toMatchObject({ id: campaign.id, finishedAt: clock.now() })
  expect(done.entries.map(({ entry }) => entry.state)).toEqual(['confirmed', 'ended', 'ended', 'ended'])
  const [last] = (await world.state.audit.events(0, 1000)).toReversed()
  expect(JSON.parse(last!.json)).toMatchObject({
    type: 'campaign.finished',
    data: { confirmed: 1, ended: 3, silent: 0, gone: 0 },
  })
  expect(await world.access.sweep()).toBe(0)
})

test('nobody decides on their own: not their grant, not by another account, not on a policy that is for them', async () => {
  await using world = await open()
  const twin: Person = {
    ...alice,
    id: 'person-twin',
    subject: 'twin',
    groups: ['approvers'],
    email: 'ALICE@example.com',
  }
  await world.state.identity.transact((tx) => tx.savePerson(twin))
  const own = await grant(world, alice, 30)
  const daves = await grant(world, dave, 30)
  const { entries } = await world.access.campaigns.start(olga, wish)
  const { campaigns } = world.access
  const [first, second, policy] = [own.id, daves.id, 'reporting long'].map(
    (subject) => entries.find(({ entry }) => entry.subject === subject)!.entry,
  )
  for (const [who, entry] of [
    [twin, first],
    [dave, second],
    [dave, policy],
    [twin, policy],
  ] as const) {
    await expect(campaigns.decide(who, entry!.id, 'confirm', 'mine')).rejects.toMatchObject({ code: 'SELF_APPROVAL' })
  }
  await expect(campaigns.decide(olga, first!.id, 'confirm', 'x')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  await expect(campaigns.decide(mallory, first!.id, 'confirm', 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const say =
    "update campaign_entries set state = 'confirmed', decided_by = ?, decided_at = 1, comment = 'x' where id = ?"
  expect(() => raw(world, say, twin.id, first!.id)).toThrow('curfew:SELF_APPROVAL')
  expect(() => raw(world, say, alice.id, first!.id)).toThrow('curfew:SELF_APPROVAL')
})

test('who is locked decides nothing in a campaign; a lock on the resource keeps nobody from it', async () => {
  await using world = await open()
  const kept = await grant(world, alice, 30)
  const { entries } = await world.access.campaigns.start(olga, wish)
  const { id } = entries.find(({ entry }) => entry.subject === kept.id)!.entry
  const policy = entries.find(({ entry }) => entry.kind === 'policy')!.entry.id
  await world.access.placeLock(olga, { person: null, resource: kept.resource, role: null }, 'incident')
  await world.access.placeLock(olga, { person: bob.id, resource: null, role: null }, 'stolen laptop')
  const { campaigns } = world.access
  for (const entry of [id, policy]) {
    await expect(campaigns.decide(bob, entry, 'confirm', 'fine')).rejects.toMatchObject({ code: 'LOCKED' })
  }
  await campaigns.decide(carol, id, 'confirm', 'fine')
})

test('silence ends what can be ended at the due date, and nothing before it', async () => {
  const clock = new HandClock()
  await using world = await open(clock)
  const standing = await grant(world, alice, 30)
  const short = await grant(world, dave, 8)
  const deploy = await token(world, dave, clock.now(), 90)
  const changes: string[] = []
  using _ = world.state.changes.subscribe((change) => {
    if (change.kind === 'campaign-moved') changes.push(change.to)
    if (change.kind === 'campaign-entry-ended' || change.kind === 'credential-revoked') changes.push(change.kind)
  })
  const { campaign } = await world.access.campaigns.start(olga, wish)
  clock.pass(14 * dayMs - 1)
  await world.access.sweep()
  expect(await world.state.access.grant(standing.id)).toMatchObject({ state: 'active' })
  await expect.poll(() => changes).toEqual(['started', 'due-soon'])
  clock.pass(1)
  await world.access.sweep()
  const { entries, campaign: over } = await world.access.campaigns.view(olga, campaign.id)
  expect(over.finishedAt).toBe(campaign.dueAt)
  expect(Object.fromEntries(entries.map(({ entry }) => [entry.subject, entry.state]))).toEqual({
    [standing.id]: 'silent',
    [short.id]: 'gone',
    [deploy]: 'silent',
    'reporting long': 'silent',
  })
  expect(await world.state.access.grant(standing.id)).toMatchObject({
    ...{ state: 'revoked', endedBy: null, comment: 'nobody confirmed it (access review “autumn”)' },
  })
  expect(titled(entries, 'policy “long”').decidedBy).toBeNull()
  await expect
    .poll(() => changes.slice(2).toSorted())
    .toEqual([
      ...['campaign-entry-ended', 'campaign-entry-ended', 'campaign-entry-ended', 'credential-revoked', 'finished'],
    ])
  expect(await world.access.sweep()).toBe(0)
})

test('around the due instant a word counts before it and not from it on, however the two race', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: -2, max: 2 }), fc.boolean(), fc.boolean(), async (offMs, ends, sweepFirst) => {
      const clock = new HandClock()
      await using world = await open(clock)
      const standing = await grant(world, alice, 30)
      const { campaign, entries } = await world.access.campaigns.start(olga, wish)
      const entry = entries.find(({ entry: { subject } }) => subject === standing.id)!.entry
      clock.pass(14 * dayMs + offMs)
      const decide = () => world.access.campaigns.decide(bob, entry.id, ends ? 'end' : 'confirm', 'a word')
      const steps = [() => world.access.sweep(), decide]
      const [first, second] = await Promise.allSettled((sweepFirst ? steps : steps.toReversed()).map((step) => step()))
      const decided = sweepFirst ? second! : first!
      expect(decided.status).toBe(offMs < 0 ? 'fulfilled' : 'rejected')
      if (decided.status === 'rejected') expect(decided.reason).toMatchObject({ code: 'REVIEW_CLOSED' })
      clock.pass(10)
      await world.access.sweep()
      const [after] = (await world.access.campaigns.view(olga, campaign.id)).entries.map((one) => one.entry)
      const word = ends ? 'ended' : 'confirmed'
      expect(after!.state).toBe(offMs < 0 ? word : 'silent')
      const { state } = (await world.state.access.grant(standing.id))!
      expect(state).toBe(offMs < 0 && !ends ? 'active' : 'revoked')
    }),
    { numRuns: 12 },
  )
}, 60_000)

test('two words at one instant: one counts, every time', async () => {
  await using world = await open()
  for (let round = 0; round < 8; round++) await grant(world, alice, 30 + round)
  const { entries } = await world.access.campaigns.start(olga, wish)
  for (const { entry } of entries.filter((one) => one.entry.kind === 'grant')) {
    const outcomes = await Promise.allSettled([
      world.access.campaigns.decide(bob, entry.id, 'confirm', 'keep'),
      world.access.campaigns.decide(carol, entry.id, 'end', 'drop'),
    ])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const after = (await world.state.access.entry(entry.id))!
    const { state } = (await world.state.access.grant(entry.subject as `grant-${string}`))!
    expect([after.state, state]).toEqual(after.state === 'confirmed' ? ['confirmed', 'active'] : ['ended', 'revoked'])
  }
})

test('what a campaign found and what was said stays, whoever writes to the file', async () => {
  const clock = new HandClock()
  await using world = await open(clock)
  await grant(world, alice, 30)
  const { campaign, entries } = await world.access.campaigns.start(olga, wish)
  const id = entries[0]!.entry.id
  const refused = (sql: string, ...values: (string | number)[]) => expect(() => raw(world, sql, ...values)).toThrow()
  refused('delete from campaigns')
  refused('delete from campaign_entries')
  refused('update campaigns set due_at = due_at + 1')
  refused('update campaigns set finished_at = 5')
  refused("update campaign_entries set title = 'other'")
  refused("update campaign_entries set state = 'silent', decided_at = ? where id = ?", campaign.dueAt - 1, id)
  refused(
    "update campaign_entries set state = 'confirmed', decided_by = ?, decided_at = ?, comment = 'late' where id = ?",
    ...[bob.id, campaign.dueAt, id],
  )
  refused(
    "update campaign_entries set state = 'confirmed', decided_by = ?, decided_at = 1, comment = ' ' where id = ?",
    ...[bob.id, id],
  )
  await world.access.campaigns.decide(bob, id, 'confirm', 'fine')
  refused("update campaign_entries set state = 'ended' where id = ?", id)
})
