import { compileCondition } from '../../src/policy/condition.ts'
import { networksOf } from '../../src/policy/networks.ts'
import type { Denial, Policy, Weekly } from '../../src/policy/rules.ts'
import type { Instant } from '../../src/kernel/time.ts'
import type { PersonFacts, Situation } from '../../src/policy/weigh.ts'

/** Policies and situations for tests, with only what matters spelt out. */

const anything = { resources: null, labels: {}, roles: null }

export function allow(name: string, part: Partial<Policy> = {}): Policy {
  return {
    name,
    who: { groups: ['engineers'] },
    what: anything,
    length: { defaultMs: 60_000, mostMs: 3_600_000 },
    reason: 'optional',
    ticket: null,
    approval: { kind: 'none' },
    ...part,
  }
}

export function deny(name: string, part: Partial<Denial> = {}): Denial {
  return { kind: 'policy', name, who: null, what: anything, except: [], message: null, ...part }
}

export const networks = (...texts: string[]) => networksOf(texts)
export const condition = (text: string) => compileCondition(text)

export const officeHours: Weekly = {
  ...{ days: [1, 2, 3, 4, 5], fromMinute: 9 * 60, toMinute: 17 * 60, zone: 'Europe/Berlin' },
}

export const alice: PersonFacts = {
  email: 'Alice@example.com',
  name: 'Alice',
  groups: ['engineers'],
  claims: { department: ['data'], employer: [] },
}

/** `2026-11-23T10:00+01:00[Europe/Berlin]`, or in UTC. */
export function at(text: string): Instant {
  const zoned = text.includes('[') ? text : `${text}Z[UTC]`
  return Temporal.ZonedDateTime.from(zoned).epochMilliseconds as Instant
}

/** Monday, 10:00 in Berlin, from the office, for an hour. */
export function situation(part: Partial<Situation> = {}): Situation {
  return {
    person: alice,
    resource: { name: 'prod-db', kind: 'postgres', labels: { env: 'prod' } },
    role: 'readonly',
    at: at('2026-11-23T09:00'),
    client: { address: '10.1.2.3' },
    request: { lengthMs: 3_600_000, reason: 'look at orders', ticket: null },
    ...part,
  }
}
