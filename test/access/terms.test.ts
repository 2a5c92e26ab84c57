// Goal: whatever approvers do, in whatever order, nobody gets more than they asked for. Method: properties of the pure
// part, and the use cases over a real store.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Decision, Request, Terms } from '../../src/access/states.ts'
import { agreedTerms, noTerms, readTerms } from '../../src/access/terms.ts'
import { termsWords } from '../../src/access/terms-words.ts'
import { isoTime, type Instant } from '../../src/kernel/time.ts'
import { stepOf } from '../../src/policy/approval.ts'
import { isIn, networksOf } from '../../src/policy/networks.ts'
import { codeOf } from '../fault-code.ts'
import { HandClock } from '../clock.ts'
import { openWorld, people, policies, type World } from './world.ts'

const { alice, bob, carol } = people
const hourMs = 3_600_000
const start = Date.parse('2026-11-22T12:00:00Z') as Instant
const askedFor = { kind: 'access', lengthMs: hourMs, startsAt: null, askedAt: start, role: 'admin' } as Request

const someOf = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary)
const networks = fc.uniqueArray(
  fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '192.0.2.0/24', '10.1.2.9'),
  {
    minLength: 1,
  },
)
const terms: fc.Arbitrary<Terms> = fc.record({
  lengthMs: someOf(fc.integer({ min: -10, max: 2 * hourMs })),
  startsAt: someOf(fc.integer({ min: start - hourMs, max: start + 100 * 86_400_000 }).map((at) => at as Instant)),
  role: someOf(fc.constantFrom('admin', 'readonly')),
  databases: someOf(fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 })),
  networks: someOf(networks),
})
const requests: fc.Arbitrary<Request> = fc
  .tuple(fc.integer({ min: 1000, max: hourMs }), someOf(fc.integer({ min: start, max: start + hourMs })))
  .map(([lengthMs, startsAt]) => ({ ...askedFor, lengthMs, startsAt: startsAt as Instant | null }))
const given = (verdict: Decision['verdict'], all: readonly (Terms | null)[]) =>
  all.map((one) => ({ verdict, terms: one }))

/** Those of the terms that are let through. */
function readable(request: Request, all: readonly Terms[]): readonly (Terms | null)[] {
  return all.flatMap((one) => {
    try {
      return [readTerms(request, one, start)]
    } catch {
      return []
    }
  })
}

function agreedOrRefused(request: Request, all: readonly (Terms | null)[]) {
  try {
    return agreedTerms(request, given('approve', all))
  } catch (error) {
    return codeOf(() => {
      throw error
    })
  }
}

describe('what all agree to', () => {
  test('is never longer, earlier or wider than what was asked for, and than what anybody approved', () => {
    fc.assert(
      fc.property(requests, fc.array(terms, { maxLength: 5 }), fc.ipV4(), (request, all, address) => {
        const read = readable(request, all)
        const agreed = agreedOrRefused(request, read)
        if (typeof agreed !== 'object') {
          expect(agreed).toBe('INPUT_INVALID')
          return
        }
        expect(agreed.lengthMs).toBeLessThanOrEqual(request.lengthMs)
        expect(agreed.lengthMs).toBeGreaterThanOrEqual(1000)
        expect(agreed.startsAt ?? start).toBeGreaterThanOrEqual(request.startsAt ?? start)
        for (const one of read.filter((some) => some !== null)) {
          expect(agreed.lengthMs).toBeLessThanOrEqual(one.lengthMs ?? Infinity)
          expect(agreed.startsAt ?? 0).toBeGreaterThanOrEqual(one.startsAt ?? 0)
          if (one.role !== null) expect(agreed.role).toBe(one.role)
          for (const name of one.databases === null ? [] : agreed.databases!) expect(one.databases).toContain(name)
          if (one.networks === null) continue
          for (const inside of [address, '10.1.2.9', '10.1.9.9', '192.0.2.1']) {
            if (isIn(networksOf(agreed.networks!), inside)) expect(isIn(networksOf(one.networks), inside)).toBe(true)
          }
        }
      }),
    )
  })

  test('is the same in whatever order they approve, and does not change by repeating it', () => {
    fc.assert(
      fc.property(requests, fc.array(terms, { maxLength: 5 }), fc.integer(), (request, all, seed) => {
        const read = readable(request, all)
        const other = read.toSorted(
          (left, right) => ((JSON.stringify(left).length * seed) % 7) - (JSON.stringify(right).length % 5),
        )
        const agreed = agreedOrRefused(request, read)
        expect(agreedOrRefused(request, other)).toEqual(agreed)
        expect(agreedOrRefused(request, read.toReversed())).toEqual(agreed)
        expect(agreedOrRefused(request, [...read, ...read])).toEqual(agreed)
      }),
    )
  })

  test('counts approvals only, and is what was asked for without any terms', () => {
    const shorter = { ...noTerms, lengthMs: 1000 }
    const asked = { lengthMs: hourMs, startsAt: null, role: 'admin', databases: null, networks: null }
    expect(agreedTerms(askedFor, given('deny', [shorter]))).toEqual(asked)
    expect(agreedTerms(askedFor, given('approve', [null, null]))).toEqual(asked)
  })

  test('is refused when nothing would be left', () => {
    const all = (left: Partial<Terms>, right: Partial<Terms>) => () =>
      agreedTerms(
        askedFor,
        given('approve', [
          { ...noTerms, ...left },
          { ...noTerms, ...right },
        ]),
      )
    expect(codeOf(all({ databases: ['a'] }, { databases: ['b'] }))).toBe('INPUT_INVALID')
    expect(codeOf(all({ networks: ['10.0.0.0/8'] }, { networks: ['192.0.2.0/24'] }))).toBe('INPUT_INVALID')
    expect(codeOf(all({ role: 'readonly' }, { role: 'reporting' }))).toBe('INPUT_INVALID')
    expect(all({ databases: ['a', 'b'] }, { databases: ['b', 'c'] })().databases).toEqual(['b'])
  })
})

describe('what one approver may write', () => {
  const read = (some: Partial<Terms>, request: Partial<Request> = {}) =>
    readTerms({ ...askedFor, ...request } as Request, { ...noTerms, ...some }, start)

  test('what was asked for is no change', () => {
    expect(read({})).toBeNull()
    expect(read({ lengthMs: hourMs, role: 'admin' })).toBeNull()
    const at = (start + hourMs) as Instant
    expect(read({ startsAt: at }, { startsAt: at })).toBeNull()
  })

  test('in one spelling', () => {
    expect(read({ databases: [' b', 'a', 'b'], networks: ['10.1.2.3/8', '10.9.0.0/16', '192.0.2.1'] })).toEqual({
      ...noTerms,
      databases: ['a', 'b'],
      networks: ['10.0.0.0/8', '192.0.2.1'],
    })
  })

  test.each<[Partial<Terms>, string]>([
    [{ lengthMs: hourMs + 1 }, 'LENGTH_REFUSED'],
    [{ lengthMs: 999 }, 'LENGTH_REFUSED'],
    [{ lengthMs: Number.NaN }, 'LENGTH_REFUSED'],
    [{ startsAt: (start - 1) as Instant }, 'INPUT_INVALID'],
    [{ startsAt: (start + 91 * 86_400_000) as Instant }, 'INPUT_INVALID'],
    [{ startsAt: 1.5 as Instant }, 'INPUT_INVALID'],
    [{ databases: [] }, 'INPUT_INVALID'],
    [{ databases: Array.from({ length: 51 }, (_, index) => `d${index}`) }, 'INPUT_INVALID'],
    [{ networks: [] }, 'INPUT_INVALID'],
    [{ networks: ['10.0.0.0/40'] }, 'INPUT_INVALID'],
    [{ networks: Array.from({ length: 21 }, (_, index) => `192.0.2.${index}`) }, 'INPUT_INVALID'],
  ])('%j is refused', (some, code) => {
    expect(codeOf(() => read(some))).toBe(code)
  })

  test('more time can only be shortened', () => {
    const extension = { kind: 'extension' } as Partial<Request>
    expect(read({ lengthMs: 1000 }, extension)).toEqual({ ...noTerms, lengthMs: 1000 })
    expect(codeOf(() => read({ role: 'readonly' }, extension))).toBe('INPUT_INVALID')
    expect(codeOf(() => read({ networks: ['10.0.0.0/8'] }, extension))).toBe('INPUT_INVALID')
  })
})

test('in words', () => {
  const all: Terms = {
    lengthMs: 1_800_000,
    startsAt: start,
    role: 'readonly',
    databases: ['a', 'b'],
    networks: ['10.0.0.0/8'],
  }
  expect(termsWords(all, isoTime)).toBe(
    'for at most 30 min, not before 2026-11-22T12:00:00.000Z, as readonly, only the databases a and b, only from 10.0.0.0/8',
  )
  expect(termsWords(null, isoTime)).toBe('')
})

describe('through the use cases', () => {
  const wish = { resource: 'prod-db', reason: 'why', ticket: null, startsAt: null, origin: 'test', lengthMs: hourMs }
  const two = { kind: 'people', steps: [stepOf(2, ['approvers'])] } as const
  const world = (clock = new HandClock()) =>
    openWorld(clock, hourMs, {
      policies: [
        { ...policies[0]!, what: { resources: ['prod-db'], labels: {}, roles: ['readonly', 'admin'] }, approval: two },
        policies[2]!,
      ],
    })
  const decide = ({ access }: World, person: typeof bob, id: Request['id'], some: Partial<Terms> | null) =>
    access.decide(person, id, 'approve', '', undefined, some === null ? null : { ...noTerms, ...some })

  test('the grant is what both agreed to, and everybody sees what was made of it', async () => {
    const clock = new HandClock()
    await using on = await world(clock)
    const { id } = await on.access.ask(alice, { ...wish, role: 'admin' })
    const startsAt = (clock.now() + 60_000) as Instant
    await decide(on, bob, id, { lengthMs: 1_800_000, role: 'readonly', networks: ['10.0.0.0/8'] })
    expect((await on.access.view(alice, id)).agreed).toMatchObject({ lengthMs: 1_800_000, role: 'readonly' })
    await decide(on, carol, id, { lengthMs: 2_000_000, startsAt, databases: ['shop'], networks: ['10.1.0.0/16'] })
    expect(await on.state.access.grantOf(id)).toMatchObject({
      ...{ state: 'scheduled', role: 'readonly', policy: 'readonly', startsAt, lengthMs: 1_800_000 },
      ...{ expiresAt: startsAt + 1_800_000, databases: ['shop'], networks: ['10.1.0.0/16'] },
    })
    expect(await on.state.access.request(id)).toMatchObject({ role: 'admin', lengthMs: hourMs, startsAt: null })
    const first = (await on.state.access.decisionsOn(id)).find(({ person }) => person === bob.id)
    expect(first!.terms).toEqual({ ...noTerms, lengthMs: 1_800_000, role: 'readonly', networks: ['10.0.0.0/8'] })
    const events = await on.state.audit.events(0, 100)
    const said = events.map(({ json }) => (JSON.parse(json) as { data: { terms?: string } }).data.terms)
    expect(said).toContain('for at most 30 min, as readonly, only from 10.0.0.0/8')
  })

  test('terms that leave nothing are refused, and the decision with them', async () => {
    await using on = await world()
    const { id } = await on.access.ask(alice, { ...wish, role: 'admin' })
    await decide(on, bob, id, { role: 'readonly', networks: ['10.0.0.0/8'] })
    for (const some of [{ networks: ['192.0.2.0/24'] }, { role: 'reporting' }, { databases: ['billing'] }]) {
      await expect(decide(on, carol, id, some)).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    }
    expect(await on.state.access.decisionsOn(id)).toHaveLength(1)
    expect(await decide(on, carol, id, null)).toMatchObject({ state: 'approved' })
  })

  test('whoever refuses narrows nothing', async () => {
    await using on = await world()
    const { id } = await on.access.ask(alice, { ...wish, role: 'admin' })
    const deny = on.access.decide(bob, id, 'deny', '', undefined, { ...noTerms, lengthMs: 1000 })
    await expect(deny).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  test('another role only by the same approval, or by none', async () => {
    const more = policies.map((policy) =>
      policy.name === 'reporting' ? { ...policy, length: { defaultMs: 1000, mostMs: 60_000 } } : policy,
    )
    await using on = await openWorld(new HandClock(), hourMs, { policies: more })
    const { id } = await on.access.ask(alice, { ...wish, role: 'readonly' })
    // admin takes two people, reporting is for a minute at most
    expect((await on.access.view(bob, id)).rolesToGive).toEqual(['readonly'])
    for (const role of ['admin', 'reporting', 'root', '__proto__']) {
      await expect(decide(on, bob, id, { role })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    }
    expect(await decide(on, bob, id, { role: 'reporting', lengthMs: 60_000 })).toMatchObject({ state: 'approved' })
    expect(await on.state.access.grantOf(id)).toMatchObject({
      role: 'reporting',
      policy: 'reporting',
      lengthMs: 60_000,
    })
  })

  test('another role only with the ticket and the reason that its policy asks for', async () => {
    const ticket = { pattern: /^OPS-\d+$/, link: null, required: true }
    const more = policies.map((policy) =>
      policy.name === 'reporting' ? { ...policy, ticket } : { ...policy, reason: 'optional' as const },
    )
    await using on = await openWorld(new HandClock(), hourMs, { policies: more })
    const wishes = [
      { ...wish, role: 'readonly' },
      { ...wish, role: 'readonly', reason: '', ticket: 'OPS-7' },
    ]
    for (const one of wishes) {
      const { id } = await on.access.ask(alice, one)
      expect((await on.access.view(bob, id)).rolesToGive).toEqual(['readonly'])
      await expect(decide(on, bob, id, { role: 'reporting' })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    }
    const { id } = await on.access.ask(alice, { ...wish, role: 'readonly', ticket: 'OPS-7' })
    expect(await decide(on, bob, id, { role: 'reporting' })).toMatchObject({ state: 'approved' })
  })
})
