import { expect, test } from 'vitest'
import { FreeSpace } from '../../src/recording/free-space.ts'
import { HandClock } from '../clock.ts'

// Goal: each question to a disk that hangs keeps a thread of the process; readiness asks every few seconds.
test('a disk that hangs is asked once, and nobody waits for it without end', async () => {
  const clock = new HandClock()
  const hung = Promise.withResolvers<number>()
  let asked = 0
  const space = new FreeSpace(clock, () => {
    asked++
    return hung.promise
  })
  for (let times = 0; times < 5; times++) {
    const waiting = space.bytes().catch((error: unknown) => error)
    clock.pass(6000)
    expect(await waiting).toMatchObject({ code: 'RECORDING_FAILED' })
  }
  expect(asked).toBe(1)
  hung.resolve(7)
  await hung.promise
  clock.pass(2000)
  expect(await space.bytes()).toBe(7)
  expect(asked).toBe(2)
})

test('what was known a moment ago is not asked for again; a failure is told, and forgotten', async () => {
  const clock = new HandClock()
  const answers = [Promise.resolve(1), Promise.reject(new Error('EIO')), Promise.resolve(3)]
  const space = new FreeSpace(clock, () => answers.shift()!)
  expect([await space.bytes(), await space.bytes()]).toEqual([1, 1])
  clock.pass(1001)
  await expect(space.bytes()).rejects.toMatchObject({ code: 'RECORDING_FAILED' })
  clock.pass(1001)
  expect(await space.bytes()).toBe(3)
  space.tell(2)
  expect(await space.bytes()).toBe(2)
})
