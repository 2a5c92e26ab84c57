import { beforeAll, expect, test } from 'vitest'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { indexEntriesMax, SparseIndex } from '../../src/recording/sparse-index.ts'
import { openRecording, readRecording } from '../../src/recording/reading.ts'
import { verifySource } from '../../src/recording/verify.ts'
import { collect, memorySource, recordInMemory, temporaryFolder } from './support.ts'

let key: SigningKey
beforeAll(async () => {
  await using folder = await temporaryFolder()
  key = await openSigningKey(folder.path)
})

const events = Array.from({ length: 5000 }, (_, index) => ({
  seconds: index / 100,
  code: 'q',
  data: { n: index, sql: Buffer.from(String(Math.sin(index)).repeat(10)).toString('base64') },
}))

test('a range of time is read through the index, without what lies before and after', async () => {
  const source = memorySource(await recordInMemory(key, events, { segmentBytes: 4096 }))
  await using recording = await readRecording(source)
  source.readBytes = 0
  const read = await collect(recording.events({ fromSeconds: 40, toSeconds: 40.5 }))
  expect(read).toEqual(events.filter(({ seconds }) => seconds >= 40 && seconds <= 40.5))
  expect(source.readBytes).toBeLessThan(source.sizeBytes / 4)
})

test('the same range comes from a recording that was never sealed', async () => {
  const source = memorySource(await recordInMemory(key, events, { segmentBytes: 4096, seal: false }))
  await using recording = await readRecording(source)
  const read = await collect(recording.events({ fromSeconds: 10, toSeconds: 10.1 }))
  expect(read).toEqual(events.filter(({ seconds }) => seconds >= 10 && seconds <= 10.1))
})

// Goal: a page that goes on at the time of an event finds it, also where seconds are no whole number of microseconds.
test.each([16_400.629624, 32_768.000011])('an event is found at its own time: %d', async (seconds) => {
  const one = { seconds, code: 'q', data: 1 }
  await using recording = await readRecording(memorySource(await recordInMemory(key, [one])))
  expect(await collect(recording.events({ fromSeconds: seconds }))).toEqual([one])
  expect(await collect(recording.events({ toSeconds: seconds }))).toEqual([one])
})

test('more segments than the index holds still verify and are still found', async () => {
  const many = Array.from({ length: indexEntriesMax * 2 + 10 }, (_, n) => ({ seconds: n, code: 'q', data: n }))
  const source = memorySource(await recordInMemory(key, many, { segmentBytes: 1 }))
  const found = await verifySource(source, key.publicKeys())
  expect(found).toMatchObject({ state: 'sealed', segments: many.length })
  expect(found.manifest!.index.length).toBeLessThan(indexEntriesMax)
  await using recording = await readRecording(source)
  expect(await collect(recording.events({ fromSeconds: 7000, toSeconds: 7002 }))).toEqual(many.slice(7000, 7003))
})

test('the index keeps an even spread in bounded space', () => {
  const index = new SparseIndex()
  for (let sequence = 1; sequence <= 100_000; sequence++) index.add(sequence, sequence * 10, sequence)
  const gaps = new Set(index.entries.slice(1).map(([sequence], at) => sequence - index.entries[at]![0]))
  expect([...gaps]).toEqual([32])
  expect(index.entries[0]).toEqual([1, 10, 1])
})

test('what is not a recording is refused in words', async () => {
  await expect(openRecording('/nowhere/at-all')).rejects.toMatchObject({ code: 'RECORDING_UNREADABLE' })
  await expect(readRecording(memorySource(Buffer.from('hello')))).rejects.toMatchObject({
    code: 'RECORDING_UNREADABLE',
  })
  await expect(readRecording(memorySource(Buffer.alloc(0)))).rejects.toMatchObject({ code: 'RECORDING_UNREADABLE' })
})
