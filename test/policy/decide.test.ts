import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PersonId } from '../../src/kernel/ids.ts'
import { checkWish, mayApprove, missingPeople, policyFor, type Subject } from '../../src/policy/decide.ts'
import type { Approval, Policy } from '../../src/policy/rules.ts'
import type { Resource } from '../../src/resources/catalogue.ts'
import { codeOf } from '../fault-code.ts'

const names = fc.constantFrom('engineers', 'approvers', 'dba', 'security')
const groupSets = fc.uniqueArray(names, { maxLength: 4 })
const people: fc.Arbitrary<Subject> = fc.record({
  id: fc.constantFrom<PersonId[]>('person-a', 'person-b', 'person-c', 'person-d'),
  email: fc.option(fc.constantFrom('a@example.com', 'A@example.com', 'b@example.com'), { nil: null }),
  groups: groupSets,
})
const approvals: fc.Arbitrary<Approval> = fc.record({
  kind: fc.constant('people' as const),
  people: fc.integer({ min: 1, max: 4 }),
  from: fc.uniqueArray(names, { minLength: 1, maxLength: 3 }),
})

const resource: Resource = {
  kind: 'postgres',
  name: 'prod-db',
  description: '',
  labels: { env: 'prod' },
  host: 'db',
  port: 5432,
  tls: { mode: 'verify-full', ca: null, serverName: null },
  roles: {},
}

function policy(part: Partial<Policy>): Policy {
  return {
    name: 'p',
    who: { groups: ['engineers'] },
    what: { resources: null, labels: {}, roles: null },
    length: { defaultMs: 60_000, mostMs: 3_600_000 },
    reason: 'optional',
    ticket: null,
    approval: { kind: 'none' },
    ...part,
  }
}

const alice: Subject = { id: 'person-a', email: 'a@example.com', groups: ['engineers'] }

describe('which policy decides', () => {
  test('without policies, and without a matching group, the answer is no', () => {
    expect(policyFor([], alice, resource, 'readonly')).toBeUndefined()
    expect(policyFor([policy({ who: { groups: ['dba'] } })], alice, resource, 'readonly')).toBeUndefined()
  })

  test('the first that matches decides', () => {
    const first = policy({ name: 'first' })
    expect(policyFor([first, policy({ name: 'second' })], alice, resource, 'readonly')).toBe(first)
  })

  test.each([
    ['another resource', { resources: ['web'], labels: {}, roles: null }],
    ['another label', { resources: null, labels: { env: 'test' }, roles: null }],
    ['a label that only objects inherit', { resources: null, labels: { constructor: 'x' }, roles: null }],
    ['another role', { resources: null, labels: {}, roles: ['admin'] }],
    ['one field of two', { resources: ['prod-db'], labels: {}, roles: ['admin'] }],
  ])('%s does not match', (_, what) => {
    expect(policyFor([policy({ what })], alice, resource, 'readonly')).toBeUndefined()
  })
})

describe('who may approve', () => {
  test('never the requester, not even by a second account with the same e-mail', () => {
    fc.assert(
      fc.property(approvals, people, people, (approval, approver, requester) => {
        const sameEmail = approver.email !== null && approver.email.toLowerCase() === requester.email?.toLowerCase()
        if (approver.id === requester.id || sameEmail) expect(mayApprove(approval, approver, requester)).toBe(false)
      }),
    )
  })

  test('nobody outside the groups', () => {
    fc.assert(
      fc.property(approvals, people, people, (approval, approver, requester) => {
        const inside = approval.kind === 'people' && approver.groups.some((group) => approval.from.includes(group))
        if (!inside) expect(mayApprove(approval, approver, requester)).toBe(false)
      }),
    )
  })

  test('people are counted, not groups, clicks or accounts', () => {
    fc.assert(
      fc.property(approvals, fc.array(people, { maxLength: 8 }), (approval, approvers) => {
        const missing = missingPeople(approval, approvers)
        const repeated = missingPeople(approval, [...approvers, ...approvers])
        expect(repeated).toBe(missing)
        const ids = new Set(approvers.map(({ id }) => id)).size
        if (approval.kind === 'people') expect(missing).toBeGreaterThanOrEqual(approval.people - ids)
        expect(missing).toBeGreaterThanOrEqual(0)
      }),
    )
  })
})

describe('a wish is held against its policy', () => {
  const wish = { lengthMs: 60_000, reason: 'because', ticket: null }

  test.each([
    ['too long', policy({}), { ...wish, lengthMs: 3_600_001 }, 'LENGTH_REFUSED'],
    ['no length', policy({}), { ...wish, lengthMs: 0 }, 'LENGTH_REFUSED'],
    ['not a number', policy({}), { ...wish, lengthMs: Number.NaN }, 'LENGTH_REFUSED'],
    ['no reason', policy({ reason: 'required' }), { ...wish, reason: '  ' }, 'REASON_REQUIRED'],
    ['endless reason', policy({}), { ...wish, reason: 'x'.repeat(1001) }, 'INPUT_INVALID'],
  ])('%s', (_, rule, wished, code) => {
    expect(codeOf(() => checkWish(rule, wished))).toBe(code)
  })

  test('a ticket must have the whole form', () => {
    const ticket = { pattern: /^(?:INC-[0-9]+)$/u, link: null, required: true }
    const rule = policy({ ticket })
    expect(codeOf(() => checkWish(rule, { ...wish, ticket: 'INC-4821' }))).toBeUndefined()
    expect(codeOf(() => checkWish(rule, { ...wish, ticket: 'INC-4821 ' }))).toBe('TICKET_REQUIRED')
    expect(codeOf(() => checkWish(rule, wish))).toBe('TICKET_REQUIRED')
  })
})
