// Goal: what the state says of a story is held against what the audit log tells, also where a grant ended in a rare way.
import { expect, test } from 'vitest'
import { auditEvent, theGateway } from '../../src/audit/event.ts'
import { compareWithLog, LogSaid } from '../../src/evidence/compare.ts'
import type { Facts } from '../../src/evidence/facts.ts'
import type { BundleManifest } from '../../src/evidence/manifest.ts'
import type { Instant } from '../../src/kernel/time.ts'

const at = Date.parse('2026-11-22T12:00:00Z') as Instant
const what = { resource: 'prod-db', role: 'readonly' }
const asked = { lengthMs: 60_000, reason: 'why', ticket: null }
const alice = { id: 'person-alice', name: 'Alice' } as const
const manifest = { madeAt: '2026-11-22T13:00:00Z' } as BundleManifest

const facts = (more: Partial<Facts>): Facts => ({
  request: { id: 'request-a', state: 'approved', person: alice.id, ...what, ...asked },
  ...{ extensions: [], decisions: [], grant: null, sessions: [], ...more },
})

function log(...more: ReturnType<typeof auditEvent>[]): LogSaid {
  const said = new LogSaid()
  const always = [
    auditEvent('request.opened', at, alice, { request: 'request-a', ...what, ...asked }),
    auditEvent('request.approved', at, theGateway, { request: 'request-a', ...what, requester: alice.id }),
  ]
  for (const [index, event] of [...always, ...more].entries()) {
    said.take({ sequence: index + 1, json: JSON.stringify(event), previous: '', hash: '' })
  }
  return said
}

test('what was for one session, and is over with it, agrees', () => {
  const data = { grant: 'grant-a', request: 'request-a', holder: alice.id, ...what }
  const started = auditEvent('grant.started', at, theGateway, data)
  const grant = { id: 'grant-a', request: 'request-a', state: 'expired', person: alice.id, ...what }
  expect(compareWithLog(facts({ grant }), log(started), manifest)).toContain('grant-a is expired')
  for (const type of ['grant.expired', 'grant.used-up'] as const) {
    expect(compareWithLog(facts({ grant }), log(started, auditEvent(type, at, theGateway, data)), manifest)).toBeNull()
  }
})

test('a machine has what somebody asked for it', () => {
  const [holder] = ['person-machine']
  const opened = auditEvent('request.opened', at, alice, { request: 'request-a', holder, ...what, ...asked })
  const request = { ...facts({}).request, person: holder }
  expect(compareWithLog(facts({ request }), log(opened), manifest)).toBeNull()
  expect(compareWithLog(facts({}), log(opened), manifest)).toContain('another person')
})

test('a decision that was left out is missed, unless it came while the bundle was made', () => {
  const refusal = (then: Instant) =>
    auditEvent('request.refusal-given', then, alice, { request: 'request-a', ...what, decision: 'decision-a' })
  expect(compareWithLog(facts({}), log(refusal(at)), manifest)).toContain(
    'decision-a, which is not among the decisions',
  )
  expect(compareWithLog(facts({}), log(refusal(Date.parse(manifest.madeAt) as Instant)), manifest)).toBeNull()
})
