import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { Fault } from '../../src/kernel/fault.ts'
import type { Recorder } from '../../src/recording/recorder.ts'
import { openRecording } from '../../src/recording/reading.ts'
import { verifyRecording } from '../../src/recording/verify.ts'
import { collect, startRecordings, temporaryFolder } from './support.ts'

const run = promisify(execFile)
/** Stopping the room breaks what was not sealed; anything before that fails the test. */
const neverFails = (error: Error) => {
  if ((error.cause as Error).message !== 'the gateway has stopped') throw error
}

async function start(settings: Parameters<typeof startRecordings>[1] = {}) {
  const folder = await temporaryFolder()
  const room = await startRecordings(folder.path, settings)
  onTestFinished(async () => {
    await room[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })
  return room
}

test('a session is recorded, sealed, verified and read back', async () => {
  const { recordings, fileOf, key, metrics } = await start()
  const { recorder, path: below } = await recordings.start({ session: 'session-abc', role: 'x' }, 'strict', neverFails)
  expect(below).toMatch(/^\d{4}\/\d\d\/\d\d\/session-abc\.curfew$/)
  recorder.event('q', { n: 1, sql: 'select 1' })
  recorder.event('c', { n: 1, tag: 'SELECT 1', rows: 1, ms: 0.4 })
  await recorder.seal({ by: 'client', code: null, message: null })

  const found = await verifyRecording(fileOf(below), key.publicKeys())
  expect(found).toMatchObject({ state: 'sealed', events: 2, header: { session: 'session-abc', role: 'x', format: 1 } })
  await using recording = await openRecording(fileOf(below))
  expect(recording.manifest?.end).toEqual({ by: 'client', code: null, message: null })
  const [first] = await collect(recording.events())
  expect(first).toMatchObject({ code: 'q', data: { sql: 'select 1' } })
  expect(metrics.counts.get('curfew_recording_bytes_total')).toBe((await stat(fileOf(below))).size)
  expect((await stat(fileOf(below))).mode & 0o777).toBe(0o600)
})

test('an event is on disk within maxUnsaved, without anybody asking', async () => {
  const { recordings, fileOf } = await start({ unsavedMsMax: 100 })
  const { recorder, path: below } = await recordings.start({ session: 'session-1' }, 'strict', neverFails)
  recorder.event('q', { n: 1, sql: 'select 1' })
  await expect.poll(async () => (await verifyRecording(fileOf(below))).events, { interval: 5 }).toBe(1)
  await expect.poll(() => recorder.full).toBe(false)
})

test('more than maxUnsaved is full; drained resolves when the disk has it', async () => {
  const { recordings } = await start({ unsavedBytesMax: 1000 })
  const { recorder } = await recordings.start({ session: 'session-1' }, 'strict', neverFails)
  expect(recorder.full).toBe(false)
  await recorder.drained() // at once
  recorder.event('q', { n: 1, sql: 'x'.repeat(2000) })
  expect(recorder.full).toBe(true)
  await recorder.drained()
  expect(recorder.full).toBe(false)
})

test('off records nothing', async () => {
  const { recordings } = await start()
  const { recorder, path: below } = await recordings.start({ session: 'session-1' }, 'off', neverFails)
  expect(below).toBeNull()
  expect(recorder.active).toBe(false)
  recorder.event('q', 1n)
  await recorder.seal({})
})

test('a disk with less than the threshold free is a refusal with a reason; bestEffort goes unrecorded', async () => {
  const { recordings } = await start({ freeBytesMin: Number.MAX_SAFE_INTEGER })
  const refused = await recordings
    .start({ session: 'session-1' }, 'strict', neverFails)
    .catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(Fault)
  expect(refused).toMatchObject({ code: 'DISK_FULL' })
  const { recorder, path: below } = await recordings.start({ session: 'session-2' }, 'bestEffort', neverFails)
  expect([recorder.active, below]).toEqual([false, null])
})

test('two recordings never share a file', async () => {
  const { recordings } = await start()
  await recordings.start({ session: 'session-1' }, 'strict', neverFails)
  await expect(recordings.start({ session: 'session-1' }, 'strict', () => {})).rejects.toMatchObject({
    code: 'RECORDING_FAILED',
  })
  await expect(recordings.start({ session: '../../etc/passwd' }, 'strict', () => {})).rejects.toThrow(RangeError)
})

test('an event that cannot be written down breaks the recording, not the process', async () => {
  const { recordings, metrics } = await start()
  const failure = Promise.withResolvers<Error>()
  const { recorder } = await recordings.start({ session: 'session-1' }, 'strict', failure.resolve)
  recorder.event('q', { n: 1n })
  expect(await failure.promise).toMatchObject({ code: 'RECORDING_FAILED' })
  expect(recorder.full).toBe(true)
  await expect(recorder.drained()).rejects.toMatchObject({ code: 'RECORDING_FAILED' })
  await expect(recorder.seal({})).rejects.toMatchObject({ code: 'RECORDING_FAILED' })
  expect(metrics.counts.get('curfew_recording_failures_total')).toBe(1)
})

// Goal: many sessions at once, all ending at the same instant, cost few files and no long pause of the main thread.
test('a thousand recordings begin, write and are sealed at once', async () => {
  const { recordings, fileOf, key, metrics } = await start()
  const names = Array.from({ length: 1000 }, (_, index) => `session-${index}`)
  const started = await Promise.all(names.map((session) => recordings.start({ session }, 'strict', neverFails)))
  for (const { recorder } of started) {
    for (let n = 1; n <= 20; n++) recorder.event('q', { n, sql: `select ${n}` })
  }
  let openFilesMax = 0
  const watch = setInterval(() => {
    void readdir('/proc/self/fd').then((open) => (openFilesMax = Math.max(openFilesMax, open.length)))
  }, 5)
  await Promise.all(started.map(({ recorder }) => recorder.seal({ by: 'gate' })))
  clearInterval(watch)
  expect(openFilesMax).toBeLessThan(500)
  expect(metrics.counts.get('curfew_recording_unsaved_bytes')).toBe(0)
  for (const { path: below } of [started[0]!, started[499]!, started[999]!]) {
    expect(await verifyRecording(fileOf(below), key.publicKeys())).toMatchObject({ state: 'sealed', events: 20 })
  }
})

test('when the thread dies, strict recordings fail and the next session gets a new thread', async () => {
  const born = once(process, 'worker') as Promise<[Worker]>
  const { recordings, key, fileOf } = await start()
  const [thread] = await born
  const failure = Promise.withResolvers<Error>()
  const { recorder } = await recordings.start({ session: 'session-1' }, 'strict', failure.resolve)
  const { recorder: spare } = await recordings.start({ session: 'session-2' }, 'bestEffort', neverFails)
  await thread.terminate()
  expect(await failure.promise).toMatchObject({ code: 'RECORDING_FAILED' })
  expect([recorder.full, spare.full, spare.active]).toEqual([true, false, false])
  const next = await recordings.start({ session: 'session-3' }, 'strict', neverFails)
  await next.recorder.seal({})
  expect(await verifyRecording(fileOf(next.path), key.publicKeys())).toMatchObject({ state: 'sealed' })
})

test('disposing waits for what was recorded, and seals nothing', async () => {
  await using folder = await temporaryFolder()
  const room = await startRecordings(folder.path)
  const { recorder, path: below } = await room.recordings.start({ session: 'session-1' }, 'strict', () => {})
  recorder.event('q', { n: 1, sql: 'select 1' })
  await room[Symbol.asyncDispose]()
  expect(await verifyRecording(room.fileOf(below))).toMatchObject({ state: 'unsealed', events: 1, tailBytes: 0 })
  await expect(room.recordings.start({ session: 'session-2' }, 'strict', () => {})).rejects.toMatchObject({
    code: 'SHUTTING_DOWN',
  })
})

// Goal: what was acknowledged before a crash is there after it, and verifies. Method: a real process, killed while it writes.
test('kill -9 leaves a recording that verifies up to its last segment', async () => {
  await using folder = await temporaryFolder()
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./recording-process.ts', import.meta.url)), folder.path],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let said = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    said += chunk as string
    if (said.split('\n').length > 20) break
  }
  child.kill('SIGKILL')
  await once(child, 'exit')
  const saved = said.trimEnd().split('\n').slice(0, -1).map(Number).at(-1)!
  const [file] = await Array.fromAsync(recordingsIn(folder.path))
  const found = await verifyRecording(file!)
  expect(found).toMatchObject({ state: 'unsealed', problem: null, header: { session: 'session-killed' } })
  expect(found.events).toBeGreaterThanOrEqual(saved)
  await using recording = await openRecording(file!)
  const events = await collect(recording.events())
  expect(events.map(({ data }) => (data as { n: number }).n)).toEqual(events.map((_, index) => index + 1))
})

const cannotMount = await whyNoTmpfs()
test(`a disk that runs full ends strict recordings and spares what is written${cannotMount}`, async (context) => {
  if (cannotMount !== '') return context.skip()
  await using folder = await temporaryFolder()
  await using _disk = await smallDisk(path.join(folder.path, 'recordings'), '1m')
  await using room = await startRecordings(folder.path)
  const failure = Promise.withResolvers<Error>()
  const { recorder, path: below } = await room.recordings.start({ session: 'session-1' }, 'strict', failure.resolve)
  const { recorder: spare } = await room.recordings.start({ session: 'session-2' }, 'bestEffort', neverFails)
  while (!recorder.full) {
    recorder.event('q', { n: 1, sql: incompressible(20_000) })
    if (recorder.full) await recorder.drained().catch(() => {})
  }
  expect(await failure.promise).toMatchObject({
    code: 'RECORDING_FAILED',
    cause: { message: expect.stringContaining('ENOSPC') as string },
  })
  await expect(recorder.drained()).rejects.toMatchObject({ code: 'RECORDING_FAILED' })
  spare.event('q', { n: 1, sql: incompressible(200_000) })
  await expect.poll(() => spare.active).toBe(false)
  expect(spare.full).toBe(false)
  await spare.seal({})
  const found = await verifyRecording(room.fileOf(below))
  expect(found).toMatchObject({ state: 'unsealed', problem: null })
  expect(found.events).toBeGreaterThan(0)
})

test(`a disk that is nearly full ends strict recordings while there is room to seal them${cannotMount}`, async (context) => {
  if (cannotMount !== '') return context.skip()
  await using folder = await temporaryFolder()
  const disk = path.join(folder.path, 'recordings')
  await using _disk = await smallDisk(disk, '4m')
  await using room = await startRecordings(folder.path, { freeBytesMin: 2 * 1024 * 1024 })
  const failure = Promise.withResolvers<Error>()
  const strict = await room.recordings.start({ session: 'session-1' }, 'strict', failure.resolve)
  const spare = await room.recordings.start({ session: 'session-2' }, 'bestEffort', neverFails)
  strict.recorder.event('q', { n: 1, sql: 'select 1' })
  await run('dd', ['if=/dev/zero', `of=${path.join(disk, 'other')}`, 'bs=1M', 'count=3'])
  expect(await failure.promise).toMatchObject({ code: 'RECORDING_FAILED', cause: { code: 'DISK_FULL' } })
  strict.recorder.event('m', { kind: 'cut', text: 'bye' })
  await Promise.all([strict, spare].map(({ recorder }) => recorder.seal({ by: 'gate', code: 'RECORDING_FAILED' })))
  const sealed = await verifyRecording(room.fileOf(strict.path), room.key.publicKeys())
  expect(sealed).toMatchObject({ state: 'sealed', events: 2 })
  const gap = (await verifyRecording(room.fileOf(spare.path), room.key.publicKeys())).manifest?.gap
  expect(gap?.why).toMatch(/free/)
  await expect(room.recordings.start({ session: 'session-3' }, 'strict', () => {})).rejects.toMatchObject({
    code: 'DISK_FULL',
  })
})

// Goal: at hundreds of megabytes a second, too, the session ends while there is room to say why. Method: a disk of a few
// megabytes, filled within less than the second between two looks at it.
test(`bytes at full speed stop before the disk is full${cannotMount}`, async (context) => {
  if (cannotMount !== '') return context.skip()
  await using folder = await temporaryFolder()
  const disk = path.join(folder.path, 'recordings')
  await using _disk = await smallDisk(disk, '40m')
  await using room = await startRecordings(folder.path, { freeBytesMin: 4 * 1024 * 1024 })
  const failure = Promise.withResolvers<Error>()
  const strict = await room.recordings.start({ session: 'session-1' }, 'strict', failure.resolve)
  // Too long for anything to find out that it comes again.
  const bytes = randomBytes(4 * 1024 * 1024)
  const piece = (n: number) => bytes.subarray((n % 128) * 32 * 1024, ((n % 128) + 1) * 32 * 1024)
  for (let n = 0; n < 4000 && !(await refused(strict.recorder)); n++) strict.recorder.bytes('=o', { ch: 1 }, piece(n))
  expect(await failure.promise).toMatchObject({ code: 'RECORDING_FAILED', cause: { code: 'DISK_FULL' } })
  strict.recorder.event('m', { kind: 'cut', text: 'bye' })
  await strict.recorder.seal({ by: 'gate', code: 'RECORDING_FAILED' })
  const { bavail, bsize } = await statfs(disk)
  expect(bavail * bsize).toBeGreaterThan(1024 * 1024)
  expect(bavail * bsize).toBeLessThan(4.1 * 1024 * 1024)
  expect(await verifyRecording(room.fileOf(strict.path), room.key.publicKeys())).toMatchObject({ state: 'sealed' })
})

async function refused(recorder: Recorder): Promise<boolean> {
  if (!recorder.full) return false
  return recorder.drained().then(
    () => false,
    () => true,
  )
}

async function smallDisk(folder: string, size: string): Promise<AsyncDisposable> {
  await mkdir(folder)
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder])
  return { [Symbol.asyncDispose]: async () => void (await run('umount', [folder])) }
}

/** Empty when a small disk can be mounted; else the reason, for the test's name. */
async function whyNoTmpfs(): Promise<string> {
  if (process.platform !== 'linux') return ' (cannot run: needs Linux)'
  if (process.getuid?.() !== 0) return ' (cannot run: needs root to mount a small disk)'
  await using folder = await temporaryFolder()
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder.path])
    await run('umount', [folder.path])
    return ''
  } catch {
    return ' (cannot run: mounting is not allowed here)'
  }
}

function incompressible(length: number): string {
  return randomBytes(length).toString('base64')
}

async function* recordingsIn(folder: string): AsyncGenerator<string> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.name.endsWith('.curfew')) yield path.join(entry.parentPath, entry.name)
  }
}
