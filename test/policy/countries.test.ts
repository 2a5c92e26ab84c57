import { describe, expect, test } from 'vitest'
import { isCountryCode } from '../../src/policy/countries.ts'
import { explain } from '../../src/policy/explain.ts'
import { judge, judgeGiven, verdictFault } from '../../src/policy/judge.ts'
import { closing } from '../../src/policy/opening.ts'
import type { Rules } from '../../src/policy/rules.ts'
import { allow, at, condition, deny, networks, officeHours, situation } from './rules.ts'

const known: Readonly<Record<string, string>> = { '203.0.113.9': 'DE', '198.51.100.1': 'FR', '10.1.2.3': 'none' }
const countryOf = (address: string) => known[address] ?? 'unknown'
const from = (address: string) => situation({ client: { address } })
const german = { countries: ['DE', 'AT'] }
const kinds = (rules: Rules) =>
  ['203.0.113.9', '198.51.100.1', '10.1.2.3', '8.8.8.8'].map((address) => judge(rules, from(address)).kind)

test('only codes of ISO 3166-1, in capital letters, are countries', () => {
  expect(['DE', 'US', 'XK', 'GB', 'AX'].every(isCountryCode)).toBe(true)
  expect(['de', 'UK', 'EU', 'XX', 'D', 'DEU', '', 'none', 'unknown'].some(isCountryCode)).toBe(false)
})

describe('a policy for some countries', () => {
  test('allows from there and from nowhere else, not even from where nobody can say', () => {
    expect(kinds({ policies: [allow('p', german)], countryOf })).toEqual(['allow', 'deny', 'deny', 'deny'])
  })

  test('wants networks, too, where it names both', () => {
    const both = (text: string) =>
      judge({ policies: [allow('p', { ...german, networks: networks(text) })], countryOf }, from('203.0.113.9'))
    expect(both('203.0.113.0/24').kind).toBe('allow')
    expect(both('10.0.0.0/8').kind).toBe('deny')
  })

  test('allows nobody where there is nothing that knows countries', () => {
    expect(kinds({ policies: [allow('p', german)] })).toEqual(['deny', 'deny', 'deny', 'deny'])
  })

  test('is open as long as it is not known from where somebody will come', () => {
    const { client: _, ...anywhere } = situation()
    expect(judge({ policies: [allow('p', german)], countryOf }, anywhere).kind).toBe('allow')
  })

  test('says what is wrong', () => {
    const fault = (part: object) => {
      const verdict = judge({ policies: [allow('p', part)], countryOf }, from('198.51.100.1'))
      return verdict.kind === 'allow' ? null : verdictFault(verdict, situation())
    }
    expect(fault(german)).toMatchObject({
      ...{ code: 'FROM_ELSEWHERE', message: 'prod-db as readonly may not be used from your country.' },
    })
    expect(fault({ ...german, networks: networks('10.0.0.0/8') })).toMatchObject({
      message: 'prod-db as readonly may not be used from your network or country.',
    })
    const { opinions } = explain({ policies: [allow('p', german)], countryOf }, from('198.51.100.1'))
    expect(opinions).toMatchObject([{ says: 'decides', why: '198.51.100.1 (FR) is not where it is for' }])
  })

  test('looks again whenever it is asked, and ahead', () => {
    const moved = new Map([['203.0.113.9', 'DE']])
    const policies = [allow('p', { ...german, when: [officeHours] })]
    const rules = { policies, countryOf: (address: string) => moved.get(address) ?? 'unknown' }
    const here = from('203.0.113.9')
    expect(judgeGiven(rules, 'p', here).kind).toBe('allow')
    expect(closing(rules, here, here.at!, at('2026-11-24T00:00')).closesAt).toBe(at('2026-11-23T16:00'))
    moved.set('203.0.113.9', 'US')
    expect(judgeGiven(rules, 'p', here)).toMatchObject({ kind: 'deny', misses: 'from' })
  })
})

describe('a denial for some countries', () => {
  const denials = [deny('d', { countries: ['FR'], message: 'Not from there.' })]

  test('denies from there, and from where nobody can say; inside is nowhere', () => {
    expect(kinds({ policies: [allow('p')], denials, countryOf })).toEqual(['allow', 'deny', 'allow', 'deny'])
  })

  test('wants networks, too, where it names both', () => {
    const both = [deny('d', { countries: ['FR'], networks: networks('198.51.100.0/24') })]
    expect(kinds({ policies: [allow('p')], denials: both, countryOf })).toEqual(['allow', 'deny', 'allow', 'allow'])
  })

  test('denies everybody where there is nothing that knows countries', () => {
    expect(kinds({ policies: [allow('p')], denials })).toEqual(['deny', 'deny', 'deny', 'deny'])
  })
})

describe('a condition', () => {
  test('reads the country; empty where there is none', () => {
    const rules = (text: string) => ({ policies: [allow('p', { condition: condition(text) })], countryOf })
    expect(kinds(rules('client.country == "DE"'))).toEqual(['allow', 'deny', 'deny', 'deny'])
    expect(kinds(rules('client.country == ""'))).toEqual(['deny', 'deny', 'allow', 'allow'])
    const { client: _, ...anywhere } = situation()
    expect(condition('client.country == "DE"').evaluate(anywhere)).toBe('unknown')
  })

  test('knows whether it looks at one', () => {
    const looks = (text: string) => condition(text).looksAtCountry
    expect(['client.country == "DE"', 'client["country"] == "DE"', 'has(client.country)'].every(looks)).toBe(true)
    expect(['client.address == "x"', 'resource.name == "country"', 'role == "x"'].some(looks)).toBe(false)
  })

  test('reads the risk, which may not be known', () => {
    const risk = { score: 45, level: 'medium', factors: [{ code: 'first-time' }] } as const
    const text = 'risk.score >= 30 && risk.level == "medium" && "first-time" in risk.factors'
    expect(condition(text).evaluate(situation({ risk }))).toBe(true)
    for (const unknown of [undefined, null]) {
      expect(condition('risk.level == "low"').evaluate(situation({ risk: unknown }))).toBe('unknown')
    }
    expect(() => condition('risk.level > 5')).toThrow('no such overload')
  })
})
