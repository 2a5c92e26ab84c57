import fc from 'fast-check'
import { generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import {
  encodeManifest,
  encodeSegment,
  manifestType,
  type RecordedEvent,
  segmentRawBytesMax,
  sha256,
} from '../../src/recording/format.ts'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { signWith } from '../../src/recording/sign.ts'
import { readRecording } from '../../src/recording/reading.ts'
import { verifySource } from '../../src/recording/verify.ts'
import { collect, memorySource, recordInMemory, temporaryFolder } from './support.ts'

let key: SigningKey
let events: RecordedEvent[]
let sealed: Buffer
let unsealed: Buffer

beforeAll(async () => {
  await using folder = await temporaryFolder()
  key = await openSigningKey(folder.path)
  events = Array.from({ length: 24 }, (_, index) => ({
    seconds: index / 10,
    code: 'q',
    data: { n: index, sql: `select ${index * 7919} from orders` },
  }))
  sealed = await recordInMemory(key, events)
  unsealed = await recordInMemory(key, events, { seal: false })
})

const verify = (bytes: Buffer) => verifySource(memorySource(bytes), key.publicKeys())

const anyEvent = fc.record({
  seconds: fc.integer({ min: 0, max: 1e9 }).map((us) => us / 1e6),
  code: fc.string({ unit: 'grapheme', maxLength: 8 }),
  data: fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown),
})

test('whatever is recorded is read back, and verifies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyEvent, { maxLength: 40 }),
      fc.integer({ min: 1, max: 600 }),
      async (any, segmentBytes) => {
        const bytes = await recordInMemory(key, any, { segmentBytes })
        await using recording = await readRecording(memorySource(bytes))
        expect(await collect(recording.events())).toEqual(any)
        expect(await verify(bytes)).toMatchObject({ state: 'sealed', events: any.length, key: { trusted: true } })
      },
    ),
    { numRuns: 60 },
  )
})

test('cut at any byte, it verifies up to the last whole segment and says that it is not sealed', async () => {
  expect(await verify(sealed)).toMatchObject({ state: 'sealed', events: events.length, tailBytes: 0 })
  let segments = 0
  for (let length = 0; length < sealed.length; length++) {
    const found = await verify(sealed.subarray(0, length))
    expect(found, `cut at ${length}`).toMatchObject({ state: 'unsealed', problem: null, manifest: null })
    expect(found.goodBytes + found.tailBytes).toBe(length)
    expect(found.segments).toBeGreaterThanOrEqual(segments)
    segments = found.segments
  }
  expect(segments).toBe((await verify(sealed)).segments)
})

test('a recording cut in the middle can still be read as far as it goes', async () => {
  await using recording = await readRecording(memorySource(sealed.subarray(0, sealed.length >> 1)))
  const read = await collect(recording.events())
  expect(read.length).toBeGreaterThan(0)
  expect(read).toEqual(events.slice(0, read.length))
  expect(recording.manifest).toBeNull()
})

test('a tail of zeros, as a power failure leaves it, is a tail', async () => {
  const found = await verify(Buffer.concat([unsealed, Buffer.alloc(5000)]))
  expect(found).toMatchObject({ state: 'unsealed', events: events.length, tailBytes: 5000 })
})

// Goal: no single byte can change and go unnoticed. Method: every byte of a small recording, three changes each.
test('any changed byte of a sealed recording is tampering', { timeout: 60_000 }, async () => {
  for (let at = 0; at < sealed.length; at++) {
    for (const change of [0x01, 0x80, 0xff]) {
      const bytes = Buffer.from(sealed)
      bytes[at]! ^= change
      const found = await verify(bytes)
      expect(found.state, `byte ${at} xor ${change}`).toBe('tampered')
      expect(found.problem).not.toBeNull()
    }
  }
})

// 64 bytes leave four bits of the last base64url character unused: sixteen texts stand for one signature.
test('a signature written in another way is tampering, too', async () => {
  const last = sealed.length - 5
  for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ ') {
    const bytes = Buffer.from(sealed)
    bytes[last] = character.charCodeAt(0)
    if (bytes.equals(sealed)) continue
    expect((await verify(bytes)).state, `ending in ${character}`).toBe('tampered')
  }
})

test('any changed byte of an unsealed recording is tampering', async () => {
  for (let at = 0; at < unsealed.length; at++) {
    const bytes = Buffer.from(unsealed)
    bytes[at]! ^= 0x04
    expect((await verify(bytes)).state, `byte ${at}`).toBe('tampered')
  }
})

test('a segment left out, doubled or moved is found where it happens', async () => {
  const starts = segmentStarts(unsealed)
  const [first, second, third] = starts as [number, number, number]
  const without = Buffer.concat([unsealed.subarray(0, second), unsealed.subarray(third)])
  expect(await verify(without)).toMatchObject({ state: 'tampered', segments: 1, problem: { segment: 3 } })
  const doubled = Buffer.concat([unsealed.subarray(0, second), unsealed.subarray(first)])
  expect(await verify(doubled)).toMatchObject({ state: 'tampered', segments: 1, problem: { segment: 1 } })
})

test('bytes behind the manifest are tampering', async () => {
  const found = await verify(Buffer.concat([sealed, Buffer.alloc(1)]))
  expect(found).toMatchObject({ state: 'tampered', problem: { what: 'bytes follow the manifest' }, manifest: null })
})

test('a manifest of another recording, of another kind of signature, or signed by nobody does not fit', async () => {
  const other = await recordInMemory(key, events.slice(1))
  const manifestAt = (await verify(unsealed)).goodBytes
  const swapped = Buffer.concat([unsealed, other.subarray((await verify(other)).manifest!.bytes)])
  expect(await verify(swapped)).toMatchObject({ state: 'tampered', problem: { offset: manifestAt } })

  const { manifest } = await verify(sealed)
  const resealed = async (type: string) => Buffer.concat([unsealed, encodeManifest(await key.sign(type, manifest))])
  expect((await verify(await resealed(manifestType))).state).toBe('sealed')
  expect((await verify(await resealed('curfew-checkpoint'))).state).toBe('tampered')
  expect((await verify(Buffer.concat([unsealed, encodeManifest('e30.e30.')]))).state).toBe('tampered')
})

test('a recording sealed with a key of somebody else is whole, but not trusted', async () => {
  const privateKey = generateKeyPairSync('ed25519').privateKey
  const publicJwk = { ...privateKey.export({ format: 'jwk' }), d: undefined } as unknown as JWK
  const { kty, crv, x } = publicJwk as { kty: 'OKP'; crv: string; x: string }
  const bare: JWK = { kty, crv, x }
  const stranger = { kid: await calculateJwkThumbprint(bare), publicJwk: bare, privateKey }
  const { manifest } = await verify(sealed)
  const forged = Buffer.concat([unsealed, encodeManifest(await signWith(stranger)(manifestType, manifest))])
  expect(await verify(forged)).toMatchObject({ state: 'sealed', key: { kid: stranger.kid, trusted: false } })

  // Naming the gateway's key does not help.
  const pretender = Buffer.concat([
    unsealed,
    encodeManifest(await signWith({ ...stranger, kid: key.kid })(manifestType, manifest)),
  ])
  expect((await verify(pretender)).state).toBe('tampered')
  expect((await verifySource(memorySource(pretender), { keys: [] })).state).toBe('tampered')
})

test('hostile lengths and a decompression bomb do not cost memory', async () => {
  const header = unsealed.subarray(0, segmentStarts(unsealed)[0])
  const huge = Buffer.concat([header, Buffer.from('53ffffffff', 'hex'), Buffer.alloc(100)])
  expect(await verify(huge)).toMatchObject({ state: 'tampered' })

  const { zstdCompressSync } = await import('node:zlib')
  const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024, 0x20))
  const fields = { sequence: 1, events: 1, rawBytes: segmentRawBytesMax, firstUs: 0, lastUs: 0 }
  const { head } = encodeSegment(fields, [bomb], sha256(header))
  await using recording = await readRecording(memorySource(Buffer.concat([header, head, bomb])))
  await expect(collect(recording.events())).rejects.toMatchObject({ code: 'RECORDING_TAMPERED' })
})

test('any bytes at all are answered, never thrown at', async () => {
  const magicAhead = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.concat([unsealed.subarray(0, 60), bytes]))
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), magicAhead), async (bytes) => {
      expect((await verify(Buffer.from(bytes))).state).not.toBe('sealed')
    }),
  )
})

function segmentStarts(bytes: Buffer): number[] {
  const starts: number[] = []
  let at = 13 + bytes.readUInt32BE(9)
  while (at < bytes.length && bytes[at] === 0x53) {
    starts.push(at)
    at += 5 + bytes.readUInt32BE(at + 1)
  }
  return starts
}
