// Goal: two sets of rules differ exactly where they judge otherwise. Method: the same facts under rules that differ in one thing.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  grantDifference,
  requestDifference,
  type Facts,
  type RuleSet,
} from '../../../src/access/reports/differences.ts'
import { stepOf, type Step } from '../../../src/policy/approval.ts'
import { judge } from '../../../src/policy/judge.ts'
import type { Denial, Policy } from '../../../src/policy/rules.ts'
import { alice, allow, at, condition, deny, officeHours } from '../../policy/rules.ts'

const resources = [{ name: 'prod-db', kind: 'postgres', labels: { env: 'prod' }, roles: ['readonly'] }]
const set = (policies: readonly Policy[], denials: readonly Denial[] = []): RuleSet => ({
  rules: { policies, denials },
  resources,
})
const facts: Facts = {
  ...{ person: alice, resource: 'prod-db', role: 'readonly', at: at('2026-11-23T09:00') },
  request: { lengthMs: 600_000, reason: 'orders', ticket: null },
}
const steps = (...all: readonly Step[]) => allow('x', { approval: { kind: 'people', steps: all } })
const kinds = (before: Policy, after: Policy, about: Facts = facts) =>
  requestDifference(set([before]), set([after]), about)?.kinds ?? []

describe('requests', () => {
  test.each([
    ['no change', allow('x'), allow('x'), []],
    ['one more person', steps(stepOf(1, ['a'])), steps(stepOf(2, ['a'])), ['other-approval']],
    ['one more step', steps(stepOf(1, ['a'])), steps(stepOf(1, ['a']), stepOf(1, ['b'])), ['other-approval']],
    ['nobody instead of one', steps(stepOf(1, ['a'])), allow('x'), ['other-approval']],
    ['another group', steps(stepOf(1, ['a'])), steps(stepOf(1, ['b'])), ['other-approvers']],
    ['the same groups in another order', steps(stepOf(1, ['a', 'b'])), steps(stepOf(1, ['b', 'a'])), []],
    [
      'any of two instead of all',
      steps({ ...stepOf(1, []), allOf: ['a', 'b'] }),
      steps(stepOf(1, ['a', 'b'])),
      ['other-approvers'],
    ],
    ['another length', allow('x'), allow('x', { length: { defaultMs: 1, mostMs: 7_200_000 } }), ['other-length']],
    ['another name', allow('x'), allow('y'), ['other-policy']],
    ['too long now', allow('x'), allow('x', { length: { defaultMs: 1, mostMs: 60_000 } }), ['now-refused']],
    ['a window', allow('x'), allow('x', { when: [{ ...officeHours, days: [6] }] }), ['now-refused']],
    ['a condition', allow('x', { condition: condition('request.minutes < 5') }), allow('x'), ['now-allowed']],
  ])('%s', (_, before, after, expected) => expect(kinds(before, after)).toEqual(expected))

  test('the risk that was worked out then counts', () => {
    const risky = allow('x', { condition: condition('risk.level != "high"') })
    const risk = { score: 80, level: 'high', factors: [] } as const
    expect(kinds(allow('x'), risky, { ...facts, risk })).toEqual(['now-refused'])
    expect(kinds(allow('x'), risky, { ...facts, risk: null })).toEqual([])
  })

  test('an emergency is judged as one', () => {
    const glass = allow('glass', { breakGlass: { review: stepOf(1, ['leads']) } })
    expect(kinds(glass, allow('x'), { ...facts, emergency: true })).toEqual(['now-refused'])
    expect(kinds(glass, glass, { ...facts, emergency: true })).toEqual([])
    expect(requestDifference(set([]), set([glass]), { ...facts, emergency: true })).toMatchObject({
      after: '“glass”: break-glass, at most 1 h',
    })
  })

  test('more time is judged by the policy that gave it', () => {
    const before = set([allow('first'), allow('x')])
    const after = set([allow('other'), allow('x', { length: { defaultMs: 1, mostMs: 60_000 } })])
    expect(requestDifference(before, after, { ...facts, givenBy: 'x' })?.kinds).toEqual(['now-refused'])
    expect(requestDifference(before, before, { ...facts, givenBy: 'x' })).toBe(undefined)
  })

  test('recurring hours are held against what policies say of them', () => {
    const grants = { clock: 'start', uses: 'many', unusedMs: null, totalMs: null } as const
    const length = { defaultMs: 1, mostMs: 9 * 3_600_000 }
    const recurring = (recurringMs: number | null) => allow('x', { length, grants: { ...grants, recurringMs } })
    const about = { ...facts, windows: [officeHours], request: { ...facts.request!, lengthMs: 7 * 86_400_000 } }
    expect(kinds(recurring(14 * 86_400_000), recurring(null), about)).toEqual(['now-refused'])
    expect(kinds(recurring(14 * 86_400_000), recurring(7 * 86_400_000), about)).toEqual([])
  })

  test('a resource or a role that is not there', () => {
    const none = { ...set([allow('x')]), resources: [] }
    expect(requestDifference(set([allow('x')]), none, facts)).toMatchObject({
      after: 'There is no resource “prod-db”.',
    })
    expect(requestDifference(set([allow('x')]), set([allow('x')]), { ...facts, role: 'root' })).toBe(undefined)
  })
})

test('whatever the rules are, a difference is found when one allows and the other does not', () => {
  const policy = fc
    .record({
      groups: fc.subarray(['engineers', 'dba'], { minLength: 1 }),
      roles: fc.option(fc.constantFrom<string[]>(['readonly'], ['admin'])),
      days: fc.subarray([1, 2, 3], { minLength: 1 }),
    })
    .map(({ groups, roles, days }) =>
      allow('x', { who: { groups }, what: { resources: null, labels: {}, roles }, when: [{ ...officeHours, days }] }),
    )
  const rules = fc.record({
    policies: fc.array(policy, { maxLength: 3 }),
    denials: fc.array(fc.constantFrom(deny('no'), deny('but', { except: ['engineers'] })), { maxLength: 1 }),
  })
  fc.assert(
    fc.property(rules, rules, (left, right) => {
      const situation = { ...facts, resource: resources[0]! }
      const allows = (one: typeof left) => judge(one, situation).kind === 'allow'
      const found = requestDifference({ rules: left, resources }, { rules: right, resources }, facts)?.kinds ?? []
      expect(found.includes('now-refused')).toBe(allows(left) && !allows(right))
      expect(found.includes('now-allowed')).toBe(!allows(left) && allows(right))
    }),
  )
})

describe('living access', () => {
  const stopped = (after: RuleSet) => grantDifference(set([allow('x')]), after, 'x', facts)

  test('stops where the policy is gone, or something denies it; not where a window will open again', () => {
    expect(stopped(set([allow('x')]))).toBe(undefined)
    expect(stopped(set([allow('x', { when: [{ ...officeHours, days: [6] }] })]))).toBe(undefined)
    expect(stopped(set([allow('another')]))).toBe(undefined)
    expect(stopped(set([]))).toMatchObject({ kinds: ['grant-stopped'], after: expect.stringContaining('No policy') })
    expect(stopped(set([allow('x')], [deny('no', { message: 'Not for you.' })]))).toMatchObject({
      after: 'Not for you. (by “no”)',
    })
  })

  test('what does not stand now cannot be stopped', () => {
    expect(grantDifference(set([]), set([]), 'x', facts)).toBe(undefined)
  })
})
