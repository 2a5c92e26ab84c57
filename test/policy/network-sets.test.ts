import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isIn, networksOf } from '../../src/policy/networks.ts'
import { commonNetworks, plainNetwork } from '../../src/policy/network-sets.ts'

const v4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`)
// near one another, so that some hold others
const near4 = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 6, max: 32 }))
  .map(([second, last, bits]) => `10.${second}.0.${last}/${bits}`)
const v6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([address, bits]) => `${address}/${bits}`)
const near6 = fc
  .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 30, max: 128 }))
  .map(([group, bits]) => `2001:db8:${group}::${group}/${bits}`)
const networks = fc.array(
  fc.oneof(near4, near6, v4, v6).filter((text) => plainNetwork(text) !== undefined),
  { minLength: 1, maxLength: 6 },
)
const addresses = fc.oneof(
  fc.ipV4(),
  near4.map((text) => text.split('/')[0]!),
  near6.map((text) => text.split('/')[0]!),
)

test('one spelling for each network, and it holds the same addresses', () => {
  fc.assert(
    fc.property(networks, addresses, ([text = ''], address) => {
      const plain = plainNetwork(text)!
      expect(plainNetwork(plain)).toBe(plain)
      expect(isIn(networksOf([plain]), address)).toBe(isIn(networksOf([text]), address))
    }),
  )
})

test('what is common is in both, whatever the order', () => {
  fc.assert(
    fc.property(networks, networks, addresses, (left, right, address) => {
      const both = commonNetworks(left, right)
      expect(commonNetworks(right, left)).toEqual(both)
      expect(commonNetworks(both, both)).toEqual(both)
      const isInAny = (texts: readonly string[]) => isIn(networksOf(texts), address)
      expect(isInAny(both)).toBe(isInAny(left) && isInAny(right))
    }),
  )
})

test('examples', () => {
  expect(plainNetwork('10.1.2.3/8')).toBe('10.0.0.0/8')
  expect(plainNetwork('192.0.2.7/32')).toBe('192.0.2.7')
  expect(plainNetwork('2001:DB8:0:0:0:0:0:1')).toBe('2001:db8::1')
  expect(plainNetwork('2001:db8::ffff:1/48')).toBe('2001:db8::/48')
  expect(plainNetwork('::ffff:192.0.2.7')).toBe('192.0.2.7')
  for (const text of ['', 'x', '10.0.0.0/33', '::ffff:10.0.0.0/104', 'fe80::1%eth0', '1.2.3']) {
    expect(plainNetwork(text)).toBeUndefined()
  }
  expect(commonNetworks(['10.0.0.0/8', '10.1.0.0/16'], ['10.1.2.0/24', '192.0.2.0/24'])).toEqual(['10.1.2.0/24'])
  expect(commonNetworks(['10.0.0.0/8'], ['192.0.2.0/24'])).toEqual([])
})
