import { expect, test } from 'vitest'
import { formatLasted } from '../../src/kernel/durations.ts'

test.each([
  [0, '0 s'],
  [300, '1 s'],
  [29_400, '29 s'],
  [59_600, '1 min'],
  [120_000, '2 min'],
  [120_040, '2 min'],
  [149_000, '2 min'],
  [150_000, '3 min'],
  [3_600_400, '1 h'],
  [90_061_000, '1 d 1 h'],
])('what lasted %i ms reads %s', (lengthMs, text) => {
  expect(formatLasted(lengthMs)).toBe(text)
})
