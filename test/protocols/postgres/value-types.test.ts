// Oracle: the real server gives each value in both formats, and ours of the binary one must be its text.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type pg from 'pg'
import { decodeBinary, typeName } from '../../../src/protocols/postgres/value-types.ts'
import { startPostgres, type TestPostgres } from '../../servers/postgres.ts'

let postgres: TestPostgres
let client: pg.Client

beforeAll(async () => {
  postgres = await startPostgres()
  client = await postgres.connect('shop')
  await client.query("set timezone = 'UTC'")
})
afterAll(async () => {
  await client.end()
  await postgres[Symbol.asyncDispose]()
})

/** The server's own functions that make the two formats. */
async function both(type: string, value: string): Promise<{ oid: number; text: string; binary: Buffer }> {
  const { rows } = await client.query<{ oid: number; send: string }>(
    'select oid::int8::int4 as oid, typsend::text as send from pg_type where oid = $1::regtype',
    [type],
  )
  const { oid, send } = rows[0]!
  const made = await client.query<{ text: string; binary: Buffer }>(
    `select format('%s', value) as text, ${send}(value) as binary from (select (${value})::${type} as value) as one`,
  )
  return { oid, ...made.rows[0]! }
}

const values: Readonly<Record<string, readonly string[]>> = {
  bool: ['true', 'false'],
  bytea: [String.raw`'\x00ff10'`, "''"],
  '"char"': ["'x'"],
  name: ["'someone'"],
  int2: ['-32768', '7'],
  int4: ['-2147483648', '2147483647', '0'],
  int8: ['-9223372036854775808', '9223372036854775807'],
  text: ["'Größe ✓'", "''"],
  oid: ['4294967295'],
  json: [`'{"a": [1, null]}'`],
  jsonb: [`'{"a": [1, null]}'`],
  xml: ["'<a/>'"],
  float4: ['1.1', '-0.00001', '1e20', '3.4028235e38', "'NaN'", '16777216', '0.1', '100000', '1234567.5'],
  float8: [
    '1.1',
    "'-0'",
    '1e-5',
    '1.5e-7',
    '123456789012345',
    '1234567890123456',
    '1e15',
    "'-Infinity'",
    '0.1',
    '5e-324',
  ],
  varchar: ["'x'"],
  'char(3)': ["'x'"],
  date: ["'2026-11-22'", "'1999-12-31'", "'0044-03-15 BC'", "'infinity'", "'20000-01-01'"],
  time: ["'00:00'", "'23:59:59.999999'", "'24:00'", "'12:00:00.5'"],
  timestamp: ["'2026-11-22 14:48:07.12'", "'1969-12-31 23:59:59.000001'", "'-infinity'", "'0044-03-15 12:00 BC'"],
  timestamptz: ["'2026-11-22 14:48:07+02'", "'1900-01-01 00:00+00'", "'infinity'"],
  interval: [
    "'1 year 2 mons -3 days 04:05:06.7'",
    "'0'",
    "'-1 mon +1 day'",
    "'-00:00:01'",
    "'-1 year -2 mons'",
    "'1 day -1 sec'",
  ],
  numeric: ['0', '12345.6789', '-0.00001', '1e40', "'NaN'", "'Infinity'", '10000', '0.10', '99999999.99990000'],
  uuid: ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
  inet: ["'192.0.2.7'", "'10.0.0.0/8'", "'2001:db8::7'", "'::'"],
  cidr: ["'10.0.0.0/8'", "'2001:db8::/32'"],
  'int4[]': ["'{1,2,NULL}'", "'{}'", "'{{1,2},{3,4}}'", "'[0:1]={7,8}'"],
  'text[]': [`'{a,"b c","",NULL,"null","x\\"y","back\\\\slash","{}"}'`],
  'timestamptz[]': ["'{2026-11-22 00:00+00}'"],
  'uuid[]': ["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"],
  'numeric[]': ["'{1.5,NaN}'"],
}

test.each(Object.entries(values).flatMap(([type, all]) => all.map((value) => [type, value] as const)))(
  '%s %s',
  async (type, value) => {
    const { oid, text, binary } = await both(type, value)
    expect(decodeBinary(oid, binary)).toBe(text)
    expect(typeName(oid)).toBeDefined()
    for (let length = 0; length < binary.length; length++) {
      expect(() => decodeBinary(oid, binary.subarray(0, length))).not.toThrow()
    }
  },
)

test('another type, and bytes that cannot be one, are not guessed at', () => {
  expect(decodeBinary(600, Buffer.alloc(16))).toBeUndefined()
  expect(decodeBinary(23, Buffer.alloc(3))).toBeUndefined()
  expect(decodeBinary(1007, Buffer.from('7fffffff00000000', 'hex'))).toBeUndefined()
  expect(typeName(600)).toBeUndefined()
})
