import { BlockList, isIP, isIPv4 } from 'node:net'
import { networkOf, plainAddress } from '../identity/address.ts'
import type { Networks } from './rules.ts'

const mappedBits = 96
// A list takes every IPv4 address for one of these, and so for one in `::/0`: hence one for each family.
const mapped = new BlockList()
mapped.addSubnet('::ffff:0:0', mappedBits, 'ipv6')

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export function readNetwork(text: string): { readonly address: string; readonly bits: number } | undefined {
  const [, address = '', length] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = isIP(address)
  if (family === 0 || address.includes('%')) return undefined
  const bitsMax = family === 4 ? 32 : 128
  const bits = length === undefined ? bitsMax : Number(length)
  return bits <= bitsMax ? { address, bits } : undefined
}

/** @throws TypeError for a text that `readNetwork` does not read. */
export function networksOf(texts: readonly string[]): Networks {
  const list = { v4: new BlockList(), v6: new BlockList() }
  for (const text of texts) {
    const network = readNetwork(text)
    if (network === undefined) throw new TypeError(`${text} is not a network`)
    const isOf4 = isIPv4(network.address) || (network.bits >= mappedBits && isMapped(network.address))
    const family = isIPv4(network.address) ? 'ipv4' : 'ipv6'
    list[isOf4 ? 'v4' : 'v6'].addSubnet(network.address, network.bits, family)
  }
  return { texts, list }
}

/**
 * An address that cannot be read is in no network. An IPv4 address is the same however it is written, and in no network
 * of IPv6: `::/0` is not everybody.
 */
export function isIn({ list }: Pick<Networks, 'list'>, address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  const family = isIP(plain)
  if (family === 4) return list.v4.check(plain, 'ipv4')
  return family === 6 && (isMapped(plain) ? list.v4 : list.v6).check(plain, 'ipv6')
}

/** Whether it is an IPv4 address in IPv6's clothes. @see RFC 4291 section 2.5.5.2 */
function isMapped(address: string): boolean {
  return mapped.check(address, 'ipv6')
}

/** The network that somebody's addresses usually stay in: 24 bits of IPv4, 48 of IPv6. Of what is no address: itself. */
export function networkAround(address: string): string {
  const plain = plainAddress(address.replace(/%.*$/, ''))
  if (isIP(plain) === 4) return `${plain.split('.').slice(0, 3).join('.')}.0/24`
  if (isIP(plain) !== 6) return plain
  const groups = networkOf(plain).split(':').slice(0, 3).join(':')
  return `${groups.replace(/(^|:)0(:0)*$/, '')}::/48`
}
