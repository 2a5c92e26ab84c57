import { expect, test } from 'vitest'
import { Sweeper } from '../../src/access/sweeper.ts'
import type { Log } from '../../src/kernel/log.ts'
import { silentLog } from '../recording/support.ts'

// Goal: a state that is lost for hours fills the log with nothing but what is new.
test('a sweep that fails is told once, and once more when it works again', async () => {
  const answers = [true, false, false, false, true, true, false]
  let sweeps = 0
  const said: string[] = []
  const say = (_: unknown, message: string) => void said.push(`${sweeps}: ${message}`)
  const log: Log = { ...silentLog, error: say, info: say }
  const sweep = () =>
    answers[sweeps++] === true ? Promise.resolve(0) : Promise.reject(new Error('the state is closed'))
  const sweeper = new Sweeper(sweep, log)
  for (const _ of answers) await sweeper.look()
  expect(said).toEqual([
    '2: sweep failed; trying again every second',
    '5: sweeps work again',
    '7: sweep failed; trying again every second',
  ])
})

test('there is one sweep at a time', async () => {
  const slow = Promise.withResolvers<number>()
  let sweeps = 0
  const sweeper = new Sweeper(() => (sweeps++, slow.promise), silentLog)
  const first = sweeper.look()
  await sweeper.look()
  expect(sweeps).toBe(1)
  slow.resolve(0)
  await first
  await sweeper.look()
  expect(sweeps).toBe(2)
})
