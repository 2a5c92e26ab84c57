import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { standingOffers, summarise } from '../../src/config/summary.ts'
import { goodConfig, makeConfigFolder } from './example.ts'
import type { ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const before = goodConfig.slice(0, goodConfig.indexOf('policies:'))
const read = (grants: string, more = '') => `${before}policies:
  - name: read
    who: { groups: [engineering] }
    what: { roles: [readonly] }
    approval: none
    for: { default: 30m, most: 1h }
    grants: ${grants}
${more}`
const problems = async (text: string) => (await folder.problems(text)).map((line) => line.replace(/^\S+ /, ''))

test('what grants are like, and bundles, become values in milliseconds', async () => {
  const { config } = await folder.check(
    read(
      '{ clock: first-use, uses: once, unused: 4h, total: 24h }',
      `bundles:
  - name: first-day
    description: For new people
    items: [{ resource: shop, role: readonly, for: 30m }]
`,
    ),
  )
  expect(config.policies[0]!.grants).toEqual({
    ...{ clock: 'first-use', uses: 'once' },
    ...{ unusedMs: 14_400_000, totalMs: 86_400_000, recurringMs: null },
  })
  const items = [{ resource: 'shop', role: 'readonly', lengthMs: 1_800_000 }]
  expect(config.bundles).toEqual([{ name: 'first-day', description: 'For new people', items }])
  expect(standingOffers(config)[0]!.most).toBe(
    '1 h, from the first use, for one session, unused at most 4 h, with extensions 1 d',
  )
  expect(summarise(config).bundles).toEqual(['first-day: shop as readonly'])
})

test('a policy that says nothing of grants has none of this', async () => {
  const { config } = await folder.check(goodConfig)
  expect(config.policies.every(({ grants }) => grants === undefined)).toBe(true)
  expect(config.bundles).toEqual([])
})

describe('is refused', () => {
  test.each([
    ['{ unused: 0s }', ['policies[0].grants.unused: expected a length of time above 0, got 0']],
    ['{ unused: 2h }', ['policies[0].grants.unused: every access ends before that: it lasts at most 1 h']],
    ['{ total: 30m }', ['policies[0].grants.total: `total` is shorter than one request may be (1 h)']],
    ['{ uses: once, recurring: 7d }', ['policies[0].grants.recurring: recurring hours are of no use for one session']],
  ])('grants: %s', async (grants, expected) => {
    expect(await problems(read(grants))).toEqual(expected.map((line) => expect.stringContaining(line) as string))
  })

  test('what is unused with first-use or recurring windows may outlast a request', async () => {
    await folder.check(read('{ clock: first-use, unused: 2h }'))
    await folder.check(read('{ recurring: 14d, unused: 2h }'))
  })

  test('grants of a policy that denies, and a bundle of what is not there', async () => {
    const text = `${before}policies:
  - { name: no, effect: deny, what: { roles: [readonly] }, grants: { uses: once } }
bundles:
  - name: odd
    items:
      - { resource: shpo, role: readonly }
      - { resource: shop, role: readonyl }
      - { resource: shop, role: readonly, for: 0s }
      - { resource: shop, role: readonly }
  - { name: odd, items: [{ resource: shop, role: readonly }] }
`
    expect(await problems(text)).toEqual(
      [
        'policies[0].grants: a policy that denies asks for nothing',
        'bundles[0].items[0].resource: there is no resource "shpo"',
        'bundles[0].items[1].role: there is no role "readonyl" there',
        'bundles[0].items[2].for: expected a length of time above 0, got 0',
        'bundles[0].items[3]: items[2] is the same',
        'bundles[1].name: bundles[0] is called "odd", too',
      ].map((line) => expect.stringContaining(line) as string),
    )
  })
})
