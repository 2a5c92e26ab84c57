import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { closing, opening } from '../../src/policy/opening.ts'
import type { Weekly } from '../../src/policy/rules.ts'
import { isInside, nextEdge } from '../../src/policy/times.ts'
import type { Instant } from '../../src/kernel/time.ts'
import { allow, at, condition, deny, officeHours, situation } from './rules.ts'

// The clocks change in Berlin on 29 March and 25 October 2026, in New York on 8 March and 1 November; Lord Howe goes by
// half an hour, on 5 April and 4 October.
const changes = [
  ['Europe/Berlin', '2026-03-29T01:00'],
  ['Europe/Berlin', '2026-10-25T01:00'],
  ['America/New_York', '2026-03-08T07:00'],
  ['America/New_York', '2026-11-01T06:00'],
  ['Australia/Lord_Howe', '2026-04-04T15:00'],
  ['Australia/Lord_Howe', '2026-10-03T15:30'],
] as const

const names = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

/** Reads the wall by another library than the code does: ICU's formatter. Each minute once, as that is slow. */
function wallOf(zone: string) {
  const format = new Intl.DateTimeFormat('en-GB', {
    ...({ timeZone: zone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const),
  })
  const seen = new Map<number, { day: number; minute: number }>()
  return (moment: number) => {
    const known = seen.get(moment)
    if (known !== undefined) return known
    const parts = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]))
    const wall = {
      day: names.indexOf(parts['weekday']!) + 1,
      minute: Number(parts['hour']) * 60 + Number(parts['minute']),
    }
    seen.set(moment, wall)
    return wall
  }
}

function naive({ days, fromMinute, toMinute }: Weekly, wall: ReturnType<typeof wallOf>) {
  const inDay = (one: number) => days.includes(one)
  return (moment: number): boolean => {
    const { day, minute } = wall(Math.floor(moment / 60_000) * 60_000)
    if (fromMinute < toMinute) return inDay(day) && minute >= fromMinute && minute < toMinute
    return (inDay(day) && minute >= fromMinute) || (inDay(day === 1 ? 7 : day - 1) && minute < toMinute)
  }
}

const windows = fc.record({
  days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
  // Most within the hours in which the clocks change.
  fromMinute: fc.oneof(fc.integer({ min: 0, max: 1439 }), fc.integer({ min: 60, max: 180 })),
  toMinute: fc.oneof(fc.integer({ min: 1, max: 1440 }), fc.integer({ min: 60, max: 180 })),
})

describe.each(changes)('around the change of the clocks in %s at %s UTC', (zone, change) => {
  const wall = wallOf(zone)
  const start = at(change) - 20 * 3_600_000
  const moments = Array.from({ length: 40 * 60 }, (_, minute) => (start + minute * 60_000) as Instant)

  test('windows are what a clock on the wall shows, minute by minute', () => {
    fc.assert(
      fc.property(windows, (window) => {
        const weekly = { ...window, zone }
        const oracle = naive(weekly, wall)
        for (const moment of moments) {
          if (isInside({ when: [weekly] }, moment) !== oracle(moment)) throw new Error(new Date(moment).toISOString())
        }
      }),
      { numRuns: 10 },
    )
  })

  test('nothing changes between edges', () => {
    fc.assert(
      fc.property(windows, fc.integer({ min: 0, max: 59 }), (window, second) => {
        const when = [{ ...window, zone }]
        const oracle = naive(when[0]!, wall)
        let edge = (start + second * 1000) as Instant
        while (edge < moments.at(-1)!) {
          const next = nextEdge({ when }, edge)!
          const inside = oracle(edge)
          for (let moment = Math.ceil(edge / 60_000) * 60_000; moment < next; moment += 60_000) {
            if (oracle(moment) !== inside) throw new Error(`changed at ${new Date(moment).toISOString()}`)
          }
          edge = next
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('edges', () => {
  const rules = { policies: [allow('office', { when: [officeHours] })] }
  const until = at('2026-12-24T00:00')

  test('the first instant is inside, the last outside', () => {
    const inside = (moment: number) => isInside({ when: [officeHours] }, moment as Instant)
    const [opens, closes] = [at('2026-11-23T08:00'), at('2026-11-23T16:00')]
    expect([opens - 1, opens, closes - 1, closes].map(inside)).toEqual([false, true, true, false])
  })

  test('a window over midnight belongs to the day on which it begins', () => {
    const night: Weekly = { days: [5], fromMinute: 22 * 60, toMinute: 6 * 60, zone: 'UTC' }
    const inside = (text: string) => isInside({ when: [night] }, at(text))
    expect(inside('2026-11-27T23:00')).toBe(true)
    expect(inside('2026-11-28T05:59')).toBe(true)
    expect(inside('2026-11-28T06:00')).toBe(false)
    expect(inside('2026-11-28T23:00')).toBe(false)
    expect(inside('2026-11-27T05:00')).toBe(false)
  })

  test('closing is found, and only where it closes', () => {
    const monday = at('2026-11-23T10:00')
    expect(closing(rules, situation(), monday, until).closesAt).toBe(at('2026-11-23T16:00'))
    expect(closing(rules, situation(), monday, at('2026-11-23T15:00')).closesAt).toBeNull()
    const lunch = { ...officeHours, toMinute: 13 * 60 }
    const afternoon = { ...officeHours, fromMinute: 13 * 60 }
    const both = { policies: [allow('p', { when: [lunch, afternoon] })] }
    expect(closing(both, situation(), monday, until).closesAt).toBe(at('2026-11-23T16:00'))
  })

  test('a freeze closes, unless the person is excepted', () => {
    const dates = { from: at('2026-11-23T12:00'), to: at('2026-11-24T12:00') }
    const freeze = (except: string[]) => ({
      policies: [allow('p')],
      denials: [deny('f', { kind: 'freeze', dates, except })],
    })
    const monday = at('2026-11-23T10:00')
    expect(closing(freeze([]), situation(), monday, until).closesAt).toBe(dates.from)
    expect(closing(freeze(['engineers']), situation(), monday, until).closesAt).toBeNull()
    expect(opening(freeze([]), situation(), dates.from)).toBe(dates.to)
  })

  test('conditions about the time close on the hour', () => {
    const policies = [allow('p', { condition: condition('time.hour("Asia/Kathmandu") < 17') })]
    // 17:00 in Kathmandu is 11:15 UTC.
    expect(closing({ policies }, situation(), at('2026-11-23T10:00'), until).closesAt).toBe(at('2026-11-23T11:15'))
    expect(opening({ policies }, situation(), at('2026-11-23T12:00'))).toBe(at('2026-11-23T18:15'))
  })

  test('it is not looked ahead for ever', () => {
    const policies = [allow('p', { condition: condition('time.hour("UTC") < 25') })]
    const monday = at('2026-11-23T10:00')
    const { closesAt, lookedUntil } = closing({ policies }, situation(), monday, at('2036-01-01T00:00'))
    expect([closesAt, lookedUntil]).toEqual([null, at('2026-12-01T10:00')])
  })
})

test('whatever was asked before, the next edge is the same', () => {
  const zone = fc.constantFrom('Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe')
  const weekly = fc.record({
    days: fc.subarray([1, 2, 3, 4, 5, 6, 7]),
    ...{ fromMinute: fc.integer({ min: 0, max: 1439 }), toMinute: fc.integer({ min: 1, max: 1440 }), zone },
  })
  // Around the changes of the clocks in autumn 2026.
  const instant = fc.integer({ min: Date.UTC(2026, 8, 25), max: Date.UTC(2026, 10, 10) }) as fc.Arbitrary<Instant>
  fc.assert(
    fc.property(
      fc.array(weekly, { minLength: 1, maxLength: 3 }),
      fc.array(instant, { maxLength: 20 }),
      (when, instants) => {
        const times = { when }
        for (const at of instants) expect(nextEdge(times, at)).toBe(nextEdge({ when }, at))
      },
    ),
  )
})
