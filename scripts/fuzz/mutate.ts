import type { Chance } from './random.ts'

/** Numbers at which readers of lengths and counts go wrong. */
const numbers = [
  ...[-1, 0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 1023, 1024, 1025, 4096, 10_000, 10_001],
  ...[0x7fff, 0x8000, 0xffff, 0x1_0000, 0x10_0000, 0x3fff_ffff, 0x4000_0000, 0x4000_0003, 0x7fff_fffb, 0x7fff_ffff],
  ...[-2, -4, -(2 ** 31), 80_877_102, 80_877_103, 80_877_104, 196_608, 196_610, 196_611, 0x7fff_0003],
]
/** Pieces that somebody here looks for. */
const words = [
  ...[
    'select 1',
    "select 'x'",
    'password',
    "password 'hunter2'",
    'secret=',
    'user',
    'database',
    'options',
    'replication',
  ],
  ...['-c curfew.reason=x', '--curfew.for=30m', '-c curfew.ticket="a b"', '_pq_.x', 'application_name', 'u:p@h', '://'],
  ...[
    "'",
    '"',
    '\\',
    '$$',
    '$a$',
    '--',
    '/*',
    '*/',
    ';',
    ',',
    '(',
    ')',
    '\n',
    "E'",
    "U&'",
    'é',
    '\u{1f600}',
    '[masked]',
  ],
  ...['begin', 'commit', 'copy t from stdin', 'declare c cursor for', 'explain analyze', 'delete from t', 'do $$'],
  ...['SELECT 1', 'INSERT 0 99999999999999999999', 'standard_conforming_strings', 'client_encoding', 'off', 'SJIS'],
  ...['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS', 'r=', 's=', 'i=4096', 'v=', 'n,,', 'y,,', 'p=tls-server-end-point,,'],
].map((word) => Buffer.from(word))

const frontend = 'QPBEDCSHFXdcfp'
const backend = 'RKCWdGHDIEVvnNtSsZT123A'
const types = Buffer.from(frontend + backend)

/** Bytes are changed without knowing what they are. */
export function mutateBytes(input: Buffer, chance: Chance, bytesMax: number): Buffer {
  let bytes: Buffer = Buffer.from(input)
  for (let times = 1 + chance.below(4); times > 0; times--) bytes = mutateOnce(bytes, chance)
  return bytes.subarray(0, bytesMax)
}

function mutateOnce(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length + 1)
  const end = Math.min(bytes.length, at + chance.length(64))
  switch (chance.below(9)) {
    case 0:
      return replaced(bytes, at, end, chance.bytes(end - at))
    case 1:
      return replaced(bytes, at, end, none)
    case 2:
      return replaced(bytes, at, at, bytes.subarray(at, end))
    case 3:
      return replaced(bytes, at, chance.oneIn(2) ? at : end, chance.pick(words))
    case 4:
      return replaced(bytes, at, Math.min(bytes.length, at + 4), int32(chance.pick(numbers)))
    case 5:
      return replaced(bytes, at, Math.min(bytes.length, at + 2), int32(chance.pick(numbers)).subarray(2))
    case 6:
      return replaced(bytes, at, Math.min(bytes.length, at + 1), Buffer.of(chance.pick([0, 1, 0x7f, 0x80, 0xff])))
    case 7:
      return bytes.subarray(0, at)
    default:
      return replaced(bytes, at, at, Buffer.alloc(chance.length(2048), chance.pick(words)))
  }
}

/** Whole messages are left out, doubled, moved, made up; lengths lie; what is inside is changed. */
export function mutateMessages(messages: readonly Buffer[], chance: Chance): Buffer[] {
  const all = [...messages]
  for (let times = chance.below(6); times >= 0; times--) {
    const at = chance.below(all.length)
    const one = all[at] ?? madeUp(chance)
    switch (chance.below(10)) {
      case 0:
        all.splice(at, 1 + chance.length(4))
        break
      case 1:
        all.splice(at, 0, ...Array<Buffer>(1 + chance.length(200)).fill(one))
        break
      case 2:
        all.splice(chance.below(all.length), 0, ...all.splice(at, 1))
        break
      case 3:
        all.splice(at, 0, madeUp(chance))
        break
      case 4:
        all[at] = withLength(one, chance.pick(numbers))
        break
      case 5:
        all[at] = withLength(one, one.length - 1 + chance.pick([-2, -1, 1, 2]))
        break
      case 6:
        all[at] = Buffer.concat([Buffer.of(chance.pick([...types])), one.subarray(1)])
        break
      case 7:
        all[at] = chance.bytes(chance.length(600))
        break
      default:
        all[at] = honest(one[0] ?? 0, mutateBytes(one.subarray(5), chance, 1 << 20))
    }
  }
  return all
}

function madeUp(chance: Chance): Buffer {
  return honest(chance.oneIn(8) ? chance.below(256) : chance.pick([...types]), chance.bytes(chance.length(64)))
}

/** A message whose length is true. */
export function honest(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(type), int32(body.length + 4), body])
}

function withLength(message: Buffer, length: number): Buffer {
  return Buffer.concat([message.subarray(0, 1), int32(length), message.subarray(5)])
}

/** Where a stream is cut into chunks; few cuts, many, or after every byte. */
export function chunksOf(bytes: Buffer, chance: Chance): Buffer[] {
  const most = chance.pick([0, 0, 1, 4, 40])
  const everyByte = bytes.length < 2000 && chance.oneIn(8)
  const cuts = everyByte ? bytes.length : chance.below(most + 1)
  const places = everyByte
    ? Array.from({ length: cuts }, (_, index) => index)
    : Array.from({ length: cuts }, () => chance.below(bytes.length + 1)).toSorted((left, right) => left - right)
  return [...places, bytes.length].map((to, index) => bytes.subarray(index === 0 ? 0 : places[index - 1], to))
}

function replaced(bytes: Buffer, from: number, to: number, by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

const none = Buffer.alloc(0)
