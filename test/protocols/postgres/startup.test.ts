import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  cancelRequest,
  checkStartupLength,
  readFirstPacket,
  readWanted,
  sslRequest,
  startupMessage,
  version30,
  version32,
  type Startup,
} from '../../../src/protocols/postgres/startup.ts'

const faulty = (code: string) => expect.objectContaining({ name: 'Fault', code })

function startup(parameters: readonly (readonly [string, string])[], version = version30): Startup {
  const bytes = startupMessage(parameters)
  bytes.writeInt32BE(version, 4)
  const packet = readFirstPacket(bytes.subarray(4))
  if (packet.kind !== 'startup') throw new Error(packet.kind)
  return packet.startup
}

test('a startup message keeps its parameters in order and takes user and database out', () => {
  const read = startup([
    ['user', 'readonly'],
    ['options', '-c work_mem=8MB'],
    ['database', 'shop/archive'],
    ['application_name', 'psql'],
  ])
  expect(read).toEqual({
    user: 'readonly',
    database: 'shop/archive',
    parameters: [
      ['options', '-c work_mem=8MB'],
      ['application_name', 'psql'],
    ],
    replication: null,
    wish: null,
    version: version30,
    negotiate: false,
    unknownOptions: [],
  })
})

test.each([
  ['3.0', version30, version30, false],
  ['3.1', 0x0003_0001, version30, true],
  ['3.2', version32, version32, false],
  ['3.9999', 0x0003_270f, version32, true],
])('protocol %s is spoken or negotiated', (_name, asked, spoken, negotiate) => {
  expect(startup([['user', 'a']], asked)).toMatchObject({ version: spoken, negotiate })
})

test('unknown protocol options are negotiated away and not passed on', () => {
  const read = startup([
    ['user', 'a'],
    ['_pq_.command', 'x'],
  ])
  expect(read).toMatchObject({ negotiate: true, unknownOptions: ['_pq_.command'], parameters: [] })
})

test.each([
  ['protocol 2.0', () => startup([['user', 'a']], 0x0002_0000), 'PROTOCOL_UNSUPPORTED'],
  ['no user', () => startup([['database', 'a']]), 'PROTOCOL_VIOLATION'],
  [
    'an SSLRequest with more in it',
    () => readFirstPacket(Buffer.concat([sslRequest.subarray(4), Buffer.from('x')])),
    'PROTOCOL_VIOLATION',
  ],
  [
    'a cancel key of 3 bytes',
    () => readFirstPacket(cancelRequest(1, Buffer.alloc(3)).subarray(4)),
    'PROTOCOL_VIOLATION',
  ],
  [
    'a cancel key of 257 bytes',
    () => readFirstPacket(cancelRequest(1, Buffer.alloc(257)).subarray(4)),
    'PROTOCOL_VIOLATION',
  ],
  ['a length of 7', () => checkStartupLength(7), 'PROTOCOL_VIOLATION'],
  ['a length of 10,001', () => checkStartupLength(10_001), 'PROTOCOL_VIOLATION'],
  ['a negative length', () => checkStartupLength(-1), 'PROTOCOL_VIOLATION'],
])('%s is refused', (_name, read, code) => {
  expect(read).toThrow(faulty(code))
})

test('bytes that are no startup message are a Fault, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 300 }), fc.boolean(), (bytes, asStartup) => {
      const body = Buffer.from(bytes)
      if (asStartup) body.writeInt32BE(version30, 0)
      try {
        readFirstPacket(body)
      } catch (error) {
        expect(error).toMatchObject({ name: 'Fault' })
      }
    }),
  )
})

test('every beginning of a startup message is refused', () => {
  const whole = startupMessage([
    ['user', 'readonly'],
    ['database', 'shop'],
  ]).subarray(4)
  for (let length = 4; length < whole.length; length++) {
    expect(() => readFirstPacket(whole.subarray(0, length))).toThrow(faulty('PROTOCOL_VIOLATION'))
  }
})

test.each([
  [
    { user: 'readonly', database: 'shop' },
    { role: 'readonly', way: 'in-band', resource: 'shop', database: null },
  ],
  [
    { user: 'readonly.token', database: 'shop/archive' },
    { role: 'readonly', way: 'token', resource: 'shop', database: 'archive' },
  ],
  [
    { user: 'readonly.oauth', database: 'shop/archive' },
    { role: 'readonly', way: 'oauth', resource: 'shop', database: 'archive' },
  ],
  [
    { user: 'readonly@shop.oauth', database: 'archive' },
    { role: 'readonly', way: 'oauth', resource: 'shop', database: 'archive' },
  ],
  [
    { user: 'readonly.oauth.token', database: 'shop' },
    { role: 'readonly.oauth', way: 'token', resource: 'shop', database: null },
  ],
  [
    { user: 'readonly', database: 'shop/a/b' },
    { role: 'readonly', way: 'in-band', resource: 'shop', database: 'a/b' },
  ],
  [
    { user: 'readonly', database: 'shop/' },
    { role: 'readonly', way: 'in-band', resource: 'shop', database: null },
  ],
  [
    { user: 'readonly@shop', database: 'archive' },
    { role: 'readonly', way: 'in-band', resource: 'shop', database: 'archive' },
  ],
  [
    { user: 'readonly@shop.token', database: 'readonly@shop.token' },
    { role: 'readonly', way: 'token', resource: 'shop', database: null },
  ],
  [
    { user: 'backup@shop', database: 'replication', replication: 'true' },
    { role: 'backup', way: 'in-band', resource: 'shop', database: null },
  ],
  [
    { user: 'shop', database: null },
    { role: 'shop', way: 'in-band', resource: 'shop', database: null },
  ],
])('%o means %o', (names, wanted) => {
  expect(readWanted({ replication: null, ...names } as Startup)).toEqual(wanted)
})
