import fc from 'fast-check'
import { expect, test } from 'vitest'
import { later, type Instant } from '../../src/kernel/time.ts'
import { clockText, longestMinutes, readClock, readDays, readHours } from '../../src/policy/recurrence.ts'
import { isInside } from '../../src/policy/times.ts'

const minuteMs = 60_000
const windows = fc.array(
  fc
    .record({
      days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      fromMinute: fc.integer({ min: 0, max: 95 }).map((quarter) => quarter * 15),
      toMinute: fc.integer({ min: 1, max: 96 }).map((quarter) => quarter * 15),
      zone: fc.constant('UTC'),
    })
    .filter(({ fromMinute, toMinute }) => fromMinute !== toMinute),
  { minLength: 1, maxLength: 4 },
)

// Goal: the longest time at once is what somebody would really have. Method: walk three weeks in quarters of an hour.
test('the longest time at once is what the clock on the wall gives', () => {
  fc.assert(
    fc.property(windows, (when) => {
      const start = Date.UTC(2026, 10, 2) as Instant
      let [longest, run] = [0, 0]
      for (let quarter = 0; quarter < 3 * 7 * 96; quarter++) {
        run = isInside({ when }, later(start, quarter * 15 * minuteMs)) ? run + 15 : 0
        longest = Math.max(longest, run)
      }
      const weekMinutes = 7 * 1440
      expect(Math.min(longestMinutes(when), weekMinutes)).toBe(Math.min(longest, weekMinutes))
    }),
    { numRuns: 60 },
  )
})

test('days and hours are read as people write them', () => {
  expect(readDays('weekdays')).toEqual([1, 2, 3, 4, 5])
  expect(readDays('Mon, wed,mon')).toEqual([1, 3])
  expect(readDays('weekend fri')).toEqual([5, 6, 7])
  for (const text of ['', 'someday', 'mon;tue']) expect(readDays(text)).toBeUndefined()
  expect(readHours('09:00-17:30')).toEqual({ fromMinute: 540, toMinute: 1050 })
  expect(readHours('22:00 - 06:00')).toEqual({ fromMinute: 1320, toMinute: 360 })
  expect(readHours('00:00-24:00')).toEqual({ fromMinute: 0, toMinute: 1440 })
  for (const text of ['9-17', '09:00', '24:00-06:00', '09:60-10:00', '09:00-25:00'])
    expect(readHours(text)).toBeUndefined()
  fc.assert(fc.property(fc.integer({ min: 0, max: 1440 }), (minute) => readClock(clockText(minute)) === minute))
})
