import { randomBytes } from 'node:crypto'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { compressParts, decompressLines, rawFrame } from '../../src/recording/compression.ts'
import { decodeLines, type RecordedEvent } from '../../src/recording/format.ts'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { LineParts, SpareBuffers } from '../../src/recording/line-parts.ts'
import { openRecording, readRecording } from '../../src/recording/reading.ts'
import { verifyRecording, verifySource } from '../../src/recording/verify.ts'
import { collect, memorySource, recordInMemory, startRecordings, temporaryFolder } from './support.ts'

let key: SigningKey
beforeAll(async () => {
  await using folder = await temporaryFolder()
  key = await openSigningKey(folder.path)
})

const seconds = fc.integer({ min: 0, max: 1e9 }).map((us) => us / 1e6)
const anyText = fc.record({
  seconds,
  code: fc.string({ unit: 'grapheme', maxLength: 8 }).filter((code) => !code.startsWith('=')),
  data: fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown),
})
const anyBytes = fc
  .record({
    seconds,
    code: fc.constantFrom('=o', '=e', '=i', '='),
    ch: fc.nat(9),
    // Also what looks like lines, and large enough for several buffers.
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom('\n', '[1,"q",{}]\n', '').map((text) => Buffer.from(text)),
      fc.integer({ min: 1, max: 70_000 }).map((length) => Buffer.alloc(length, 'lorem ipsum ')),
    ),
  })
  .map(({ seconds: at, code, ch, bytes }) => output(at, code, ch, Buffer.from(bytes)))

function output(at: number, code: string, ch: number, bytes: Buffer): RecordedEvent {
  return { seconds: at, code, data: { ch, bytes: bytes.length }, bytes }
}

/** The real room, with everything that is on disk when the test ends. */
async function start() {
  const folder = await temporaryFolder()
  const room = await startRecordings(folder.path)
  onTestFinished(async () => {
    await room[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })
  return room
}

test('any mix of events and bytes is read back exactly, and verifies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(anyText, anyBytes), { maxLength: 30 }),
      fc.integer({ min: 1, max: 100_000 }),
      async (events, segmentBytes) => {
        const file = await recordInMemory(key, events, { segmentBytes })
        await using recording = await readRecording(memorySource(file))
        expect(await collect(recording.events())).toEqual(events)
        expect(await verifySource(memorySource(file), key.publicKeys())).toMatchObject({
          state: 'sealed',
          events: events.length,
        })
      },
    ),
    { numRuns: 60 },
  )
})

test('events of one instant are all read, however many segments they lie in', async () => {
  const events = ['one', 'two', 'three', 'four'].map((text) => output(7, '=o', 1, Buffer.from(text)))
  const file = await recordInMemory(key, [output(3, '=o', 1, Buffer.from('before')), ...events], { segmentBytes: 1 })
  await using recording = await readRecording(memorySource(file))
  expect(await collect(recording.events({ fromSeconds: 7 }))).toEqual(events)
  expect(await collect(recording.events({ fromSeconds: 3, toSeconds: 7 }))).toHaveLength(5)
})

test('frozen facts are written as others are, and never mistaken for the ones before', async () => {
  const { recordings, fileOf } = await start()
  const one = Object.freeze({ ch: 1 })
  const quoted = Object.freeze({ ch: 2, note: 'é "\n' })
  const long = Object.freeze({ ch: 3, note: 'x'.repeat(300) })
  const given = [
    ['=o', one],
    ['=o', one],
    ['=e', one],
    ['=o', { ch: 1 }],
    ['=o', quoted],
    ['=o', long],
    ['=o', Object.freeze({})],
  ] as const
  const { recorder, path } = await recordings.start({ session: 'session-1' }, 'strict', () => {})
  for (const [code, data] of given) recorder.bytes(code, data, Buffer.from('four'))
  await recorder.seal({ by: 'client' })
  await using recording = await openRecording(fileOf(path))
  const events = await collect(recording.events())
  expect(events.map(({ code, data }) => [code, data])).toEqual(
    given.map(([code, data]) => [code, { ...data, bytes: 4 }]),
  )
  expect(events.every(({ bytes }) => bytes?.toString() === 'four')).toBe(true)
})

test('what is large and not compressed ends at a whole page of the file, wherever it begins', () => {
  const lines = randomBytes(70_000)
  for (let at = 0; at < 4096; at++) {
    const { payload } = compressParts([lines], true, at)
    const frame = Buffer.concat(payload)
    expect((at + frame.length) % 4096).toBe(0)
    expect(frame.length).toBeLessThan(lines.length + 8300)
    if (at % 64 === 0) expect(zstdDecompressSync(frame).equals(lines)).toBe(true)
  }
  for (const longer of [0, 1, 2, 3, 4, 5, 6]) {
    const at = 4096 - ((70_012 + longer) % 4096)
    const frame = Buffer.concat(compressParts([lines], true, at).payload)
    expect(decompressLines(frame, lines.length)?.equals(lines)).toBe(true)
  }
})

test('any mix is gathered exactly, however it falls into buffers', () => {
  const chunk = fc.tuple(fc.string({ maxLength: 20 }), fc.option(fc.nat(400_000)))
  fc.assert(
    fc.property(fc.array(fc.array(chunk, { maxLength: 12 }), { maxLength: 3 }), (batches) => {
      const spares = new SpareBuffers()
      const parts = new LineParts(spares)
      for (const batch of batches) {
        const expected: Buffer[] = []
        for (const [text, length] of batch) {
          const line = `${text}\n`
          expected.push(Buffer.from(line))
          if (length === null) parts.addLine(line, Buffer.byteLength(line))
          else {
            const raw = Buffer.alloc(length, text.length)
            expected.push(raw, Buffer.from('\n'))
            parts.addBytes(line, Buffer.byteLength(line), raw)
          }
        }
        const taken = parts.take().map((part) => Buffer.from(part as Uint8Array))
        expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true)
        expect(parts.take()).toEqual([])
      }
    }),
    { numRuns: 50 },
  )
})

const session: RecordedEvent[] = [
  { seconds: 0, code: 'ch', data: { ch: 1, kind: 'session' } },
  output(0.5, '=o', 1, randomBytes(90)),
  { seconds: 1, code: 'm', data: { kind: 'notice', text: 'hello' } },
  output(1.5, '=o', 1, Buffer.alloc(3, '\n')),
  output(2, '=e', 1, randomBytes(60)),
]

test('cut at any byte, the bytes of whole segments are read, and no others', async () => {
  const file = await recordInMemory(key, session, { segmentBytes: 40 })
  let most = 0
  for (let length = 40; length < file.length; length++) {
    const found = await verifySource(memorySource(file.subarray(0, length)), key.publicKeys())
    expect(found, `cut at ${length}`).toMatchObject({ state: 'unsealed', problem: null })
    expect(found.events).toBeGreaterThanOrEqual(most)
    most = found.events
    if (found.header === null) continue
    await using recording = await readRecording(memorySource(file.subarray(0, length)))
    expect(await collect(recording.events()), `cut at ${length}`).toEqual(session.slice(0, found.events))
  }
  expect(most).toBe(session.length)
})

test('a changed byte anywhere is tampering, and is not shown', async () => {
  const file = await recordInMemory(key, session, { segmentBytes: 4096 })
  for (let at = 0; at < file.length; at++) {
    const changed = Buffer.from(file)
    changed[at]! ^= 0x01
    expect((await verifySource(memorySource(changed), key.publicKeys())).state, `byte ${at}`).toBe('tampered')
  }
  // Found by reading, too: the frame of incompressible bytes holds them as they are.
  const bytes = randomBytes(100_000)
  const large = await recordInMemory(key, [output(0, '=o', 1, bytes)], { segmentBytes: 1 })
  const inside = large.indexOf(bytes.subarray(60_000, 60_100))
  expect(inside).toBeGreaterThan(0)
  large[inside]! ^= 0x80
  await using recording = await readRecording(memorySource(large))
  await expect(collect(recording.events())).rejects.toMatchObject({ code: 'RECORDING_TAMPERED' })
})

test('lines that lie about the bytes behind them are not taken', () => {
  const broken = (what: string) => new Error(what)
  const read = (text: string) => [...decodeLines(Buffer.from(text), broken)]
  expect(read('[0,"=o",{"bytes":2}]\nab\n')).toMatchObject([{ bytes: Buffer.from('ab') }])
  for (const text of [
    '[0,"=o",{"bytes":3}]\nab\n',
    '[0,"=o",{"bytes":1}]\nab\n',
    '[0,"=o",{"bytes":-1}]\nab\n',
    '[0,"=o",{"bytes":1e15}]\nab\n',
    '[0,"=o",{"bytes":"2"}]\nab\n',
    '[0,"=o",{}]\nab\n',
    '[0,"=o",null]\nab\n',
    '[0,"=o",{"bytes":2}]',
    '[0,"q",{}]',
  ]) {
    expect(() => read(text), text).toThrow(/holds/)
  }
})

test('a frame made of raw blocks is a zstd frame like any other', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 6 }), (lengths) => {
      const pieces = lengths.map((length) => randomBytes(length))
      const whole = Buffer.concat(pieces)
      expect(zstdDecompressSync(Buffer.concat(rawFrame(pieces, whole.length))).equals(whole)).toBe(true)
    }),
    { numRuns: 30 },
  )
})

test('what does not get smaller is not compressed; what does is', () => {
  const random = compressParts([randomBytes(500_000)], true)
  expect(random.payload.length).toBeGreaterThan(2)
  const base64 = compressParts([Buffer.from(randomBytes(300_000).toString('base64'))], true)
  expect(Buffer.concat(base64.payload).length).toBeLessThan(320_000)
  const text = compressParts([Buffer.from('[0,"m",{}]\n'), Buffer.alloc(500_000, 'all work and no play ')], true)
  expect(Buffer.concat(text.payload).length).toBeLessThan(5000)
})

// Goal: what the relay hands over is what the disk holds, whatever the sizes. Method: the real room and its thread.
test('bytes of every size go through the thread to the disk', async () => {
  const { recordings, fileOf, key: own } = await start()
  const { recorder, path } = await recordings.start({ session: 'session-1' }, 'strict', () => {})
  const sizes = [0, 1, 5, 100, 1000, 32_768, 7, 262_144, 400_000, 1_048_576, 3, 65_536]
  const sent: Buffer[] = []
  for (let round = 0; round < 4; round++) {
    for (const size of sizes) {
      const bytes = randomBytes(size)
      sent.push(Buffer.from(bytes))
      recorder.bytes('=o', { ch: round }, bytes)
      bytes.fill(0) // the caller's again
      recorder.event('m', { kind: 'notice', text: `größe ${size}` })
      if (recorder.full) await recorder.drained()
    }
  }
  await recorder.seal({ by: 'client' })
  expect(await verifyRecording(fileOf(path), own.publicKeys())).toMatchObject({ state: 'sealed', events: 96 })
  await using recording = await openRecording(fileOf(path))
  const events = await collect(recording.events())
  const read = events.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]))
  expect(read.map(({ length }) => length)).toEqual(sent.map(({ length }) => length))
  expect(Buffer.concat(read).equals(Buffer.concat(sent))).toBe(true)
  expect(events[1]).toMatchObject({ code: 'm', data: { text: 'größe 0' } })
})

test('lines that are JSON already stand among the others, in their order', async () => {
  const { recordings, fileOf, key: own } = await start()
  const { recorder, path } = await recordings.start({ session: 'session-1' }, 'strict', () => {})
  const began = performance.now()
  recorder.event('m', { kind: 'notice', text: 'first' })
  recorder.encoded(Buffer.from('"q",{"n":1}, and what is no part of it'), 11, began - 1000)
  recorder.bytes('=o', { ch: 1 }, Buffer.from('raw'))
  recorder.encoded(Buffer.from('"q",{"n":2}'), 11, began + 60_000)
  await recorder.seal({})
  expect(await verifyRecording(fileOf(path), own.publicKeys())).toMatchObject({ state: 'sealed', events: 4 })
  await using recording = await openRecording(fileOf(path))
  const events = await collect(recording.events())
  expect(events.map(({ code, data }) => [code, data])).toEqual([
    ['m', { kind: 'notice', text: 'first' }],
    ['q', { n: 1 }],
    ['=o', { ch: 1, bytes: 3 }],
    ['q', { n: 2 }],
  ])
  const times = events.map(({ seconds }) => seconds)
  expect(times[1]).toBe(times[0])
  expect(times[3]! - times[0]!).toBeGreaterThan(59)
})

test('bytes count as unsaved, and drain', async () => {
  const { recordings } = await start()
  const { recorder } = await recordings.start({ session: 'session-1' }, 'strict', () => {})
  recorder.bytes('=o', { ch: 1 }, Buffer.alloc(700_000))
  expect(recorder.full).toBe(false)
  recorder.bytes('=o', { ch: 1 }, Buffer.alloc(700_000))
  expect(recorder.full).toBe(true)
  await recorder.drained()
  expect(recorder.full).toBe(false)
  recorder.bytes('=o', { ch: 1 }, Buffer.from('k'))
  await recorder.seal({})
})

test.each([
  ['more bytes than one event may have', (recorder: TestRecorder) => recorder.bytes('=o', {}, Buffer.alloc(1_048_577))],
  ['an event without its bytes', (recorder: TestRecorder) => recorder.event('=o', {})],
])('%s: the recording breaks, and says so', async (_, misuse) => {
  const { recordings } = await start()
  const failure = Promise.withResolvers<Error>()
  const { recorder } = await recordings.start({ session: 'session-1' }, 'strict', failure.resolve)
  misuse(recorder)
  expect(await failure.promise).toMatchObject({ code: 'RECORDING_FAILED' })
})
type TestRecorder = Awaited<ReturnType<Awaited<ReturnType<typeof start>>['recordings']['start']>>['recorder']

test('what a session has handed over, it no longer holds; spare buffers go when nobody needs them', () => {
  const spares = new SpareBuffers()
  const first = spares.take(30_000)
  spares.put([first])
  spares.tidy()
  expect(spares.take(300_000)).not.toBe(first)
  expect(spares.take(40_000)).toBe(first)
  spares.put([first])
  spares.tidy()
  spares.tidy()
  expect(spares.take(40_000)).not.toBe(first)
})
