import { once } from 'node:events'
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { openSqliteState } from '../../src/store/sqlite/open.ts'
import { accessStoreContract } from '../contracts/access-store.ts'
import { approvalStepsContract } from '../contracts/approval-steps.ts'
import { outboxContract } from '../contracts/outbox.ts'
import { auditStoreContract } from '../contracts/audit-store.ts'
import { changeFeedContract } from '../contracts/change-feed.ts'
import { evidenceStoreContract } from '../contracts/evidence-store.ts'
import { identityStoreContract } from '../contracts/identity-store.ts'
import { sessionStoreContract } from '../contracts/session-store.ts'
import { someEvent, storePerson } from '../contracts/samples.ts'
import { makeSqlitePlace, silence } from './place.ts'
import { openRaw } from './raw.ts'

describe('access', () => accessStoreContract(() => makeSqlitePlace()))
describe('approvals', () => approvalStepsContract(() => makeSqlitePlace()))
describe('outbox', () => outboxContract(() => makeSqlitePlace()))
describe('identity', () => identityStoreContract(() => makeSqlitePlace()))
describe('sessions', () => sessionStoreContract(() => makeSqlitePlace()))
describe('evidence', () => evidenceStoreContract(() => makeSqlitePlace()))
describe('audit', () => auditStoreContract(() => makeSqlitePlace()))
describe('changes', () => changeFeedContract(() => makeSqlitePlace()))

describe('the file', () => {
  test('is for its owner only, also when the folder was open to others', async () => {
    await using place = await makeSqlitePlace()
    await chmod(place.folder, 0o755)
    const state = await place.open()
    await storePerson(state)
    const modes = await Promise.all(
      ['', 'state.db', 'state.db-wal', 'state.db-shm'].map(async (name) => (await stat(join(place.folder, name))).mode),
    )
    expect(modes.map((mode) => (mode & 0o777).toString(8))).toEqual(['700', '600', '600', '600'])
  })

  test('is kept with its content when opened again', async () => {
    await using place = await makeSqlitePlace()
    const first = await place.open()
    const person = await storePerson(first)
    await first[Symbol.asyncDispose]()
    const second = await place.open()
    expect(await second.identity.person(person.id)).toEqual(person)
    expect(await second.healthy()).toBe(true)
  })

  // Only what reaches the disk tells that it is full, or can only be read by now.
  test('is healthy when a write has reached it, and left as it was', async () => {
    await using place = await makeSqlitePlace()
    const state = await place.open()
    using database = openRaw(place.file)
    const position = () => database.prepare('select * from notify_position').get()
    const before = { wal: await stat(`${place.file}-wal`), position: position() }
    expect(await state.healthy()).toBe(true)
    expect((await stat(`${place.file}-wal`)).size).toBeGreaterThan(before.wal.size)
    expect(position()).toEqual(before.position)
  })

  test('may be opened by several at once, even the first time', async () => {
    await using place = await makeSqlitePlace()
    const states = await Promise.all(Array.from({ length: 4 }, () => place.open()))
    await Promise.all(states.map((state) => state.audit.append([someEvent()])))
    for (const state of states) expect((await state.audit.head()).sequence).toBe(4)
  })

  test('of a newer Curfew is refused with a hint, and left alone', async () => {
    await using place = await makeSqlitePlace()
    await (await place.open())[Symbol.asyncDispose]()
    using database = openRaw(place.file)
    database.exec('insert into schema_version (version) values (99)')
    await expect(place.open()).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('schema 99'),
      hint: expect.stringContaining('newer version'),
    })
  })

  test('that is no database, and a folder that cannot be, are refused', async () => {
    await using place = await makeSqlitePlace()
    const options = { clock: place.clock, log: silence }
    const folder = join(place.folder, 'other')
    await mkdir(folder)
    await writeFile(join(folder, 'state.db'), 'certainly not a database, '.repeat(100))
    await expect(openSqliteState({ ...options, folder })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('state.db could not be opened: file is not a database'),
      hint: expect.stringContaining('backup'),
    })
    const below = join(folder, 'state.db', 'below')
    await expect(openSqliteState({ ...options, folder: below })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      hint: expect.stringContaining('gateway.data'),
    })
  })
})

describe('the worker', () => {
  // Goal: a thread that dies never leaves anybody waiting. Method: it is ended while transactions and reads are under way.
  test.each(['curfew-state-writer', 'curfew-state-reader'])('%s: its end rejects what waits for it', async (name) => {
    const lines: string[] = []
    await using place = await makeSqlitePlace({ ...silence, error: (_, line) => lines.push(line) })
    const workers: Worker[] = []
    const note = (worker: Worker) => workers.push(worker)
    process.on('worker', note)
    const state = await place.open()
    process.off('worker', note)
    const pending =
      name === 'curfew-state-writer'
        ? Array.from({ length: 50 }, () => state.audit.append([someEvent()]))
        : Array.from({ length: 50 }, () => state.audit.head())
    const outcomes = Promise.allSettled([...pending, new Promise((_, reject) => queueMicrotask(reject))])
    const victim = workers.find((worker) => worker.threadName === name)
    const [gone] = [once(victim!, 'exit'), victim!.terminate()]
    await gone
    const reasons = (await outcomes).slice(0, 50).flatMap((outcome) => ('reason' in outcome ? [outcome.reason] : []))
    for (const reason of reasons) expect(reason).toMatchObject({ code: 'STORE_FAILED' })
    expect(reasons.length).toBeGreaterThan(0)
    const later = name === 'curfew-state-writer' ? state.audit.append([someEvent()]) : state.audit.head()
    await expect(later).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(await state.healthy()).toBe(false)
    expect(lines).toEqual(['a thread of the state has ended'])
  })

  test('closing lets go what was begun, and refuses what comes after', async () => {
    await using place = await makeSqlitePlace()
    const state = await place.open()
    const begun = Promise.all(Array.from({ length: 100 }, () => state.audit.append([someEvent()])))
    await state[Symbol.asyncDispose]()
    await begun
    await expect(state.audit.append([someEvent()])).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect(state.audit.head()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(await state.healthy()).toBe(false)
    const again = await place.open()
    expect((await again.audit.head()).sequence).toBe(100)
    expect(place.clock.timers).toBe(1)
  })
})
