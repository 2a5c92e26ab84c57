import { expect, test } from 'vitest'
import { createCancelKeys } from '../../../src/protocols/postgres/cancel-keys.ts'
import { HandClock } from '../../clock.ts'

const [right, wrong] = [Buffer.from([1, 2, 3, 4]), Buffer.from([1, 2, 3, 5])]

function withKey(processId = 7, secret: Buffer = right) {
  const clock = new HandClock()
  const keys = createCancelKeys({ clock })
  const cancelled: string[] = []
  const key = keys.add({ processId, secret, cancel: async (address) => void cancelled.push(address) })
  return { clock, keys, cancelled, key }
}

test('only the right key of a live session is passed on', async () => {
  const { keys, cancelled, key } = withKey()
  expect(await keys.request(7, wrong, 'a')).toBe('no-match')
  expect(await keys.request(8, right, 'a')).toBe('no-match')
  expect(await keys.request(7, right.subarray(0, 3), 'a')).toBe('no-match')
  expect(await keys.request(7, right, 'a')).toBe('passed-on')
  key[Symbol.dispose]()
  expect(await keys.request(7, right, 'a')).toBe('no-match')
  expect(cancelled).toEqual(['a'])
})

test('two targets may have the same process number', async () => {
  const { keys, cancelled } = withKey()
  const others: string[] = []
  const other = keys.add({ processId: 7, secret: wrong, cancel: async (address) => void others.push(address) })
  await keys.request(7, wrong, 'b')
  other[Symbol.dispose]()
  await keys.request(7, right, 'c')
  expect({ cancelled, others }).toEqual({ cancelled: ['c'], others: ['b'] })
})

test('guessing is slowed down, by address, for a minute', async () => {
  const { keys, clock } = withKey()
  for (let guess = 0; guess < 30; guess++) expect(await keys.request(7, wrong, 'guesser')).toBe('no-match')
  expect(await keys.request(7, right, 'guesser')).toBe('too-many')
  expect(await keys.request(7, right, 'other')).toBe('passed-on')
  clock.pass(60_001)
  expect(await keys.request(7, right, 'guesser')).toBe('passed-on')
})

test('whoever has many IPv6 addresses guesses no more often, and takes no guesses from others', async () => {
  const { keys } = withKey()
  for (let guess = 0; guess < 30; guess++) await keys.request(7, wrong, `2001:db8:1:2::${guess.toString(16)}`)
  expect(await keys.request(7, right, '2001:db8:1:2:ffff::1')).toBe('too-many')
  expect(await keys.request(7, right, '2001:db8:1:3::1')).toBe('passed-on')
})

test('a key that nobody can guess cancels, however much is guessed from there or from everywhere', async () => {
  const long = Buffer.alloc(32, 7)
  const { keys } = withKey(7, long)
  for (let guess = 0; guess < 30; guess++) await keys.request(7, wrong, 'shared')
  expect(await keys.request(7, Buffer.alloc(32, 8), 'shared')).toBe('too-many')
  expect(await keys.request(7, long, 'shared')).toBe('passed-on')
  for (let network = 0; network < 10_000; network++) await keys.request(7, wrong, `from ${network}`)
  expect(await keys.request(7, right, 'new')).toBe('too-many')
  expect(await keys.request(7, long, 'new')).toBe('passed-on')
})

test('one session is not cancelled more than 20 times a second', async () => {
  const { keys, clock, cancelled } = withKey()
  clock.pass(5000)
  for (let count = 0; count < 25; count++) await keys.request(7, right, 'a')
  expect(cancelled.length).toBe(20)
  clock.pass(1001)
  expect(await keys.request(7, right, 'a')).toBe('passed-on')
})
