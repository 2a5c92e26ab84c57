import { describe, expect, test } from 'vitest'
import { checkWish, covers } from '../../src/policy/decide.ts'
import { judge } from '../../src/policy/judge.ts'
import type { Policy } from '../../src/policy/rules.ts'
import type { Resource } from '../../src/resources/catalogue.ts'
import { codeOf } from '../fault-code.ts'

const resource: Resource = {
  kind: 'postgres',
  name: 'prod-db',
  description: '',
  labels: { env: 'prod' },
  host: 'db',
  port: 5432,
  others: [],
  targetSession: 'any',
  connectMs: 15_000,
  minTlsVersion: 'TLSv1.2',
  keepalives: null,
  logins: ['scram-sha-256', 'md5', 'none'],
  tls: { mode: 'verify-full', ca: null, serverName: null, identity: null },
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

describe('which policy decides', () => {
  const asked = { person: { email: null, groups: ['engineers'] }, resource, role: 'readonly' }

  test('without policies, and without a matching group, the answer is no', () => {
    expect(judge({ policies: [] }, asked).kind).toBe('deny')
    expect(judge({ policies: [policy({ who: { groups: ['dba'] } })] }, asked).kind).toBe('deny')
  })

  test('the first that matches decides', () => {
    const first = policy({ name: 'first' })
    const verdict = judge({ policies: [first, policy({ name: 'second' })] }, asked)
    expect(verdict).toEqual({ kind: 'allow', policy: first })
  })
})

describe('what a policy is about', () => {
  test.each([
    ['another resource', { resources: ['web'], labels: {}, roles: null }],
    ['another label', { resources: null, labels: { env: 'test' }, roles: null }],
    ['a label that only objects inherit', { resources: null, labels: { constructor: 'x' }, roles: null }],
    ['another role', { resources: null, labels: {}, roles: ['admin'] }],
    ['one field of two', { resources: ['prod-db'], labels: {}, roles: ['admin'] }],
  ])('%s does not match', (_, what) => {
    expect(covers(policy({}), resource, 'readonly')).toBe(true)
    expect(covers(policy({ what }), resource, 'readonly')).toBe(false)
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
