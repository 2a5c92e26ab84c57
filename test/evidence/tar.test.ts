// Goal: what we pack is what everybody's tar unpacks, and of every other archive we take nothing.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { archiveEnd, fileHeader, filling, NoArchive, readEntries } from '../../src/evidence/tar.ts'
import { memorySource } from './archive.ts'

const atSeconds = 1_700_000_000

function archive(files: Readonly<Record<string, Buffer>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, bytes]) => [
    fileHeader({ name, sizeBytes: bytes.length, atSeconds }),
    bytes,
    filling(bytes.length),
  ])
  return Buffer.concat([...parts, archiveEnd])
}
const read = (bytes: Buffer) => Array.fromAsync(readEntries(memorySource(bytes)))

const files = {
  'README.md': Buffer.from('hello'),
  'recordings/session-abc/chain.jsonl': Buffer.alloc(512, 'x'),
  'empty.json': Buffer.alloc(0),
  'audit-2.jsonl': Buffer.alloc(1000, 'y'),
}

test('tar lists and unpacks it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'curfew-tar-'))
  try {
    writeFileSync(join(folder, 'a.tar'), archive(files))
    const listed = execFileSync('tar', ['tvf', 'a.tar'], { cwd: folder, encoding: 'utf8', env: { TZ: 'UTC' } })
    expect(listed).toMatch(/^-rw-r--r-- .* 5 2023-11-14 22:13 README\.md\n/)
    execFileSync('tar', ['xf', 'a.tar'], { cwd: folder })
    for (const [name, bytes] of Object.entries(files)) expect(readFileSync(join(folder, name)).equals(bytes)).toBe(true)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('it reads what it wrote', async () => {
  const entries = await read(archive(files))
  expect(entries.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual(
    Object.entries(files).map(([name, { length }]) => [name, length]),
  )
})

test('a changed byte is in a file, or is refused', async () => {
  const whole = archive(files)
  const entries = await read(whole)
  const isContent = (at: number) => entries.some(({ offset, sizeBytes }) => at >= offset && at < offset + sizeBytes)
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const changed = Buffer.from(whole)
      changed[at]! ^= change
      const found = await read(changed).catch((error: unknown) => error)
      if (isContent(at)) expect(found).toEqual(entries)
      else expect(found).toBeInstanceOf(NoArchive)
    }),
    { numRuns: 2000 },
  )
})

test('what is cut, doubled or goes on is refused', async () => {
  const whole = archive(files)
  for (const bytes of [
    whole.subarray(0, -1),
    whole.subarray(0, -512),
    whole.subarray(0, 700),
    Buffer.alloc(0),
    Buffer.concat([whole, Buffer.alloc(1)]),
    Buffer.concat([whole, whole]),
    Buffer.concat([whole.subarray(0, 1024), whole]),
  ]) {
    await expect(read(bytes)).rejects.toThrow(NoArchive)
  }
})

test.each([
  ['a path that leads out', '../../etc/passwd'],
  ['a path from the root', '/etc/passwd'],
  ['a path through a parent', 'recordings/../../x.json'],
  ['a hidden file', '.bashrc'],
  ['an empty part', 'recordings//x.json'],
  ['another separator', 'recordings\\x.json'],
  ['a name for a terminal', 'a\u001b[2J.json'],
  ['a name that is too long', `${'a'.repeat(99)}.json`],
])('%s is refused', async (_, name) => {
  expect(() => fileHeader({ name, sizeBytes: 1, atSeconds })).toThrow(RangeError)
  await expect(read(byHand(name.slice(0, 100), '0'))).rejects.toThrow('a name that no bundle has')
})

test.each([
  ['a link', '2'],
  ['a hard link', '1'],
  ['a folder', '5'],
  ['a device', '3'],
  ['a long name of GNU', 'L'],
  ['headers of pax', 'x'],
])('%s is refused', async (_, kind) => {
  await expect(read(byHand('README.md', kind))).rejects.toThrow('no file begins here')
})

/** A header whose sum is right, whatever it says. */
function byHand(name: string, kind: string): Buffer {
  const block = fileHeader({ name: 'x.json', sizeBytes: 0, atSeconds })
  block.fill(0, 0, 100)
  block.write(name, 0, 'latin1')
  block.write(kind, 156, 'latin1')
  block.write('        ', 148, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return Buffer.concat([block, archiveEnd])
}
