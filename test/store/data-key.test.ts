import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDataKey } from '../../src/store/data-key.ts'
import { lockFolder } from '../../src/store/folder-lock.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-data-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('is made once, for its owner alone, also by two at the same instant', async () => {
  const [one, other] = await Promise.all([openDataKey(folder), openDataKey(folder)])
  expect(one).toHaveLength(32)
  expect(Buffer.from(other).equals(one)).toBe(true)
  expect(await readdir(join(folder, 'keys'))).toEqual(['data.key'])
  expect((await stat(join(folder, 'keys', 'data.key'))).mode & 0o777).toBe(0o600)
})

test('is refused when it is no key, and when everybody can read it', async () => {
  await openDataKey(folder)
  const path = join(folder, 'keys', 'data.key')
  await chmod(path, 0o644)
  await expect(openDataKey(folder)).rejects.toMatchObject({ code: 'STORE_FAILED', hint: `chmod 600 ${path}` })
  await chmod(path, 0o600)
  await writeFile(path, 'short')
  await expect(openDataKey(folder)).rejects.toMatchObject({ code: 'STORE_FAILED' })
})

test('a folder is held by one until it is let go', () => {
  const first = lockFolder(folder)
  expect(() => lockFolder(folder)).toThrow('Another gateway runs on')
  first[Symbol.dispose]()
  lockFolder(folder)[Symbol.dispose]()
})

test('a folder in which the lock cannot be made is refused in words', async () => {
  await mkdir(join(folder, 'gateway.lock'))
  expect(() => lockFolder(folder)).toThrow(expect.objectContaining({ code: 'STORE_FAILED', hint: expect.any(String) }))
})

// SQLite opens what it may not write for reading, and then locks nothing.
test('a lock file that may only be read holds nobody off, and is refused', async () => {
  const nobody = 65_534
  const isRoot = process.geteuid?.() === 0
  await writeFile(join(folder, 'gateway.lock'), '', { mode: 0o444 })
  if (isRoot) await chown(folder, nobody, nobody)
  if (isRoot) process.seteuid?.(nobody)
  try {
    expect(() => lockFolder(folder)).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }))
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})
