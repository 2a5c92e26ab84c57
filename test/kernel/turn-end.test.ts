// Goal: what is put off is done, once, in order, and soon: at the end of the turn, or with the 256th, or at once where nothing
// comes together. Method: turns of the real event loop, and what was done in each.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { TurnEnd } from '../../src/kernel/turn-end.ts'

let end: TurnEnd
let done: number[]
const say = (number: number) => end.do({ turnEnd: () => void done.push(number) })

beforeEach(() => {
  end = new TurnEnd()
  done = []
})

test('what comes in one turn is done at its end, in order', async () => {
  say(1)
  // Still the same turn.
  await Promise.resolve()
  say(2)
  say(3)
  expect(done).toEqual([])
  await nextTurn()
  expect(done).toEqual([1, 2, 3])
  await nextTurn()
  expect(done).toHaveLength(3)
})

test('what is put off at the end of a turn is done in the next', async () => {
  end.do({ turnEnd: () => say(2) })
  await nextTurn()
  expect(done).toEqual([])
  await nextTurn()
  expect(done).toEqual([2])
})

test('256 wait for no end', async () => {
  for (let number = 0; number < 256; number++) say(number)
  expect(done).toEqual([])
  await new Promise<void>((resolve) => process.nextTick(resolve))
  expect(done).toHaveLength(256)
  for (let number = 256; number < 300; number++) say(number)
  expect(done).toHaveLength(256)
  await nextTurn()
  expect(done).toEqual(Array.from({ length: 300 }, (_, number) => number))
})

test('after 16 turns with one alone nothing waits, until there are several in a turn again', async () => {
  for (let number = 0; number < 16; number++) {
    say(number)
    expect(done).toHaveLength(number)
    await nextTurn()
  }
  for (let number = 16; number < 40; number++) {
    say(number)
    expect(done).toHaveLength(number + 1)
    await nextTurn()
  }
  // One of 64 waits, to see whether another comes: here it does.
  for (let number = 40; number < 110; number++) say(number)
  expect(done.length).toBeLessThan(110)
  await nextTurn()
  expect(done).toEqual(Array.from({ length: 110 }, (_, number) => number))
  say(110)
  expect(done).toHaveLength(110)
  await nextTurn()
  expect(done).toHaveLength(111)
})
