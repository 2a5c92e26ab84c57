import { isIP, isIPv4 } from 'node:net'
import { plainAddress } from '../identity/address.ts'
import { readNetwork } from './networks.ts'

interface Network {
  readonly family: 4 | 6
  /** The address as a number; bits beyond `bits` are 0. */
  readonly prefix: bigint
  readonly bits: number
}

const bitsOf = { 4: 32, 6: 128 } as const
const mapped = { prefix: 0xffffn << 32n, bits: 96 } as const

/**
 * One spelling for each network: `10.1.2.3/8` is `10.0.0.0/8`, and an address is a network of one.
 * @returns undefined for what is no network, and for IPv4 networks in IPv6's clothes.
 */
export function plainNetwork(text: string): string | undefined {
  const network = read(text)
  return network === undefined ? undefined : write(network)
}

/**
 * What is in some network of either list. Of two networks one holds the other, or nothing is in both.
 * @throws TypeError for a text that `plainNetwork` does not read.
 */
export function commonNetworks(left: readonly string[], right: readonly string[]): readonly string[] {
  const [ones, others] = [left.map(known), right.map(known)]
  const inBoth = ones.flatMap((one) =>
    others.flatMap((other) => (holds(one, other) ? [other] : holds(other, one) ? [one] : [])),
  )
  const widest = inBoth.filter((one) => !inBoth.some((other) => other.bits < one.bits && holds(other, one)))
  return [...new Set(widest.map(write))].sort()
}

function known(text: string): Network {
  const network = read(text)
  if (network === undefined) throw new TypeError(`${text} is not a network`)
  return network
}

function read(text: string): Network | undefined {
  const [address = '', length] = text.trim().split('/')
  const found = readNetwork(length === undefined ? plainAddress(address) : text.trim())
  if (found === undefined) return undefined
  const family = isIP(found.address) === 4 ? 4 : 6
  const network = shortened(family, family === 4 ? number4(found.address) : number6(found.address), found.bits)
  return family === 6 && holds({ family, ...mapped }, network) ? undefined : network
}

function shortened(family: 4 | 6, value: bigint, bits: number): Network {
  const rest = BigInt(bitsOf[family] - bits)
  return { family, prefix: (value >> rest) << rest, bits }
}

function holds(outer: Network, inner: Network): boolean {
  if (outer.family !== inner.family || outer.bits > inner.bits) return false
  return shortened(inner.family, inner.prefix, outer.bits).prefix === outer.prefix
}

function number4(address: string): bigint {
  return address.split('.').reduce((sum, part) => (sum << 8n) + BigInt(part), 0n)
}

/** @see RFC 4291 section 2.2 */
function number6(address: string): bigint {
  const [head = [], tail] = address.split('::').map(groupsIn)
  const end = tail ?? []
  const zeros = Array.from({ length: 8 - head.length - end.length }, () => 0n)
  const groups = tail === undefined ? head : [...head, ...zeros, ...end]
  return groups.reduce((sum, group) => (sum << 16n) + group, 0n)
}

function groupsIn(text: string): readonly bigint[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!isIPv4(group)) return [BigInt(`0x${group}`)]
    const whole = number4(group)
    return [whole >> 16n, whole & 0xffffn]
  })
}

function write({ family, prefix, bits }: Network): string {
  const length = bits === bitsOf[family] ? '' : `/${bits}`
  if (family === 4) return `${[24n, 16n, 8n, 0n].map((shift) => (prefix >> shift) & 0xffn).join('.')}${length}`
  const groups = Array.from({ length: 8 }, (_, index) => ((prefix >> BigInt(112 - 16 * index)) & 0xffffn).toString(16))
  // the URL standard writes IPv6 addresses as RFC 5952 does
  return `${new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)}${length}`
}
