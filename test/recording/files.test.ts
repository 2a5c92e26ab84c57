import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { open, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { DirectWrites } from '../../src/recording/direct-writes.ts'
import { DiskFiles } from '../../src/recording/files.ts'
import { temporaryFolder } from './support.ts'

test('what is appended stands in the file, written past the cache or not', async () => {
  await using folder = await temporaryFolder()
  const header = randomBytes(100)
  const whole = [header]
  await using files = new DiskFiles(folder.path)
  await files.create('a', header)
  let offset = header.length
  // To a whole page, whole pages (also more than go at once), some bytes, to a whole page, and whole pages again.
  const appends = [[3996], [65_536], [1, 4095, 200_000, 2_798_272], [70_000], [77], [3651], [4096 * 20], [4096 * 30]]
  for (const sizes of appends) {
    const buffers = sizes.map((size) => randomBytes(size))
    await files.append('a', buffers, offset)
    whole.push(...buffers)
    offset += buffers.reduce((sum, { length }) => sum + length, 0)
    if (sizes.length > 1) await files.close('a')
  }
  expect((await readFile(path.join(folder.path, 'a'))).equals(Buffer.concat(whole))).toBe(true)
})

test('a file that is gone cannot be written, past the cache or not', async () => {
  await using folder = await temporaryFolder()
  await using files = new DiskFiles(folder.path)
  await expect(files.append('none', [Buffer.alloc(65_536)], 0)).rejects.toThrow('ENOENT')
})

test.runIf(process.platform === 'linux')(
  'a refusal of the system is the last one (Linux only: other systems have no such writes)',
  async () => {
    await using folder = await temporaryFolder()
    const file = path.join(folder.path, 'a')
    await writeFile(file, '')
    const direct = new DirectWrites()
    expect(direct.suits(4096, 65_536)).toBe(true)
    expect([direct.suits(4095, 65_536), direct.suits(4096, 65_537), direct.suits(4096, 4096)]).toEqual([
      false,
      false,
      false,
    ])
    await using handle = (await direct.open(file)) ?? (await open(file, 'r+'))
    const pages = randomBytes(65_536)
    expect(await direct.write(handle, [pages], 0)).toBe(pages.length)
    expect((await readFile(file)).equals(pages)).toBe(true)
    expect(await direct.write(handle, [Buffer.alloc(100)], 1)).toBe(0)
    expect(direct.suits(4096, 65_536)).toBe(false)
    await expect(direct.open(path.join(folder.path, 'none'))).rejects.toThrow('ENOENT')
  },
)

test.runIf(process.platform === 'linux')(
  'a process that may open no more files goes on writing (Linux only, as above)',
  async () => {
    await using folder = await temporaryFolder()
    const room = new URL('../../src/recording/files.ts', import.meta.url).href
    const program = `
    import { openSync, closeSync } from 'node:fs'
    import { DiskFiles } from '${room}'
    const files = new DiskFiles(process.argv[1])
    await files.create('a', Buffer.alloc(4096))
    const taken = []
    try { for (;;) taken.push(openSync('/dev/null')) } catch {}
    await files.append('a', [Buffer.alloc(65536, 1)], 4096)
    taken.forEach((one) => closeSync(one))
    await files[Symbol.asyncDispose]()`
    const limited = ['-c', 'ulimit -n 100; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', program]
    await promisify(execFile)('sh', [...limited, folder.path])
    expect((await readFile(path.join(folder.path, 'a'))).subarray(4096).equals(Buffer.alloc(65_536, 1))).toBe(true)
  },
)
