/**
 * Values in PostgreSQL's binary format as the server itself writes them in text, for the types that drivers send so.
 * @see PostgreSQL manual, "Message Formats"; the server's `*send` functions in src/backend/utils/adt
 */

interface ValueType {
  readonly name: string
  /** Undefined when the bytes cannot be a value of this type. */
  readonly decode: (bytes: Buffer) => string | undefined
}

/** The name of a type, such as `int4` or `text[]`; undefined for one that is not known here. */
export function typeName(oid: number): string | undefined {
  return typeOf(oid)?.name
}

/** @returns undefined for a type that is not known here, or bytes that cannot be one */
export function decodeBinary(oid: number, bytes: Buffer): string | undefined {
  try {
    return typeOf(oid)?.decode(bytes)
  } catch {
    return undefined // shorter than it says, or a date that no calendar has: shown as bytes
  }
}

function typeOf(oid: number): ValueType | undefined {
  const scalar = scalars.get(oid)
  if (scalar !== undefined) return scalar
  const element = elementOf.get(oid)
  const type = element === undefined ? undefined : scalars.get(element)
  if (type === undefined) return undefined
  return { name: `${type.name}[]`, decode: (bytes) => decodeArray(bytes, type) }
}

const exactly = (lengthBytes: number, read: (bytes: Buffer) => string) => (bytes: Buffer) =>
  bytes.length === lengthBytes ? read(bytes) : undefined
const utf8 = (bytes: Buffer) => bytes.toString('utf8')

const scalars: ReadonlyMap<number, ValueType> = new Map<number, ValueType>([
  [16, { name: 'bool', decode: exactly(1, ([value]) => (value === 0 ? 'f' : 't')) }],
  [17, { name: 'bytea', decode: (bytes) => `\\x${bytes.toString('hex')}` }],
  [18, { name: '"char"', decode: utf8 }],
  [19, { name: 'name', decode: utf8 }],
  [20, { name: 'int8', decode: exactly(8, (bytes) => bytes.readBigInt64BE().toString()) }],
  [21, { name: 'int2', decode: exactly(2, (bytes) => bytes.readInt16BE().toString()) }],
  [23, { name: 'int4', decode: exactly(4, (bytes) => bytes.readInt32BE().toString()) }],
  [25, { name: 'text', decode: utf8 }],
  [26, { name: 'oid', decode: exactly(4, (bytes) => bytes.readUInt32BE().toString()) }],
  [114, { name: 'json', decode: utf8 }],
  [142, { name: 'xml', decode: utf8 }],
  [650, { name: 'cidr', decode: decodeNetwork }],
  [700, { name: 'float4', decode: exactly(4, (bytes) => floatText(shortestFloat4(bytes.readFloatBE()), 6)) }],
  [701, { name: 'float8', decode: exactly(8, (bytes) => floatText(bytes.readDoubleBE(), 15)) }],
  [869, { name: 'inet', decode: decodeNetwork }],
  [1042, { name: 'bpchar', decode: utf8 }],
  [1043, { name: 'varchar', decode: utf8 }],
  [1082, { name: 'date', decode: exactly(4, (bytes) => dateText(bytes.readInt32BE())) }],
  [1083, { name: 'time', decode: exactly(8, (bytes) => timeText(bytes.readBigInt64BE())) }],
  [1114, { name: 'timestamp', decode: exactly(8, (bytes) => timestampText(bytes.readBigInt64BE(), '')) }],
  [1184, { name: 'timestamptz', decode: exactly(8, (bytes) => timestampText(bytes.readBigInt64BE(), '+00')) }],
  [1186, { name: 'interval', decode: exactly(16, intervalText) }],
  [1700, { name: 'numeric', decode: decodeNumeric }],
  [2950, { name: 'uuid', decode: exactly(16, uuidText) }],
  [3802, { name: 'jsonb', decode: (bytes) => (bytes[0] === 1 ? utf8(bytes.subarray(1)) : undefined) }],
])

/** Of arrays, what they are made of. */
const elementOf: ReadonlyMap<number, number> = new Map([
  [199, 114],
  [1000, 16],
  [1001, 17],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1014, 1042],
  [1015, 1043],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1028, 26],
  [1041, 869],
  [1115, 1114],
  [1182, 1082],
  [1185, 1184],
  [1231, 1700],
  [2951, 2950],
  [3807, 3802],
])

const dimensionsMax = 6
const elementsMax = 1000

/** int32 dimensions, int32 has-nulls, uint32 element type; int32 size and lower bound of each; int32 length and bytes of each. */
function decodeArray(bytes: Buffer, type: ValueType): string | undefined {
  const dimensions = bytes.readInt32BE(0)
  if (dimensions === 0) return '{}'
  if (dimensions < 0 || dimensions > dimensionsMax) return undefined
  const sizes = Array.from({ length: dimensions }, (_, index) => bytes.readInt32BE(12 + 8 * index))
  const bounds = Array.from({ length: dimensions }, (_, index) => bytes.readInt32BE(16 + 8 * index))
  const count = sizes.reduce((product, size) => product * size, 1)
  if (count < 0 || count > elementsMax) return undefined
  let at = 12 + 8 * dimensions
  const next = (): string | undefined => {
    const lengthBytes = bytes.readInt32BE(at)
    at += 4
    if (lengthBytes < 0) return 'NULL'
    if (at + lengthBytes > bytes.length) throw new RangeError('an element is not there')
    const text = type.decode(bytes.subarray(at, at + lengthBytes))
    at += lengthBytes
    return text === undefined ? undefined : quotedElement(text)
  }
  const body = nested(sizes, next)
  if (body === undefined) return undefined
  const isUsual = bounds.every((bound) => bound === 1)
  return isUsual ? body : `${bounds.map((low, index) => `[${low}:${low + sizes[index]! - 1}]`).join('')}=${body}`
}

function nested([size = 0, ...rest]: readonly number[], next: () => string | undefined): string | undefined {
  const parts: string[] = []
  for (let index = 0; index < size; index++) {
    const part = rest.length === 0 ? next() : nested(rest, next)
    if (part === undefined) return undefined
    parts.push(part)
  }
  return `{${parts.join(',')}}`
}

function quotedElement(text: string): string {
  const needsQuotes = text === '' || /^null$/i.test(text) || /[{}",\\\s]/.test(text)
  return needsQuotes ? `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"` : text
}

const postgresEpochDays = 10_957
const dayUs = 86_400_000_000n

function dateText(days: number): string {
  if (days === 0x7fff_ffff) return 'infinity'
  return days === -0x8000_0000 ? '-infinity' : calendarDay(BigInt(days))
}

function calendarDay(days: bigint): string {
  // Years beyond those of JavaScript's dates fail and are shown as bytes.
  const date = new Date(Number((days + BigInt(postgresEpochDays)) * 86_400_000n)).toISOString()
  const [, year = '', rest = ''] = /^([+-]?\d+)(-\d\d-\d\d)T/.exec(date)!
  const number = Number(year)
  return number > 0 ? `${String(number).padStart(4, '0')}${rest}` : `${String(1 - number).padStart(4, '0')}${rest} BC`
}

function timeText(us: bigint): string {
  const seconds = us / 1_000_000n
  const two = (value: bigint) => value.toString().padStart(2, '0')
  const fraction = us % 1_000_000n
  const digits = fraction === 0n ? '' : `.${fraction.toString().padStart(6, '0').replace(/0+$/, '')}`
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}${digits}`
}

/** Of `timestamptz`, the moment in UTC: the session's zone is not in the bytes. */
function timestampText(us: bigint, zone: string): string {
  if (us === 0x7fff_ffff_ffff_ffffn) return 'infinity'
  if (us === -0x8000_0000_0000_0000n) return '-infinity'
  const days = us < 0n && us % dayUs !== 0n ? us / dayUs - 1n : us / dayUs
  const [day, era = ''] = calendarDay(days).split(/(?= BC)/)
  return `${day} ${timeText(us - days * dayUs)}${zone}${era}`
}

/** As `intervalstyle = postgres` writes it. int64 microseconds, int32 days, int32 months. */
function intervalText(bytes: Buffer): string {
  const us = bytes.readBigInt64BE(0)
  const days = bytes.readInt32BE(8)
  const months = bytes.readInt32BE(12)
  const [years, rest] = [Math.trunc(months / 12), months % 12]
  const parts: string[] = []
  let before = 0
  const add = (value: number, unit: string) => {
    if (value === 0) return
    const sign = before < 0 && value > 0 ? '+' : ''
    parts.push(`${sign}${value} ${unit}${value === 1 ? '' : 's'}`)
    before = value
  }
  add(years, 'year')
  add(rest, 'mon')
  add(days, 'day')
  if (us !== 0n || parts.length === 0) {
    const sign = us < 0n ? '-' : before < 0 ? '+' : ''
    parts.push(sign + timeText(us < 0n ? -us : us))
  }
  return parts.join(' ')
}

/** int16 digits, int16 weight, uint16 sign, int16 scale; then digits of base 10,000. */
function decodeNumeric(bytes: Buffer): string | undefined {
  const count = bytes.readInt16BE(0)
  const weight = bytes.readInt16BE(2)
  const sign = bytes.readUInt16BE(4)
  const scale = bytes.readUInt16BE(6)
  const special = { 0xc000: 'NaN', 0xd000: 'Infinity', 0xf000: '-Infinity' }[sign]
  if (special !== undefined) return special
  if (bytes.length !== 8 + 2 * count || (sign !== 0 && sign !== 0x4000)) return undefined
  const digit = (index: number) => (index >= 0 && index < count ? bytes.readInt16BE(8 + 2 * index) : 0)
  const four = (index: number) => digit(index).toString().padStart(4, '0')
  let whole = ''
  for (let index = 0; index <= weight; index++) whole += four(index)
  let fraction = ''
  for (let index = weight + 1; fraction.length < scale; index++) fraction += four(index)
  const text = whole.replace(/^0+(?=\d)/, '') || '0'
  return `${sign === 0 ? '' : '-'}${text}${scale === 0 ? '' : `.${fraction.slice(0, scale)}`}`
}

/** Families 2 and 3, bits, whether it is a cidr, address length, address. */
function decodeNetwork(bytes: Buffer): string | undefined {
  const [family, bits = 0, isCidr, lengthBytes] = bytes
  if (bytes.length !== 4 + (lengthBytes ?? 0) || (lengthBytes !== 4 && lengthBytes !== 16)) return undefined
  const address = bytes.subarray(4)
  const text = family === 2 ? [...address].join('.') : ipv6Text(address)
  return isCidr === 1 || bits !== lengthBytes * 8 ? `${text}/${bits}` : text
}

function ipv6Text(address: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(2 * index).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}

function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** The fewest digits that are the same value again. */
function shortestFloat4(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return rounded
  }
  return value
}

/** As the server writes it. @param digits from so many before the point on, with an exponent; that has two digits at least. */
function floatText(value: number, digits: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
  if (Object.is(value, -0)) return '-0'
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (exponent >= -4 && exponent < digits) {
    return exponent < 0 ? value.toFixed(Math.max(0, mantissa.replace(/^-?\d\.?/, '').length - exponent)) : String(value)
  }
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}
