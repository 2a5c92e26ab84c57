import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Approved, Grant, Request, Requested } from '../../src/access/states.ts'
import {
  approve,
  cancel,
  deny,
  expectLiving,
  expectOpen,
  grantFrom,
  handBack,
  revoke,
  settleGrant,
  settleRequest,
} from '../../src/access/transitions.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { codeOf } from '../fault-code.ts'
import { stepOf } from '../../src/policy/approval.ts'
import { plainRequest } from '../contracts/samples.ts'

const instants = fc.integer({ min: 0, max: 2 ** 45 }).map((ms) => ms as Instant)
const lengths = fc.integer({ min: 1, max: 90 * 86_400_000 })

const requests: fc.Arbitrary<Requested> = fc
  .record({
    askedAt: instants,
    openMs: lengths,
    lengthMs: lengths,
    startsAt: fc.option(instants, { nil: null }),
  })
  .map(({ askedAt, openMs, lengthMs, startsAt }) => ({
    state: 'requested',
    id: 'request-a',
    person: 'person-a',
    resource: 'prod-db',
    role: 'readonly',
    lengthMs,
    reason: 'why',
    ticket: null,
    startsAt,
    policy: 'p',
    approval: { kind: 'people', steps: [stepOf(1, ['approvers'])] },
    origin: 'test',
    askedAt,
    lapsesAt: (askedAt + openMs) as Instant,
    ...plainRequest,
    stepSince: askedAt,
  }))

describe('a request', () => {
  test('lapses exactly at lapsesAt', () => {
    fc.assert(
      fc.property(requests, (request) => {
        expect(settleRequest(request, (request.lapsesAt - 1) as Instant)).toBe(request)
        expect(settleRequest(request, request.lapsesAt)).toMatchObject({ state: 'lapsed', closedAt: request.lapsesAt })
      }),
    )
  })

  test('once closed opens for nobody', () => {
    fc.assert(
      fc.property(requests, instants, fc.constantFrom(approve, deny, cancel), (request, at, step) => {
        const closed: Request = step(request, at)
        expect(codeOf(() => expectOpen(closed, at))).toBe('REQUEST_CLOSED')
      }),
    )
  })

  test('can be decided until it lapses, and not from then on', () => {
    fc.assert(
      fc.property(requests, instants, (request, now) => {
        const expected = now < request.lapsesAt ? undefined : 'REQUEST_LAPSED'
        expect(codeOf(() => expectOpen(request, now))).toBe(expected)
      }),
    )
  })
})

describe('a grant', () => {
  const approved = requests.map((request): Approved => approve(request, request.askedAt))

  test('starts at approval or when it was asked for, whichever is later, and lasts as long as asked', () => {
    fc.assert(
      fc.property(approved, instants, (request, now) => {
        const grant = grantFrom(request, 'grant-a', now)
        expect(grant.startsAt).toBe(Math.max(now, request.startsAt ?? 0))
        expect(grant.expiresAt - grant.startsAt).toBe(request.lengthMs)
        expect(grant.state).toBe(grant.startsAt > now ? 'scheduled' : 'active')
      }),
    )
  })

  test('is active from its first instant to the one before its end', () => {
    fc.assert(
      fc.property(approved, instants, instants, (request, given, now) => {
        const state = settleGrant(grantFrom(request, 'grant-a', given), now).state
        const begun = grantFrom(request, 'grant-a', given)
        expect(settleGrant(begun, begun.expiresAt).state).toBe('expired')
        expect(settleGrant(begun, (begun.expiresAt - 1) as Instant).state).toBe('active')
        if (now >= begun.expiresAt) expect(state).toBe('expired')
        else if (now >= begun.startsAt) expect(state).toBe('active')
        else expect(state).toBe(begun.state)
      }),
    )
  })

  test('never lives again: every end is final', () => {
    fc.assert(
      fc.property(
        approved,
        instants,
        instants,
        fc.constantFrom('revoke', 'hand back', 'expire'),
        (request, given, now, how) => {
          const living = grantFrom(request, 'grant-a', given)
          const over: Grant =
            how === 'revoke'
              ? revoke(living, 'person-b', '', now)
              : how === 'hand back'
                ? handBack(living, now)
                : settleGrant(living, living.expiresAt)
          expect(codeOf(() => expectLiving(over, now))).toBe('GRANT_IN_WRONG_STATE')
        },
      ),
    )
  })

  test('settling is idempotent and only moves forward', () => {
    fc.assert(
      fc.property(approved, instants, instants, instants, (request, given, first, second) => {
        const [early, late] = [Math.min(first, second), Math.max(first, second)] as [Instant, Instant]
        const once = settleGrant(grantFrom(request, 'grant-a', given), early)
        if (once.state === 'expired') return
        expect(settleGrant(once, early)).toEqual(once)
        const order = { scheduled: 0, active: 1, expired: 2 }
        expect(order[settleGrant(once, late).state]).toBeGreaterThanOrEqual(order[once.state])
      }),
    )
  })
})
