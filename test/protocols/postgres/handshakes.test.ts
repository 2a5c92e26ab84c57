// Goal: only who is known from lately goes the quick way, one at a time, and nobody who misbehaved.
// Method: the room itself, with a clock turned by hand.
import { expect, test } from 'vitest'
import { Handshakes } from '../../../src/protocols/postgres/handshakes.ts'
import { HandClock } from '../../clock.ts'

const [home, sameNet, away] = ['2001:db8::1', '2001:db8::2', '192.0.2.1']

function quickly(handshakes: Handshakes, address: string): boolean {
  using handshake = handshakes.begin(address)
  return handshake.quick
}

test('a network is known for half a day after somebody came in from it', () => {
  const clock = new HandClock()
  const handshakes = new Handshakes(clock)
  expect(quickly(handshakes, home)).toBe(false)
  handshakes.cameIn(home)
  expect([home, sameNet, away].map((address) => quickly(handshakes, address))).toEqual([true, true, false])
  clock.pass(12 * 3_600_000)
  expect(quickly(handshakes, home)).toBe(false)
})

test('one at a time goes the quick way', () => {
  const handshakes = new Handshakes(new HandClock())
  handshakes.cameIn(home)
  const first = handshakes.begin(home)
  handshakes.cameIn(home)
  expect([first.quick, quickly(handshakes, sameNet)]).toEqual([true, false])
  first[Symbol.dispose]()
  expect(quickly(handshakes, sameNet)).toBe(true)
})

test('who sends more than honest clients do is not known for as long', () => {
  const clock = new HandClock()
  const handshakes = new Handshakes(clock)
  handshakes.cameIn(home)
  handshakes.begin(home).took(4096)
  handshakes.cameIn(away)
  const long = handshakes.begin(away)
  long.took(100_000)
  long[Symbol.dispose]()
  handshakes.cameIn(away)
  expect(quickly(handshakes, away)).toBe(false)
  clock.pass(12 * 3_600_000)
  handshakes.cameIn(away)
  expect(quickly(handshakes, away)).toBe(true)
})

test('of many networks the latest are kept', () => {
  const handshakes = new Handshakes(new HandClock())
  for (let at = 0; at <= 10_000; at++) handshakes.cameIn(`10.0.${at >> 8}.${at & 255}`)
  expect(['10.0.0.0', '10.0.0.1', '10.0.39.16'].map((address) => quickly(handshakes, address))).toEqual([
    false,
    true,
    true,
  ])
})
