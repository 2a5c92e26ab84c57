import { isIPv6 } from 'node:net'

/** One spelling for each address: `::ffff:203.0.113.9` is `203.0.113.9`. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)
  return mapped?.[1] ?? address.toLowerCase()
}

const groupsOfAddress = 8
const groupsOfNetwork = 4

/**
 * What limits count by. Of IPv6 the network of 64 bits, which is the least that somebody has who has any; an IPv4
 * address, and whatever is no address, as it is.
 * @see RFC 6177; RFC 4291 section 2.5.4
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = [], tail = []] = address.replace(/%.*$/, '').split('::').map(groupsIn)
  const zeros = Array.from({ length: groupsOfAddress - head.length - tail.length }, () => 0)
  const groups = [...head, ...zeros, ...tail].slice(0, groupsOfNetwork)
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`
}

function groupsIn(text: string): number[] {
  if (text === '') return []
  // An IPv4 address at the end stands for two groups; what they are does not matter here.
  return text.split(':').flatMap((group) => (group.includes('.') ? [0, 0] : [Number.parseInt(group, 16)]))
}
