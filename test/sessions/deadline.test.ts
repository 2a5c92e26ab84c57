import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { later } from '../../src/kernel/time.ts'
import { Alarms } from '../../src/sessions/alarms.ts'
import { Deadline } from '../../src/sessions/deadline.ts'
import { HandClock } from '../clock.ts'

function start(clock: HandClock, lengthMs: number, warnBeforeMs: readonly number[] = []) {
  const heard = { ends: [] as number[], warnings: [] as [number, number][] }
  const deadline = new Deadline({ clock, alarms: new Alarms(clock), warnBeforeMs }, later(clock.now(), lengthMs), {
    deadlineCame: () => heard.ends.push(clock.now()),
    deadlineNear: (leftMs) => heard.warnings.push([leftMs, clock.now()]),
  })
  return { deadline, heard }
}

describe('the deadline of a session', () => {
  test('comes once, never before its instant, whatever the length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 * 86_400_000 }), (lengthMs) => {
        const clock = new HandClock()
        const { deadline, heard } = start(clock, lengthMs)
        clock.pass(lengthMs - 1)
        expect(heard.ends).toEqual([])
        clock.pass(2)
        expect(heard.ends).toEqual([deadline.instant.value])
        clock.pass(100_000)
        expect(heard.ends).toHaveLength(1)
        expect(clock.timers).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  test('comes at once when the machine wakes after it', () => {
    const clock = new HandClock()
    const { heard } = start(clock, 3_600_000)
    clock.jump(4_000_000)
    clock.pass(30_000)
    expect(heard.ends).toHaveLength(1)
  })

  test('comes without waiting for the end of a piece when it is told of a jump', () => {
    const clock = new HandClock()
    const { deadline, heard } = start(clock, 3_600_000)
    clock.pass(1000)
    clock.jump(4_000_000)
    deadline.lookAgain()
    expect(heard.ends).toHaveLength(1)
  })

  test('is not put off by setting the wall clock back', () => {
    const clock = new HandClock()
    const { heard } = start(clock, 60_000)
    clock.jump(-3_600_000)
    clock.pass(60_000)
    expect(heard.ends).toHaveLength(1)
  })

  test('waits for a wall clock that is being slewed', () => {
    const clock = new HandClock()
    const { deadline, heard } = start(clock, 60_000)
    clock.jump(-40)
    clock.pass(60_000)
    expect(heard.ends).toEqual([])
    clock.pass(40)
    expect(heard.ends).toEqual([deadline.instant.value])
  })

  test('moves with an extension, and the session lives on', () => {
    const clock = new HandClock()
    const { deadline, heard } = start(clock, 60_000)
    clock.pass(59_000)
    deadline.move(later(deadline.instant.value, 60_000))
    clock.pass(60_000)
    expect(heard.ends).toEqual([])
    clock.pass(1_000)
    expect(heard.ends).toHaveLength(1)
  })

  test('warns ahead, each time once, and not for times that lie behind', () => {
    const clock = new HandClock()
    const { deadline, heard } = start(clock, 120_000, [300_000, 60_000, 10_000])
    clock.pass(120_000)
    expect(heard.warnings).toEqual([
      [60_000, deadline.instant.value - 60_000],
      [10_000, deadline.instant.value - 10_000],
    ])
  })

  test('warns by what is left, also after the machine slept', () => {
    const clock = new HandClock()
    const { deadline, heard } = start(clock, 3_600_000, [300_000, 60_000])
    clock.pass(600_000)
    clock.jump(2_880_000)
    deadline.lookAgain()
    expect(heard.warnings).toEqual([[120_000, clock.now()]])
    clock.pass(120_000)
    expect(heard.warnings.slice(1)).toEqual([[60_000, deadline.instant.value - 60_000]])
    expect(heard.ends).toEqual([deadline.instant.value])
  })

  test('of the past comes at once, but not within the step that made it', () => {
    const clock = new HandClock()
    const { heard } = start(clock, -5)
    expect(heard.ends).toEqual([])
    clock.pass(1)
    expect(heard.ends).toHaveLength(1)
  })

  test('leaves no timer behind when the session ends first', () => {
    const clock = new HandClock()
    const { deadline, heard } = start(clock, 120_000, [60_000])
    deadline.stop()
    expect(clock.timers).toBe(0)
    clock.pass(200_000)
    expect(heard).toEqual({ ends: [], warnings: [] })
  })

  test('is found by the sweeper only when its timer never came', () => {
    const clock = new HandClock()
    const { deadline } = start(clock, 10_000)
    expect(deadline.missed(1000)).toBe(false)
    clock.jump(20_000)
    expect(deadline.missed(1000)).toBe(true)
    clock.pass(10_000)
    expect(deadline.missed(1000)).toBe(false)
  })
})
