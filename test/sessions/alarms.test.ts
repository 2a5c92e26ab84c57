import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Alarms, type Sleeper } from '../../src/sessions/alarms.ts'
import { HandClock } from '../clock.ts'

class Woken implements Sleeper {
  wakesAtMs = 0
  place = -1
  readonly at: number[] = []
  readonly #clock: HandClock
  readonly #then: () => void

  constructor(clock: HandClock, then: () => void = () => undefined) {
    this.#clock = clock
    this.#then = then
  }

  wake(): void {
    this.at.push(this.#clock.monotonicMs())
    this.#then()
  }
}

const step = fc.record({
  who: fc.nat({ max: 19 }),
  delayMs: fc.option(fc.integer({ min: 1, max: 50 })),
  passMs: fc.nat({ max: 10 }),
})

test('each is woken once, at its instant, whatever was set, moved and called off meanwhile', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const clock = new HandClock()
      const alarms = new Alarms(clock)
      const sleepers = Array.from({ length: 20 }, () => new Woken(clock))
      const expected = sleepers.map(() => [] as number[])
      const due = new Map<number, number>()
      const pass = (lengthMs: number) => {
        clock.pass(lengthMs)
        for (const [who, atMs] of due) {
          if (atMs > clock.monotonicMs()) continue
          expected[who]!.push(atMs)
          due.delete(who)
        }
      }
      for (const { who, delayMs, passMs } of steps) {
        if (delayMs === null) {
          alarms.cancel(sleepers[who]!)
          due.delete(who)
        } else {
          alarms.set(sleepers[who]!, delayMs)
          due.set(who, clock.monotonicMs() + delayMs)
        }
        expect(clock.timers).toBe(due.size === 0 ? 0 : 1)
        pass(passMs)
      }
      pass(100)
      expect(sleepers.map(({ at }) => at)).toEqual(expected)
      expect(clock.timers).toBe(0)
    }),
  )
})

test('one that is woken may set itself again, and call off those of the same instant', () => {
  const clock = new HandClock()
  const alarms = new Alarms(clock)
  const other = new Woken(clock)
  const first: Woken = new Woken(clock, () => {
    alarms.cancel(other)
    if (first.at.length < 3) alarms.set(first, 10)
  })
  alarms.set(first, 10)
  alarms.set(other, 10)
  clock.pass(100)
  expect([first.at, other.at]).toEqual([[10, 20, 30], []])
})

test('what one throws keeps no other from being woken', () => {
  const clock = new HandClock()
  const alarms = new Alarms(clock)
  const other = new Woken(clock)
  const bad = new Woken(clock, () => {
    throw new Error('a bug')
  })
  alarms.set(bad, 10)
  alarms.set(other, 10)
  expect(() => clock.pass(20)).toThrow('a bug')
  clock.pass(20)
  expect(other.at).toHaveLength(1)
})
