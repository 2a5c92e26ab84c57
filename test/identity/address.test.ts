// Goal: who owns an IPv6 network of 2^64 addresses is counted as one; every spelling of an address is of one network.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { networkOf } from '../../src/identity/address.ts'
import { FailureLimit } from '../../src/identity/failure-limit.ts'
import { createLobby } from '../../src/protocols/lobby.ts'
import { silent } from '../access/world.ts'
import { HandClock } from '../clock.ts'

test.each([
  ['203.0.113.9', '203.0.113.9'],
  ['2001:db8:0:1::7', '2001:db8:0:1::/64'],
  ['2001:DB8::1:0:0:0:7', '2001:db8:0:1::/64'],
  ['2001:0db8:0000:0001:ffff:ffff:ffff:ffff', '2001:db8:0:1::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['person-1', 'person-1'],
  ['', ''],
])('%s is of %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})

test('the first half decides', () => {
  const group = fc.integer({ min: 0, max: 0xffff }).map((number) => number.toString(16))
  const half = fc.tuple(group, group, group, group)
  fc.assert(
    fc.property(half, half, half, (first, left, right) => {
      const network = networkOf([...first, ...left].join(':'))
      expect(network).toBe(`${first.join(':')}::/64`)
      expect(networkOf([...first, ...right].join(':'))).toBe(network)
    }),
  )
})

test('addresses of one network fill the lobby together', () => {
  const lobby = createLobby({ unauthenticatedPerAddressMax: 2, unauthenticatedMax: 10 }, silent)
  const first = lobby.enter('2001:db8::1', 'ssh')
  lobby.enter('2001:db8::2', 'ssh')
  expect(() => lobby.enter('2001:db8::3', 'ssh')).toThrow('Too many connections')
  lobby.enter('2001:db8:0:1::1', 'ssh')
  first[Symbol.dispose]()
  lobby.enter('2001:db8::3', 'ssh')
})

test('their failures count together', () => {
  const limit = new FailureLimit(new HandClock(), 2, 60_000)
  for (const last of [1, 2]) limit.count(`2001:db8::${last}`)
  expect(limit.reached('2001:db8::3')).toBe(true)
  expect(limit.reached('2001:db8:0:1::3')).toBe(false)
})
