// Goal: what is judged anew are the facts of then. Method: requests, attempts and grants as the state gives them, handed in.
import { expect, test } from 'vitest'
import { auditEvent, type AuditEvent } from '../../../src/audit/event.ts'
import { dryRun } from '../../../src/access/reports/dry-run.ts'
import type { RuleSet } from '../../../src/access/reports/differences.ts'
import type { KnownGrant, KnownRequest } from '../../../src/access/reports/reads.ts'
import type { Requested } from '../../../src/access/states.ts'
import type { Policy } from '../../../src/policy/rules.ts'
import { someGrant, somePerson, someRequest } from '../../contracts/samples.ts'
import { allow, at, networks, officeHours } from '../../policy/rules.ts'

const resources = [{ name: 'prod-db', kind: 'postgres', labels: {}, roles: ['readonly'] }]
const set = (...policies: Policy[]): RuleSet => ({ rules: { policies }, resources })
const person = somePerson({ groups: ['engineers'] })
const now = at('2026-11-23T12:00')

async function run(
  sets: { before: RuleSet; after: RuleSet },
  all: { requests?: Partial<Requested>[]; attempts?: AuditEvent[]; grants?: KnownGrant[] },
) {
  const requests = (all.requests ?? []).map((over): KnownRequest => ({ person, request: someRequest(person.id, over) }))
  const pages = async function* <Row>(rows: readonly Row[]) {
    for (const row of rows) yield [row]
  }
  const sources = { requests: pages(requests), attempts: pages(all.attempts ?? []), grants: pages(all.grants ?? []) }
  let breaths = 0
  const breathe = async () => void breaths++
  const result = await dryRun(sets, { ...sources, person: async () => person }, { days: 30, now, breathe })
  expect(breaths).toBe(requests.length + (all.attempts ?? []).length + (all.grants ?? []).length)
  return result
}

test('recurring hours are judged when they are first used, a later start when it comes', async () => {
  const weekdays = allow('x', {
    when: [officeHours],
    length: { defaultMs: 1, mostMs: 9 * 3_600_000 },
    grants: { clock: 'start', uses: 'many', unusedMs: null, totalMs: null, recurringMs: 30 * 86_400_000 },
  })
  const saturday = { askedAt: at('2026-11-21T12:00'), ticket: null }
  const asked = [
    { ...saturday, recurrence: { windows: [officeHours] }, lengthMs: 7 * 86_400_000 },
    { ...saturday, startsAt: at('2026-11-23T09:00') },
    saturday,
  ]
  const { counts, looked } = await run({ before: set(weekdays), after: set() }, { requests: asked })
  expect([looked.requests, counts['now-refused']]).toEqual([3, 2])
})

test('the address is the one that the gateway wrote behind the name of the program', async () => {
  const sets = { before: set(allow('x')), after: set(allow('x', { networks: networks('10.0.0.0/8') })) }
  const from = (origin: string) => ({ origin, ticket: null })
  const origins = ['psql at 10.1.1.1', 'psql at 10.1.1.1 at 203.0.113.9', 'psql', 'x at nowhere']
  const { differences } = await run(sets, { requests: origins.map(from) })
  expect(differences).toHaveLength(1)
  expect(differences[0]).toMatchObject({
    what: 'request',
    person: person.email,
    after: expect.stringContaining('network'),
  })
})

test('the same attempt again and again is one difference; one that says nothing of what is none', async () => {
  const refused = (role: string | null) =>
    auditEvent('request.refused', now, { id: person.id, name: 'x' }, { resource: 'prod-db', role, code: 'NOT_ALLOWED' })
  const attempts = [refused('readonly'), refused('readonly'), refused('root'), refused(null)]
  const result = await run({ before: set(), after: set(allow('x')) }, { attempts })
  expect(result.looked.attempts).toBe(3)
  expect(result.differences).toMatchObject([{ what: 'attempt', role: 'readonly', kinds: ['now-allowed'] }])
  expect(result.reach).toEqual({ gained: ['engineers: prod-db as readonly, takes nobody, at most 1 h'], lost: [] })
})

test('differences are counted beyond those that are listed', async () => {
  const requests = Array.from({ length: 1100 }, () => ({ ticket: null }))
  const { differences, counts, isCut } = await run({ before: set(allow('x')), after: set() }, { requests })
  expect([differences.length, counts['now-refused'], isCut]).toEqual([1000, 1100, true])
})

test('living access is judged by the policy that gave it', async () => {
  const request = someRequest(person.id, { policy: 'x' })
  const grants = [{ grant: someGrant(request), person, request, approvedBy: [], lastUsedAt: null }]
  const gone = await run({ before: set(allow('x')), after: set() }, { grants })
  expect(gone.differences).toMatchObject([{ what: 'grant', id: grants[0]!.grant.id, kinds: ['grant-stopped'] }])
  const renamed = await run({ before: set(allow('x')), after: set(allow('y')) }, { grants })
  expect(renamed.differences).toEqual([])
})
