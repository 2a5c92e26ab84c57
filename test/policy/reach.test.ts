import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stepOf } from '../../src/policy/approval.ts'
import { circumstanceWords } from '../../src/policy/circumstance-words.ts'
import { judge } from '../../src/policy/judge.ts'
import { reachesOf } from '../../src/policy/reach.ts'
import type { Denial, Policy } from '../../src/policy/rules.ts'
import { isFor } from '../../src/policy/weigh.ts'
import { allow, at, condition, deny, networks, officeHours, situation } from './rules.ts'

// Goal: what says who can reach what leaves out nobody who could, as the rule decides that is used at run time.

const resources = [
  { name: 'prod-db', kind: 'postgres', labels: { env: 'prod' }, roles: ['readonly', 'admin'] },
  { name: 'wiki', kind: 'http', labels: {}, roles: ['reader'] },
]
const people = { kind: 'people', steps: [stepOf(1, ['leads'])] } as const
const inShort = (policies: readonly Policy[], denials: readonly Denial[] = []) =>
  reachesOf({ policies, denials }, resources).map(
    ({ who, resource, role, policy, unless }) =>
      `${who}: ${resource} ${role} by ${policy.name}${unless.map((one) => ` unless ${one}`).join('')}`,
  )

test('each group and address of a policy, with its claims', () => {
  const who = { groups: ['a', 'b'], people: ['kim@example.com'], claims: { level: ['2', '3'] } }
  expect(inShort([allow('x', { who, what: { resources: ['wiki'], labels: {}, roles: null } })])).toEqual([
    'a, kim@example.com, level=2|3: wiki reader by x',
    'b, kim@example.com, level=2|3: wiki reader by x',
  ])
})

test('a machine is named as one', () => {
  const who = { machines: ['ci-*'] }
  expect(inShort([allow('x', { who, what: { resources: ['wiki'], labels: {}, roles: null } })])).toEqual([
    'machine ci-*: wiki reader by x',
  ])
})

test('a freeze that leaves emergencies alone leaves break-glass in', () => {
  const review = { from: ['leads'], allOf: [], named: [], manager: false }
  const what = { resources: ['wiki'], labels: {}, roles: null }
  const policies = [allow('glass', { what, breakGlass: { review } }), allow('usual', { what })]
  expect(inShort(policies, [deny('freeze', { exceptEmergencies: true })])).toEqual(['engineers: wiki reader by glass'])
})

test('what always decides before takes it away, what only sometimes does not; break-glass stands beside', () => {
  const what = { resources: ['wiki'], labels: {}, roles: null }
  const free = allow('free', { what })
  expect(inShort([allow('first', { what, approval: people }), free])).toEqual(['engineers: wiki reader by first'])
  expect(inShort([allow('first', { what, approval: people, when: [officeHours] }), free])).toHaveLength(2)
  const review = { from: ['leads'], allOf: [], named: [], manager: false }
  expect(
    inShort([allow('first', { what, approval: people }), allow('glass', { what, breakGlass: { review } })]),
  ).toEqual(['engineers: wiki reader by first', 'engineers: wiki reader by glass'])
})

test('what always denies takes it away; what sometimes does, or to some, is named', () => {
  const policies = [allow('x', { what: { resources: ['wiki'], labels: {}, roles: null } })]
  expect(inShort(policies, [deny('all')])).toEqual([])
  expect(inShort(policies, [deny('engineers', { who: { groups: ['engineers', 'more'] } })])).toEqual([])
  expect(
    inShort(policies, [
      deny('contractors', { who: { claims: { employment: ['contractor'] } } }),
      deny('nights', { when: [officeHours] }),
      deny('but those', { except: ['engineers'] }),
      deny('elsewhere', { what: { resources: ['prod-db'], labels: {}, roles: null } }),
    ]),
  ).toEqual(['engineers: wiki reader by x unless contractors unless nights'])
})

const names = ['a', 'b', 'c']
const some = fc.subarray(names, { minLength: 1 })
const who = fc.oneof(
  some.map((groups) => ({ groups })),
  fc.record({ groups: some, claims: fc.record({ level: some }) }),
)
const what = fc.record({
  resources: fc.option(fc.subarray(['prod-db', 'wiki'], { minLength: 1 })),
  labels: fc.constant({}),
  roles: fc.option(fc.subarray(['readonly', 'reader'], { minLength: 1 })),
})
const sometimes = fc.oneof(
  fc.constant({}),
  fc.constant({ when: [officeHours] }),
  fc.constant({ networks: networks('10.0.0.0/8') }),
  fc.constant({ condition: condition('"a" in person.groups') }),
)
const rules = fc.record({
  policies: fc.array(fc.tuple(who, what, sometimes, fc.boolean(), fc.boolean()), { maxLength: 5 }).map((all) =>
    all.map(([forWhom, about, part, free, glass], index) =>
      allow(`p${index}`, {
        ...{ who: forWhom, what: about, ...part, approval: free ? { kind: 'none' } : people },
        ...(glass && { breakGlass: { review: stepOf(1, ['leads']) } }),
      }),
    ),
  ),
  denials: fc
    .array(fc.tuple(fc.option(who), what, sometimes), { maxLength: 2 })
    .map((all) =>
      all.map(([forWhom, about, part], index) => deny(`d${index}`, { who: forWhom, what: about, ...part })),
    ),
})

test('whatever anybody is allowed at some time stands among the reaches', () => {
  const person = fc.record({ groups: fc.subarray(names), claims: fc.record({ level: fc.subarray(names) }) })
  const moment = fc.constantFrom(at('2026-11-23T09:00'), at('2026-11-22T03:00'))
  const address = fc.constantFrom('10.1.1.1', '203.0.113.9')
  fc.assert(
    fc.property(
      rules,
      person,
      moment,
      address,
      fc.constantFrom(...resources),
      fc.boolean(),
      (all, facts, when, from, resource, emergency) => {
        for (const role of resource.roles) {
          const who = { email: null, ...facts }
          const verdict = judge(
            all,
            situation({ person: who, resource, role, at: when, client: { address: from }, emergency }),
          )
          if (verdict.kind !== 'allow') continue
          const found = reachesOf(all, resources).filter(
            (one) => one.policy === verdict.policy && one.resource === resource.name && one.role === role,
          )
          expect(found.some(({ subject }) => isFor(subject, who, 'is not for them'))).toBe(true)
        }
      },
    ),
    { numRuns: 400 },
  )
})

test('circumstances in words', () => {
  expect(
    circumstanceWords({
      when: [officeHours, { days: [1, 3, 6, 7], fromMinute: 1320, toMinute: 360, zone: 'UTC' }],
      dates: { from: at('2026-11-01T00:00'), to: null },
      networks: networks('10.0.0.0/8', '2001:db8::/32'),
      countries: ['DE', 'AT'],
      condition: condition('request.minutes\n  <= 60'),
    }),
  ).toEqual([
    'Mon-Fri 09:00-17:00 (Europe/Berlin) or Mon, Wed, Sat, Sun 22:00-06:00 (UTC)',
    'from 2026-11-01 00:00:00 UTC',
    'from 10.0.0.0/8, 2001:db8::/32',
    'from DE, AT',
    'if request.minutes <= 60',
  ])
  expect(circumstanceWords({})).toEqual([])
})
