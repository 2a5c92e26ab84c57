import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/system.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const dayMs = 86_400_000

test('a timer of many days comes when it should, and not at once', () => {
  const task = vi.fn()
  systemClock.after(60 * dayMs, task)
  vi.advanceTimersByTime(60 * dayMs - 1)
  expect(task).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(task).toHaveBeenCalledOnce()
})

test('it can be called off in any of its pieces', () => {
  const task = vi.fn()
  const timer = systemClock.after(60 * dayMs, task)
  vi.advanceTimersByTime(59 * dayMs)
  timer.cancel()
  vi.advanceTimersByTime(10 * dayMs)
  expect(task).not.toHaveBeenCalled()
})
