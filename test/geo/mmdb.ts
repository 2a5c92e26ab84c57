import { BlockList, isIPv4 } from 'node:net'

export interface MmdbOptions {
  readonly type?: string
  readonly ipVersion?: 4 | 6
  /** Bits of a record. */
  readonly recordBits?: 24 | 32
  /** What stands under a network's country. */
  readonly record?: (country: string) => Value
}
export type Value = string | number | { readonly [key: string]: Value } | readonly string[]

interface Node {
  left: Node | Buffer | null
  right: Node | Buffer | null
}

/**
 * Bytes of a database with these networks and their countries. Later networks win.
 * @see MaxMind DB File Format Specification, version 2.0
 */
export function mmdbOf(countries: Readonly<Record<string, string>>, options: MmdbOptions = {}): Buffer {
  const { type = 'Test-Country', ipVersion = 6, recordBits = 24, record = countryRecord } = options
  const root: Node = { left: null, right: null }
  for (const [network, country] of Object.entries(countries))
    plant(root, bitsOf(network, ipVersion), encode(record(country)))
  const nodes = nodesOf(root)
  const places = new Map(nodes.map((node, index) => [node, index]))
  const data: Buffer[] = []
  const offsets = new Map<string, number>()
  let dataBytes = 0
  const valueOf = (child: Node['left']): number => {
    if (child === null) return nodes.length
    if (!Buffer.isBuffer(child)) return places.get(child)!
    const key = child.toString('latin1')
    const known = offsets.get(key)
    if (known !== undefined) return nodes.length + 16 + known
    offsets.set(key, dataBytes)
    data.push(child)
    dataBytes += child.length
    return nodes.length + 16 + dataBytes - child.length
  }
  const tree = Buffer.concat(
    nodes.flatMap(({ left, right }) => [left, right].map((child) => bigEndian(valueOf(child), recordBits / 8))),
  )
  const metadata = encode({
    node_count: nodes.length,
    record_size: recordBits,
    ip_version: ipVersion,
    database_type: type,
    languages: ['en'],
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_795_000_000,
    description: { en: 'made by a test' },
  })
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata])
}

function countryRecord(code: string): Value {
  return {
    country: { geoname_id: 1, iso_code: code, names: { en: `Land of ${code}` } },
    registered_country: { iso_code: 'XX' },
  }
}

function plant(root: Node, bits: readonly number[], value: Buffer): void {
  let node = root
  for (const [index, bit] of bits.entries()) {
    const side = bit === 0 ? 'left' : 'right'
    if (index === bits.length - 1) return void (node[side] = value)
    const below = node[side]
    // A network within another: the other goes on beside it.
    const next: Node = below === null || Buffer.isBuffer(below) ? { left: below, right: below } : below
    node[side] = next
    node = next
  }
}

function nodesOf(root: Node): Node[] {
  const nodes = [root]
  for (const node of nodes) {
    for (const child of [node.left, node.right]) if (child !== null && !Buffer.isBuffer(child)) nodes.push(child)
  }
  return nodes
}

/** IPv4 networks lie at ::/96 of an IPv6 tree. */
function bitsOf(network: string, ipVersion: 4 | 6): readonly number[] {
  const [address = '', length = ''] = network.split('/')
  const bytes = isIPv4(address) ? address.split('.').map(Number) : bytesOfIPv6(address)
  const before = isIPv4(address) && ipVersion === 6 ? 96 : 0
  const bits = bytes.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((shift) => (byte >> shift) & 1))
  return [...Array.from({ length: before }, () => 0), ...bits.slice(0, Number(length))]
}

function bytesOfIPv6(address: string): number[] {
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const zeros = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array.from({ length: zeros }, () => 0), ...groups(tail)]
  return all.flatMap((group) => [group >> 8, group & 255])
}

const types = { string: 2, uint32: 6, map: 7, array: 11 } as const

function encode(value: Value): Buffer {
  if (typeof value === 'string')
    return Buffer.concat([control(types.string, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') return Buffer.concat([control(types.uint32, 4), bigEndian(value, 4)])
  if (isList(value)) return Buffer.concat([control(types.array, value.length), ...value.map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([
    control(types.map, entries.length),
    ...entries.flatMap(([key, one]) => [encode(key), encode(one)]),
  ])
}

function isList(value: Value): value is readonly string[] {
  return Array.isArray(value)
}

/** The first byte or two: the type in three bits, or as an extended one; then the size, below 29 here. */
function control(type: number, size: number): Buffer {
  if (size >= 29) throw new RangeError('a test needs no longer values')
  return type <= 7 ? Buffer.from([(type << 5) | size]) : Buffer.from([size, type - 7])
}

function bigEndian(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

/** The same, without a tree: what the bytes must say. */
export function modelOf(countries: Readonly<Record<string, string>>): (address: string) => string | undefined {
  const lists = Object.entries(countries).map(([network, country]) => {
    const [address = '', length = ''] = network.split('/')
    const list = new BlockList()
    list.addSubnet(address, Number(length), isIPv4(address) ? 'ipv4' : 'ipv6')
    return { list, country }
  })
  return (address) => lists.findLast(({ list }) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6'))?.country
}
