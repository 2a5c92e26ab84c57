import { BlockList, isIP, isIPv4 } from 'node:net'
import { networkOf, plainAddress } from '../identity/address.ts'
import type { Networks } from './rules.ts'

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
  const list = new BlockList()
  for (const text of texts) {
    const network = readNetwork(text)
    if (network === undefined) throw new TypeError(`${text} is not a network`)
    list.addSubnet(network.address, network.bits, isIPv4(network.address) ? 'ipv4' : 'ipv6')
  }
  return { texts, list }
}

/** An address that cannot be read is in no network. An IPv4 address is the same however it is written. */
export function isIn({ list }: Pick<Networks, 'list'>, address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  const family = isIP(plain)
  return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
}

/** The network that somebody's addresses usually stay in: 24 bits of IPv4, 48 of IPv6. Of what is no address: itself. */
export function networkAround(address: string): string {
  const plain = plainAddress(address.replace(/%.*$/, ''))
  if (isIP(plain) === 4) return `${plain.split('.').slice(0, 3).join('.')}.0/24`
  if (isIP(plain) !== 6) return plain
  const groups = networkOf(plain).split(':').slice(0, 3).join(':')
  return `${groups.replace(/(^|:)0(:0)*$/, '')}::/48`
}
