import { beforeAll, expect, test } from 'vitest'
import { openSigningKey, type SigningKey } from '../../src/recording/keys.ts'
import { verifySource } from '../../src/recording/verify.ts'
import { walk } from '../../src/recording/walk.ts'
import { segmentRawBytesMax } from '../../src/recording/format.ts'
import { collect, linesOf, MemoryFiles, memorySource, temporaryFolder, writerOn } from './support.ts'

let key: SigningKey
beforeAll(async () => {
  await using folder = await temporaryFolder()
  key = await openSigningKey(folder.path)
})

const event = (n: number) => ({ seconds: n, code: 'q', data: { n, sql: `select ${n}` } })
const opening = (id: number) => ({ id, path: `file-${id}`, header: `{"session":"session-${id}"}\n` })

test('one broken file is told, and does not touch the others', async () => {
  const files = new MemoryFiles((write) => {
    if (write === 3) throw new Error('ENOSPC: no space left on device')
  })
  const { order, until, reports } = writerOn(files, key)
  order({ opens: [opening(1), opening(2)] })
  await until(({ opened }) => opened.includes(2))
  order({ lines: linesOf(1, [event(1)]), seals: [{ id: 1, end: '{}', gap: null }] })
  await until(({ failed }) => failed.length > 0)
  order({ lines: linesOf(1, [event(2)]), seals: [{ id: 1, end: '{}', gap: null }] }) // late, and ignored
  order({ lines: linesOf(2, [event(1)]), seals: [{ id: 2, end: '{}', gap: null }] })
  await until(({ sealed }) => sealed.includes(2))
  expect(reports.flatMap(({ failed }) => failed)).toEqual([{ id: 1, message: 'ENOSPC: no space left on device' }])
  const found = await verifySource(memorySource(files.files.get('file-2')!), key.publicKeys())
  expect(found).toMatchObject({ state: 'sealed', events: 1 })
})

test('on a slow disk lines are gathered into whole segments, in order, and acknowledged once', async () => {
  let slow = Promise.withResolvers<void>()
  const files = new MemoryFiles((write) => (write === 2 ? slow.promise : undefined))
  const { order, until, reports } = writerOn(files, key, { segmentBytes: 200, closeAfterMs: 1 })
  order({ opens: [opening(1)] })
  await until(({ opened }) => opened.includes(1))
  for (let n = 1; n <= 100; n++) order({ lines: linesOf(1, [event(n)]) })
  await expect.poll(() => files.writes).toBe(2)
  slow.resolve()
  slow = Promise.withResolvers<void>()
  order({ seals: [{ id: 1, end: '{}', gap: null }] })
  await until(({ sealed }) => sealed.includes(1))
  const bytes = linesOf(
    1,
    Array.from({ length: 100 }, (_, index) => event(index + 1)),
  ).reduce((sum, l) => sum + l.bytes, 0)
  expect(reports.flatMap(({ saved }) => saved).reduce((sum, saved) => sum + saved.bytes, 0)).toBe(bytes)
  expect(files.writes).toBeLessThan(6)
  const found = await verifySource(memorySource(files.files.get('file-1')!), key.publicKeys())
  expect(found).toMatchObject({ state: 'sealed', events: 100 })
  expect(found.segments).toBeGreaterThan(10)
})

// Goal: the disk and the hash do not wait for each other, and a slow disk gets few large writes.
test('while a file is written its next segments are closed, and written at once', async () => {
  const slow = Promise.withResolvers<void>()
  const files = new MemoryFiles((write) => (write === 2 ? slow.promise : undefined))
  const { order, until } = writerOn(files, key, { segmentBytes: 256 * 1024 })
  order({ opens: [opening(1)] })
  await until(({ opened }) => opened.includes(1))
  const raw = (n: number, lengthBytes: number) => {
    const bytes = Buffer.alloc(lengthBytes, n)
    return { seconds: n, code: '=o', data: { ch: 1, bytes: bytes.length }, bytes }
  }
  const events = [...Array.from({ length: 40 }, (_, n) => raw(n, 256 * 1024)), raw(40, 1024 * 1024), raw(41, 1)]
  for (const each of linesOf(1, events)) order({ lines: [each] })
  await expect.poll(() => files.writes).toBe(2)
  slow.resolve()
  await until(({ saved }) => saved.some(({ bytes }) => bytes > 256 * 1024 * 40))
  expect(files.writes).toBe(3)
  order({ seals: [{ id: 1, end: '{}', gap: null }] })
  await until(({ sealed }) => sealed.includes(1))
  const source = memorySource(files.files.get('file-1')!)
  expect(await verifySource(source, key.publicKeys())).toMatchObject({ state: 'sealed', events: 42 })
  const sizes = (await collect(walk(source))).flatMap((found) =>
    found.kind === 'segment' ? [found.head.rawBytes] : [],
  )
  expect(Math.max(...sizes)).toBeLessThan(segmentRawBytesMax)
  expect(sizes.length).toBe(42)
})

test('no more than three files are written to at once, and all get their turn', async () => {
  let now = 0
  let most = 0
  const files = new MemoryFiles(async () => {
    most = Math.max(most, ++now)
    await new Promise(setImmediate)
    now--
  })
  const { order, until } = writerOn(files, key)
  const ids = Array.from({ length: 50 }, (_, index) => index + 1)
  order({ opens: ids.map(opening), seals: ids.map((id) => ({ id, end: '{}', gap: null })), finish: true })
  await until(({ finished }) => finished)
  expect(most).toBe(3)
  expect(files.files.size).toBe(50)
  for (const bytes of files.files.values()) {
    expect((await verifySource(memorySource(bytes), key.publicKeys())).state).toBe('sealed')
  }
})

// Goal: what was given up while it waited for the disk is not signed as whole, for the last lines of it are gone.
test('a recording that was given up before its turn came is not sealed', async () => {
  const hung = Promise.withResolvers<void>()
  const files = new MemoryFiles((write) => (write > 4 && write < 8 ? hung.promise : undefined))
  const { order, until } = writerOn(files, key)
  order({ opens: [1, 2, 3, 4].map(opening) })
  await until(({ opened }) => opened.includes(4))
  for (const id of [1, 2, 3]) order({ lines: linesOf(id, [event(1)]), seals: [{ id, end: '{}', gap: null }] })
  await expect.poll(() => files.writes).toBe(7)
  order({ lines: linesOf(4, [event(1)]), seals: [{ id: 4, end: '{}', gap: null }] })
  order({ forgets: [4] })
  hung.resolve()
  order({ finish: true })
  await until(({ finished }) => finished)
  const found = await verifySource(memorySource(files.files.get('file-4')!), key.publicKeys())
  expect(found).toMatchObject({ state: 'unsealed', events: 0 })
})

test('little free space is reported while recordings are open', async () => {
  const files = new MemoryFiles()
  files.free = 10
  const { order, until, writer } = writerOn(files, key, { freeBytesMin: 100 })
  writer.watchFreeSpace()
  order({ opens: [opening(1)] })
  await until(({ lowBytes }) => lowBytes === 10)
  order({ finish: true })
  await until(({ finished }) => finished)
})
