import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { endOfTime, grantLife, isUsedUp, lastsUntil } from '../../src/access/grant-life.ts'
import type { Active } from '../../src/access/states.ts'
import { extend, settleGrant, useFirst, useUp } from '../../src/access/transitions.ts'
import { later, type Instant } from '../../src/kernel/time.ts'
import type { Policy, Weekly } from '../../src/policy/rules.ts'
import { isInside } from '../../src/policy/times.ts'
import { codeOf } from '../fault-code.ts'

const hourMs = 3_600_000
const startsAt = Date.UTC(2026, 10, 22, 20) as Instant // a Sunday evening
const lengths = fc.integer({ min: 1000, max: 90 * 86_400_000 })
const windows: readonly Weekly[] = [{ days: [1, 2, 3, 4, 5], fromMinute: 540, toMinute: 1020, zone: 'UTC' }]

type Options = NonNullable<Policy['grants']>
const options: fc.Arbitrary<Options> = fc.record({
  clock: fc.constantFrom('start', 'first-use'),
  uses: fc.constantFrom('many', 'once'),
  unusedMs: fc.option(lengths, { nil: null }),
  totalMs: fc.constant(null),
  recurringMs: fc.constant(null),
})

function grant(given: Options, lengthMs: number, recurring = false): Active {
  const recurrence = recurring ? { windows } : null
  return {
    ...{
      state: 'active',
      id: 'grant-a',
      request: 'request-a',
      person: 'person-a',
      resource: 'r',
      role: 'x',
      policy: 'p',
    },
    ...{ startsAt, databases: null, networks: null },
    ...grantLife({ lengthMs, recurrence }, startsAt, { grants: given }),
  }
}

describe('a grant', () => {
  test('never lasts longer than what was given, counted from when its clock starts', () => {
    fc.assert(
      fc.property(options, lengths, fc.nat(40 * 86_400_000), (given, lengthMs, afterMs) => {
        const fresh = grant(given, lengthMs)
        const at = later(startsAt, afterMs)
        if (at >= endOfTime(fresh)) {
          expect(settleGrant(fresh, at).state).toBe('expired')
          expect(codeOf(() => useFirst(fresh, at))).toBe('GRANT_IN_WRONG_STATE')
          return
        }
        expect(settleGrant(fresh, at)).toBe(fresh)
        const used = useFirst(fresh, at)
        expect(used.expiresAt).toBe(later(given.clock === 'first-use' ? at : startsAt, lengthMs))
        expect(used.expiresAt).toBe(lastsUntil(fresh, at))
        // Used once, it is not started again, and not unused any more.
        expect(useFirst(used, later(at, 1))).toBe(used)
        expect(endOfTime(used)).toBe(used.expiresAt)
        expect(isUsedUp(used)).toBe(given.uses === 'once')
      }),
    )
  })

  test('that nobody used in time is over, and says so', () => {
    fc.assert(
      fc.property(options, lengths, (given, lengthMs) => {
        const fresh = grant(given, lengthMs)
        const over = settleGrant(fresh, endOfTime(fresh))
        const isLate = given.clock === 'first-use' || (given.unusedMs !== null && given.unusedMs < lengthMs)
        expect(over).toMatchObject({
          ...{ state: 'expired', endedAt: endOfTime(fresh) },
          comment: isLate ? 'It was not used in time.' : null,
        })
      }),
    )
  })

  test('whose clock waits for its first use is over after a day, where nobody says otherwise', () => {
    const given = { clock: 'first-use', uses: 'many', unusedMs: null, totalMs: null, recurringMs: null } as const
    expect(grant(given, hourMs)).toMatchObject({
      useBy: later(startsAt, 24 * hourMs),
      expiresAt: later(startsAt, 24 * hourMs),
    })
  })

  test('for recurring hours lasts from its start, and is unused only once its first hours came', () => {
    const given = { clock: 'first-use', uses: 'many', unusedMs: hourMs, totalMs: null, recurringMs: null } as const
    const stretchMs = 14 * 24 * hourMs
    expect(grant(given, stretchMs, true)).toMatchObject({
      ...{ clock: 'start', windows, expiresAt: later(startsAt, stretchMs) },
      useBy: Date.UTC(2026, 10, 23, 10),
    })
    expect(isInside({ when: windows }, Date.UTC(2026, 10, 23, 9) as Instant)).toBe(true)
  })

  test('is extended from its end, by exactly as much', () => {
    fc.assert(
      fc.property(options, lengths, lengths, (given, lengthMs, moreMs) => {
        const used = useFirst(grant({ ...given, unusedMs: null }, lengthMs), startsAt)
        const extended = extend(used, moreMs)
        expect(extended.expiresAt - used.expiresAt).toBe(moreMs)
        expect(extended.expiresAt).toBe(later(startsAt, extended.lengthMs))
        expect(settleGrant(extended, used.expiresAt)).toBe(extended)
      }),
    )
  })

  test('for one session is over with it', () => {
    const used = useFirst(
      grant({ clock: 'start', uses: 'once', unusedMs: null, totalMs: null, recurringMs: null }, hourMs),
      startsAt,
    )
    expect(useUp(used, later(startsAt, 5))).toMatchObject({
      ...{ state: 'expired', endedAt: startsAt + 5, comment: 'It was for one session, and that is over.' },
    })
  })
})
