import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PersonId } from '../../src/kernel/ids.ts'
import {
  approvalWords,
  isAmong,
  isApprover,
  mayDecideNow,
  missingInStep,
  stepOf,
  stepWords,
  type ApprovalPlace,
  type Approvers,
  type Step,
} from '../../src/policy/approval.ts'
import type { Subject } from '../../src/policy/subject.ts'

const names = fc.constantFrom('engineers', 'approvers', 'dba', 'security')
const groupSets = fc.uniqueArray(names, { maxLength: 4 })
const addresses = fc.constantFrom('a@example.com', 'b@example.com', 'c@example.com')
const people: fc.Arbitrary<Subject> = fc.record({
  id: fc.constantFrom<PersonId[]>('person-a', 'person-b', 'person-c', 'person-d'),
  email: fc.oneof(addresses, fc.constant('A@Example.com'), fc.constant(null)),
  groups: groupSets,
})
const approvers: fc.Arbitrary<Approvers> = fc.record({
  from: groupSets,
  allOf: groupSets,
  named: fc.uniqueArray(addresses),
  manager: fc.constant(false),
})
const steps: fc.Arbitrary<Step> = fc
  .tuple(approvers, fc.integer({ min: 1, max: 4 }), fc.option(approvers))
  .map(([whom, count, to]) => ({
    ...whom,
    people: count,
    refusals: 1,
    escalate: to === null ? null : { afterMs: 60_000, to },
  }))
const places: fc.Arbitrary<ApprovalPlace> = fc.record({
  approval: fc.array(steps, { minLength: 1, maxLength: 3 }).map((all) => ({ kind: 'people' as const, steps: all })),
  step: fc.integer({ min: 0, max: 3 }),
  isEscalated: fc.boolean(),
})

describe('who may decide', () => {
  test('never a requester, not even by a second account with the same e-mail', () => {
    fc.assert(
      fc.property(places, people, fc.array(people, { minLength: 1 }), (place, approver, requesters) => {
        const isOne = requesters.some(
          ({ id, email }) =>
            id === approver.id || (email !== null && email.toLowerCase() === approver.email?.toLowerCase()),
        )
        if (isOne) expect(mayDecideNow(place, approver, requesters)).toBe(false)
      }),
    )
  })

  test('nobody whom the step does not mean, and whom it calls on later only then', () => {
    fc.assert(
      fc.property(places, people, (place, approver) => {
        const step = place.approval.kind === 'people' ? place.approval.steps[place.step] : undefined
        const isMeant = step !== undefined && isAmong(step, approver)
        const to = step?.escalate?.to
        const isCalled = place.isEscalated && to !== undefined && isAmong(to, approver)
        expect(mayDecideNow(place, approver, [])).toBe(isMeant || isCalled)
      }),
    )
  })

  test('whoever may now is an approver', () => {
    fc.assert(
      fc.property(places, people, people, (place, approver, requester) => {
        if (mayDecideNow(place, approver, [requester])) expect(isApprover(place.approval, approver)).toBe(true)
      }),
    )
  })

  test('all of some groups is more than one of them, and of no groups nobody', () => {
    const whom = { from: [], allOf: ['dba', 'security'], named: [], manager: false }
    const one: Subject = { id: 'person-a', email: null, groups: ['dba'] }
    expect(isAmong(whom, one)).toBe(false)
    expect(isAmong(whom, { ...one, groups: ['security', 'dba'] })).toBe(true)
    expect(isAmong({ ...whom, allOf: [] }, one)).toBe(false)
  })
})

describe('how many are missing', () => {
  test('people are counted, not groups, clicks or accounts', () => {
    fc.assert(
      fc.property(steps, fc.array(people, { maxLength: 8 }), (step, given) => {
        const missing = missingInStep(step, given)
        expect(missingInStep(step, [...given, ...given])).toBe(missing)
        const ids = new Set(given.map(({ id }) => id)).size
        expect(missing).toBeGreaterThanOrEqual(Math.max(0, step.people - ids))
      }),
    )
  })
})

test('people read what it takes', () => {
  const first: Step = { ...stepOf(2, ['dba', 'leads']), named: ['kim@example.com'] }
  const second: Step = { ...stepOf(1, []), allOf: ['security', 'on-call'], manager: true }
  expect(approvalWords({ kind: 'people', steps: [first, second] })).toBe(
    'two of dba or leads or kim@example.com, then one of all of security and on-call or the manager',
  )
  const filed = { ...second, named: ['kim@example.com', 'boss@example.com'], managerAddress: 'boss@example.com' }
  expect(stepWords(filed)).toBe(
    'one of all of security and on-call or kim@example.com or the manager (boss@example.com)',
  )
  expect(approvalWords({ kind: 'none' })).toBe('nobody')
})
