import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { networkAround } from '../../src/policy/networks.ts'
import {
  riskDefaults,
  riskFactorCodes,
  riskOf,
  type History,
  type RiskSettings,
  type RiskyWish,
} from '../../src/policy/risk.ts'
import { at } from './rules.ts'

const hourMs = 3_600_000
const settings: RiskSettings = { ...riskDefaults, zone: 'Europe/Berlin' }
const countryOf = (address: string) =>
  ({ '203': 'DE', '198': 'AT', '10': 'none' })[address.split('.')[0] ?? ''] ?? 'unknown'

/** Somebody who works on prod-db in the mornings, for an hour, from one network. */
const usual: History = {
  lengthsThereMs: [hourMs, hourMs, 2 * hourMs],
  sessionsAt: [16, 17, 18, 19, 20].map((day) => at(`2026-11-${day}T08:30`)),
  addresses: ['203.0.113.7'],
  refusals: 0,
  failures: 0,
}
const nobody: History = { lengthsThereMs: [], sessionsAt: [], addresses: [], refusals: 0, failures: 0 }
const wish: RiskyWish = {
  resource: { name: 'prod-db', labels: { env: 'prod' } },
  lengthMs: hourMs,
  at: at('2026-11-23T09:00'),
  address: '203.0.113.9',
}

const risk = (part: Partial<RiskyWish> = {}, history: Partial<History> = {}, over: Partial<RiskSettings> = {}) =>
  riskOf({ ...wish, ...part }, { ...usual, ...history }, { ...settings, ...over }, countryOf)
const labels = (...args: Parameters<typeof risk>) => risk(...args).factors.map(({ label }) => label)

test('what somebody always does is no risk', () => {
  expect(risk()).toEqual({ score: 0, level: 'low', factors: [] })
})

describe('each factor, in words', () => {
  test.each<[string, ...Parameters<typeof risk>]>([
    ['First time on prod-db', {}, { lengthsThereMs: [] }],
    ['First time from the network 203.0.114.0/24', { address: '203.0.114.9' }],
    ['Begins at 03:10 (Europe/Berlin); of 5 sessions none began near that hour', { at: at('2026-11-23T02:10') }],
    ['For 3 h; usual for them on prod-db is 1 h', { lengthMs: 3 * hourMs }],
    ['prod-db is sensitive (data: personal, env: prod)', {}, {}, { sensitive: { env: ['prod'], data: ['personal'] } }],
    ['1 request was refused within 30 days', {}, { refusals: 1 }],
    ['2 attempts were turned away within 24 hours', {}, { failures: 2 }],
  ])('%s', (label, part = {}, history = {}, over = {}) => {
    const resource = { name: 'prod-db', labels: { env: 'prod', data: 'personal' } }
    expect(labels({ resource, ...part }, history, over)).toEqual([label])
  })

  test('a new country is a new network, too', () => {
    expect(risk({ address: '198.51.100.1' })).toEqual({
      ...{ score: 40, level: 'medium' },
      factors: [
        { code: 'new-country', label: 'First time from AT', weight: 25 },
        { code: 'new-network', label: 'First time from the network 198.51.100.0/24', weight: 15 },
      ],
    })
  })

  test('an address of which nobody can say where it is counts as another country, until its network is known', () => {
    const address = '8.8.8.8'
    expect(labels({ address })).toContain('Nobody can say in which country 8.8.8.8 is')
    expect(labels({ address }, { addresses: ['8.8.8.1'] })).toEqual([])
  })

  test('an address inside has no country, and without a database nobody has one', () => {
    expect(labels({ address: '10.0.0.1' })).toEqual(['First time from the network 10.0.0.0/24'])
    const { factors } = riskOf({ ...wish, address: '198.51.100.1' }, usual, settings)
    expect(factors.map(({ code }) => code)).toEqual(['new-network'])
  })

  test('where somebody comes from counts only where it is known', () => {
    expect(labels({ address: undefined })).toEqual([])
  })
})

describe('habits', () => {
  test('an hour is near across midnight, and what the clock on the wall shows counts', () => {
    const nights = [16, 17, 18, 19, 20].map((day) => at(`2026-11-${day}T23:30[Europe/Berlin]`))
    expect(labels({ at: at('2026-11-23T00:20[Europe/Berlin]') }, { sessionsAt: nights })).toEqual([])
    expect(labels({ at: at('2026-11-23T00:31[Europe/Berlin]') }, { sessionsAt: nights })).toHaveLength(1)
    const summer = [1, 2, 3, 4, 5].map((day) => at(`2026-07-0${day}T09:00[Europe/Berlin]`))
    expect(labels({ at: at('2026-11-23T10:00[Europe/Berlin]') }, { sessionsAt: summer })).toEqual([])
  })

  test('of somebody with few sessions or grants nobody knows what is usual', () => {
    const sessionsAt = usual.sessionsAt.slice(1)
    const lengthsThereMs = usual.lengthsThereMs.slice(1)
    expect(labels({ at: at('2026-11-23T02:10'), lengthMs: 9 * hourMs }, { sessionsAt, lengthsThereMs })).toEqual([])
  })

  test('twice as long as usual is still usual', () => {
    expect(labels({ lengthMs: 2 * hourMs })).toEqual([])
    expect(labels({ lengthMs: 2 * hourMs + 1 })).toHaveLength(1)
  })
})

test('levels begin where the settings say, and a weight of 0 is not told', () => {
  const levels = { medium: 20, high: 21 }
  expect(risk({}, { lengthsThereMs: [] }, { levels })).toMatchObject({ score: 20, level: 'medium' })
  const weights = { ...settings.weights, 'first-time': 21 }
  expect(risk({}, { lengthsThereMs: [] }, { levels, weights })).toMatchObject({ score: 21, level: 'high' })
  const none = { ...settings.weights, 'first-time': 0 }
  expect(risk({}, { lengthsThereMs: [] }, { weights: none })).toEqual({ score: 0, level: 'low', factors: [] })
})

test('the network around an address is one, however the address is written', () => {
  const same = (...addresses: string[]) => new Set(addresses.map(networkAround)).size === 1
  expect(same('203.0.113.9', '::ffff:203.0.113.200')).toBe(true)
  expect(same('2001:db8:50:1::9', '2001:0DB8:0050:ffff::1', '2001:db8:50::')).toBe(true)
  expect(same('2001:db8:50::', '2001:db8:51::')).toBe(false)
  expect(['2001:db8::1', '::1', 'fe80::1%eth0', 'what'].map(networkAround)).toEqual(
    ['2001:db8::/48', '::/48', 'fe80::/48', 'what'], //
  )
})

// ---- for whatever there is

const instants = fc
  .integer({ min: at('2026-01-01T00:00'), max: at('2026-12-31T00:00') })
  .map((ms) => ms as RiskyWish['at'])
const addresses = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('203.0.113.1', '198.51.100.1', '10.0.0.1', 'what'))
const someHistory: fc.Arbitrary<History> = fc.record({
  lengthsThereMs: fc.array(fc.integer({ min: 1000, max: 24 * hourMs }), { maxLength: 12 }),
  sessionsAt: fc.array(instants, { maxLength: 12 }),
  addresses: fc.array(addresses, { maxLength: 8 }),
  refusals: fc.nat({ max: 9 }),
  failures: fc.nat({ max: 9 }),
})
const someWish: fc.Arbitrary<RiskyWish> = fc.record({
  resource: fc.constantFrom({ name: 'a', labels: {} }, { name: 'b', labels: { sensitivity: 'high' } }),
  lengthMs: fc.integer({ min: 1000, max: 48 * hourMs }),
  at: instants,
  address: fc.option(addresses, { nil: undefined }),
})
const someWeights = fc.record(
  Object.fromEntries(riskFactorCodes.map((code) => [code, fc.nat({ max: 100 })])),
) as fc.Arbitrary<RiskSettings['weights']>
const someSettings = someWeights.map((weights) => ({ ...settings, weights }))
const anything = fc.tuple(someWish, someHistory, someSettings)

describe('always', () => {
  test('the score is the sum of what is told, from 0 to 100, and has its level', () => {
    fc.assert(
      fc.property(anything, ([one, history, over]) => {
        const { score, level, factors } = riskOf(one, history, over, countryOf)
        const sum = factors.reduce((so, { weight }) => so + weight, 0)
        expect(score).toBe(Math.min(100, sum))
        expect(level).toBe(score >= 60 ? 'high' : score >= 30 ? 'medium' : 'low')
        expect(factors.every(({ weight, label }) => weight >= 1 && weight <= 100 && label !== '')).toBe(true)
        const order = factors.map(({ code }) => riskFactorCodes.indexOf(code))
        expect(order).toEqual([...new Set(order)].toSorted((left, right) => left - right))
      }),
    )
  })

  test('the same in whatever order things happened, and every time', () => {
    const shuffled = anything.chain(([one, history, over]) =>
      fc.record({
        one: fc.constant(one),
        over: fc.constant(over),
        history: fc.constant(history),
        other: fc.record({
          lengthsThereMs: fc.shuffledSubarray([...history.lengthsThereMs], {
            minLength: history.lengthsThereMs.length,
          }),
          sessionsAt: fc.shuffledSubarray([...history.sessionsAt], { minLength: history.sessionsAt.length }),
          addresses: fc.shuffledSubarray([...history.addresses], { minLength: history.addresses.length }),
          refusals: fc.constant(history.refusals),
          failures: fc.constant(history.failures),
        }),
      }),
    )
    fc.assert(
      fc.property(shuffled, ({ one, history, other, over }) => {
        expect(riskOf(one, other, over, countryOf)).toEqual(riskOf(one, history, over, countryOf))
      }),
    )
  })

  test('never less for more that went wrong, a longer time or a sensitive place; never more for a place that is known', () => {
    fc.assert(
      fc.property(anything, fc.nat({ max: 5 }), ([one, history, over], more) => {
        const score = (part: Partial<RiskyWish>, known: Partial<History>) =>
          riskOf({ ...one, ...part }, { ...history, ...known }, over, countryOf).score
        const now = score({}, {})
        expect(score({}, { refusals: history.refusals + more })).toBeGreaterThanOrEqual(now)
        expect(score({}, { failures: history.failures + more })).toBeGreaterThanOrEqual(now)
        expect(score({ lengthMs: one.lengthMs + more * hourMs }, {})).toBeGreaterThanOrEqual(now)
        const marked = { ...one.resource, labels: { sensitivity: 'high' } }
        expect(score({ resource: marked }, {})).toBeGreaterThanOrEqual(now)
        if (one.address === undefined) return
        expect(score({}, { addresses: [...history.addresses, one.address] })).toBeLessThanOrEqual(now)
        expect(score({ address: undefined }, {})).toBeLessThanOrEqual(now)
      }),
    )
  })
})

test('somebody of whom nothing is known', () => {
  const { factors, level } = riskOf(wish, nobody, settings, countryOf)
  expect(factors.map(({ code }) => code)).toEqual(['first-time', 'new-country', 'new-network'])
  expect(level).toBe('high')
})

describe('docs/risk.md', async () => {
  const text = await readFile(join(import.meta.dirname, '../../docs/risk.md'), 'utf8')

  test('lists every factor with its weight, and no other', () => {
    const rows = [...text.matchAll(/^\| `([a-z-]+)` \| (\d+)[^|]* \|/gm)].map(([, code, weight]) => [
      code,
      Number(weight),
    ])
    expect(Object.fromEntries(rows)).toEqual(riskDefaults.weights)
  })

  test('has an example that is worked out as it says', () => {
    const sensitive = { data: ['payments'] }
    const sessionsAt = Array.from({ length: 212 }, () => at('2026-11-20T08:30'))
    const hotel: RiskyWish = {
      ...{ resource: { name: 'ledger', labels: { data: 'payments' } }, lengthMs: 4 * hourMs, address: '198.51.100.7' },
      at: at('2026-11-22T03:10[Europe/Berlin]'),
    }
    const placeOf = (address: string) => (address.startsWith('198') ? 'FR' : 'DE')
    const known = { ...usual, lengthsThereMs: [], sessionsAt }
    const told = riskOf(hotel, known, { ...settings, sensitive }, placeOf)
    for (const { label, weight } of told.factors) expect(text).toContain(`| ${label} | +${weight} |`)
    expect(text).toContain(`| **${told.level}** | **${told.score} of 100** |`)
    const monday = { ...hotel, at: at('2026-11-23T09:00[Europe/Berlin]'), address: '203.0.113.9' }
    expect(riskOf(monday, known, { ...settings, sensitive }, placeOf)).toMatchObject({ score: 40, level: 'medium' })
  })
})
