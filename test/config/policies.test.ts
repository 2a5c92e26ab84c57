import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Instant } from '../../src/kernel/time.ts'
import { judge } from '../../src/policy/judge.ts'
import { standingOffers } from '../../src/config/summary.ts'
import { goodConfig, makeConfigFolder } from './example.ts'
import type { ConfigFolder } from './example.ts'

let folder: ConfigFolder
beforeAll(async () => {
  folder = await makeConfigFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const policies = goodConfig.slice(0, goodConfig.indexOf('policies:'))
const withPolicies = (text: string) => `${policies}policies:\n${text}`
const read = (extra: string) => `  - name: read
    who: { groups: [engineering] }
    what: { roles: [readonly] }
    approval: none
${extra}`
const problems = async (text: string) =>
  (await folder.problems(withPolicies(text))).map((line) => line.replace(/^\S+?:(\d+:\d+) /, '$1 '))

test('everything that a policy can say becomes a rule that decides', async () => {
  const { config, notices } = await folder.check(
    withPolicies(`  - name: never for guests
    effect: deny
    who: { claims: { employer: [guest, contractor] } }
    what: { resources: ['sh*'] }
    message: Guests have no business here.
  - name: office
    who: { groups: [engineering], people: [Erin@example.com], claims: { level: ['2', '3'] } }
    what: { roles: [readonly] }
    when:
      - { days: weekdays, from: '09:00', to: '17:00', zone: Europe/Berlin }
      - { days: [sat, sun], from: '22:00', to: '06:00' }
    dates: { from: 2026-11-01, to: 2026-12-24, zone: Europe/Berlin }
    from: { networks: [10.0.0.0/8, '2001:db8::/32', 192.0.2.7] }
    if: request.minutes <= 60 && "data" in person.claims.department
    approval: none
  - name: later
    who: { groups: [engineering] }
    what: {}
    approval: { from: [approvers] }
freezes:
  - { name: year end, from: 2026-12-20, to: 2027-01-03T12:00, zone: Europe/Berlin, except: { groups: [oncall] } }
`),
  )
  expect(notices).toEqual([])
  const instant = (text: string) => Temporal.ZonedDateTime.from(text).epochMilliseconds
  expect(config.policies.map(({ name }) => name)).toEqual(['office', 'later'])
  expect(config.policies[0]).toMatchObject({
    who: { groups: ['engineering'], people: ['erin@example.com'], claims: { level: ['2', '3'] } },
    when: [
      { days: [1, 2, 3, 4, 5], fromMinute: 540, toMinute: 1020, zone: 'Europe/Berlin' },
      { days: [6, 7], fromMinute: 1320, toMinute: 360, zone: 'UTC' },
    ],
    dates: {
      from: instant('2026-11-01T00:00[Europe/Berlin]'),
      to: instant('2026-12-25T00:00[Europe/Berlin]'),
    },
    networks: { texts: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'] },
  })
  expect(config.denials).toMatchObject([
    {
      kind: 'policy',
      who: { claims: { employer: ['guest', 'contractor'] } },
      message: 'Guests have no business here.',
    },
    {
      ...{ kind: 'freeze', name: 'year end', who: null, except: ['oncall'] },
      message: 'Frozen until Sun 2027-01-03 12:00 (Europe/Berlin): year end.',
      dates: { to: instant('2027-01-03T12:00[Europe/Berlin]') },
    },
  ])
  expect(config.identity.oidc.policyClaims).toEqual(['department', 'employer', 'level'])
  const person = {
    ...{ email: 'erin@example.com', name: null, groups: ['engineering'] },
    claims: { employer: [], level: ['3'], department: ['data'] },
  }
  const verdict = judge(config, {
    ...{ person, resource: config.resources[0]!, role: 'readonly', client: { address: '10.9.9.9' } },
    at: instant('2026-11-23T10:00[Europe/Berlin]') as Instant,
    request: { lengthMs: 60_000, reason: '', ticket: null },
  })
  expect(verdict).toMatchObject({ kind: 'allow', policy: { name: 'office' } })
})

describe('refused, with the place', () => {
  test.each([
    [
      'a condition, within its line',
      '    if: role == "x" && role.matches("y")\n',
      /^11:24 policies\[0\]\.if: matches\(\) is not offered/,
    ],
    [
      'a condition over several lines',
      '    if: >-\n      role == "x" &&\n      person.mail == "y"\n',
      /^13:14 policies\[0\]\.if: No such key: mail/,
    ],
    [
      'a quoted condition',
      `    if: '"a" in person.groups && nope'\n`,
      /^11:34 policies\[0\]\.if: Unknown variable: nope/,
    ],
    [
      'a network',
      '    from: { networks: [10.0.0.0/33] }\n',
      /networks\[0\]: expected a network such as 10\.0\.0\.0\/8, got/,
    ],
    [
      'a zone',
      '    when: [{ from: 09:00, to: 17:00, zone: Berlin }]\n',
      /zone: expected a time zone such as Europe\/Berlin/,
    ],
    ['an offset for a zone', '    when: [{ from: 09:00, to: 17:00, zone: "+01:00" }]\n', /zone: expected a time zone/],
    ['a time', '    when: [{ from: 9am, to: 17:00 }]\n', /from: expected a time such as 09:00, got "9am"/],
    ['an empty window', '    when: [{ from: 09:00, to: 09:00 }]\n', /to: the window ends where it begins/],
    ['days', '    when: [{ days: [monday], from: 09:00, to: 17:00 }]\n', /days/],
    ['a day that there is not', '    dates: { from: 2026-02-30 }\n', /expected a day or a time, such as 2026-12-20/],
    ['dates backwards', '    dates: { from: 2026-02-03, to: 2026-02-02 }\n', /dates\.to: it ends before it begins/],
    ['no dates', '    dates: {}\n', /dates: it has neither `from` nor `to`/],
    ['a message', '    message: hello\n', /message: only a policy that denies says something/],
  ])('%s', async (_, extra, expected) => {
    // The policies begin on the line after the resources; numbers above count from the first policy.
    const shift = policies.split('\n').length - 1
    const [first = ''] = await problems(read(extra))
    const moved = first.replace(/^(\d+)/, (line) => String(Number(line) - shift + 5))
    expect(moved).toMatch(expected)
  })

  test.each([
    ['nobody named', '  - { name: x, who: {}, what: {}, approval: none }\n', 'policies[0].who: it names nobody'],
    [
      'no approval',
      '  - { name: x, who: { groups: [a] }, what: {} }\n',
      'policies[0].approval: expected a value, got nothing',
    ],
    ['no who', '  - { name: x, what: {}, approval: none }\n', 'policies[0].who: expected a value, got nothing'],
    [
      'a denial that asks',
      '  - { name: x, effect: deny, what: {}, approval: none }\n',
      'a policy that denies asks for nothing',
    ],
    [
      'a denial of what is not there',
      '  - { name: x, effect: deny, what: { resources: [shp] } }\n',
      'there is no resource "shp"',
    ],
    [
      'a glob that fits nothing',
      '  - { name: x, effect: deny, what: { resources: ["x-*"] } }\n',
      'there is no resource "x-*"',
    ],
  ])('%s', async (_, text, expected) => {
    expect((await problems(text)).join('\n')).toContain(expected)
  })
})

describe('never matching', () => {
  const both = (first: string, second = '{ groups: [engineering] }') =>
    problems(`  - name: first
    what: { roles: [readonly] }
${first}
  - name: second
    who: ${second}
    what: { roles: [readonly] }
    approval: none
`)
  const who = '    who: { groups: [engineering] }\n    approval: none'

  test('one that always matches shadows what comes behind it', async () => {
    expect((await both(who)).join()).toContain(
      'this policy can never match: policies[0] "first" always decides before it',
    )
  })

  test.each([
    ['in a window', `${who}\n    when: [{ from: 09:00, to: 17:00 }]`],
    ['until a day', `${who}\n    dates: { to: 2030-01-01 }`],
    ['from a network', `${who}\n    from: { networks: [10.0.0.0/8] }`],
    ['on a condition', `${who}\n    if: request.minutes < 60`],
    ['for fewer people', '    who: { groups: [engineering], claims: { level: [a] } }\n    approval: none'],
  ])('one that matches only %s does not', async (_, first) => expect(await both(first)).toEqual([]))

  test('a denial of everybody shadows wherever it stands; one for others does not', async () => {
    expect((await both('    effect: deny')).join()).toContain('policies[0] "first" always decides before it')
    expect(await both('    effect: deny\n    who: { groups: [guests] }')).toEqual([])
  })

  test('people are told apart by their address', async () => {
    const erin = '    who: { people: [Erin@example.com] }\n    approval: none'
    expect((await both(erin, '{ people: [erin@example.com] }')).join()).toContain('can never match')
    expect(await both(erin, '{ people: [kim@example.com] }')).toEqual([])
    expect(await both(erin)).toEqual([])
  })
})

test('the summary says who has what, also where claims or addresses tell, and what is only sometimes', async () => {
  const { config } = await folder.check(
    withPolicies(`  - { name: a, who: { groups: [x], claims: { level: ['2', '3'] } }, what: { resources: [wiki] }, approval: none }
  - { name: b, who: { people: [kim@example.com] }, what: { resources: [wiki] }, if: request.minutes < 5, approval: none }
  - { name: c, who: { groups: [y, w] }, what: { resources: [wiki] }, approval: { from: [z] } }
  - { name: d, effect: deny, who: { groups: [y] }, what: {} }
`),
  )
  expect(standingOffers(config).map(({ group, takes }) => [group, takes])).toEqual([
    ['x, level=2|3', 'nobody'],
    ['kim@example.com', 'nobody, sometimes'],
    ['w', 'one of z'],
  ])
})
