// Goal: what is meant for emergencies is had in an emergency and never otherwise, and nothing else is had by calling it one.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isVisible, judge, judgeGiven } from '../../src/policy/judge.ts'
import type { Rules } from '../../src/policy/rules.ts'
import { allow, at, deny, officeHours, situation } from './rules.ts'

const breakGlass = { review: { from: ['security'], allOf: [], named: [], manager: false } }
const usual = allow('usual')
const glass = allow('glass', { breakGlass })
const emergency = { emergency: true }
const deciding = (rules: Rules, part = {}) => {
  const verdict = judge(rules, situation(part))
  return verdict.kind === 'deny' ? (verdict.by?.name ?? null) : verdict.policy.name
}

test('a policy for emergencies decides about emergencies only, and the others about the rest', () => {
  const rules = { policies: [glass, usual] }
  expect([deciding(rules), deciding(rules, emergency)]).toEqual(['usual', 'glass'])
  expect(deciding({ policies: [usual] }, emergency)).toBeNull()
  expect(deciding({ policies: [glass] })).toBeNull()
})

test('whatever the rules are, calling it an emergency chooses only among policies for emergencies', () => {
  const policy = fc.record({ isGlass: fc.boolean(), isOpen: fc.boolean(), isOther: fc.boolean() })
  fc.assert(
    fc.property(fc.array(policy, { maxLength: 6 }), fc.boolean(), fc.boolean(), (drawn, isFrozen, isEmergency) => {
      const policies = drawn.map(({ isGlass, isOpen, isOther }, index) =>
        allow(`${index}`, {
          ...(isGlass && { breakGlass }),
          ...(!isOpen && { when: [{ ...officeHours, days: [7] }] }),
          ...(isOther && { who: { groups: ['others'] } }),
        }),
      )
      const denials = isFrozen ? [deny('freeze', { message: 'frozen' })] : []
      const verdict = judge({ policies, denials }, situation({ emergency: isEmergency }))
      if (isFrozen) expect(verdict).toMatchObject({ kind: 'deny', by: { name: 'freeze' } })
      if (verdict.kind !== 'deny') expect(verdict.policy.breakGlass !== undefined).toBe(isEmergency)
    }),
  )
})

test('denials win in an emergency, too, but for those that leave it alone', () => {
  const frozen = deny('freeze', { kind: 'freeze', message: 'frozen' })
  expect(deciding({ policies: [glass], denials: [frozen] }, emergency)).toBe('freeze')
  const lenient = { ...frozen, exceptEmergencies: true }
  expect(deciding({ policies: [glass], denials: [lenient] }, emergency)).toBe('glass')
  expect(deciding({ policies: [glass, usual], denials: [lenient] })).toBe('freeze')
})

test('what was given in an emergency may be used while its policy matches, also when a freeze leaves it alone', () => {
  const lenient = deny('freeze', { kind: 'freeze', message: 'frozen', exceptEmergencies: true })
  const rules = { policies: [glass, usual], denials: [lenient] }
  expect(judgeGiven(rules, 'glass', situation()).kind).toBe('allow')
  expect(judgeGiven(rules, 'usual', situation()).kind).toBe('deny')
  const sunday = at('2026-11-29T09:00')
  const inHours = { policies: [{ ...glass, when: [officeHours] }] }
  expect(judgeGiven(inHours, 'glass', situation({ at: sunday })).kind).toBe('not-now')
})

test('what can be had in an emergency only may be known', () => {
  const rules = { policies: [glass] }
  expect(isVisible(rules, situation())).toBe(true)
  expect(isVisible(rules, situation({ emergency: false }))).toBe(false)
  expect(isVisible({ policies: [usual] }, situation(emergency))).toBe(false)
  expect(isVisible({ policies: [glass], denials: [deny('secret')] }, situation())).toBe(false)
})
