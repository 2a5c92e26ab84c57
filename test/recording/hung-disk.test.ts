import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { DiskTurns } from '../../src/recording/disk-turns.ts'
import { type Folder, temporaryFolder } from './support.ts'

const run = promisify(execFile)
const threads = 8

const cannotFreeze = await whyNoDisk()
// Goal: a disk that hangs does not take all threads of the process, or nobody could sign in or reach a target any more.
// Method: a real file system that is frozen, and files that never open, with as many threads as the gateway has.
test(`while the disk hangs names are looked up${cannotFreeze}`, { timeout: 120_000 }, async (context) => {
  if (cannotFreeze !== '') return context.skip()
  await using folder = await temporaryFolder()
  await using disk = await smallDisk(folder)
  const pipes = path.join(folder.path, 'pipes')
  await mkdir(pipes)
  await run(
    'mkfifo',
    Array.from({ length: 12 }, (_, index) => path.join(pipes, `file-${index}`)),
  )
  const program = fileURLToPath(new URL('./hung-disk-process.ts', import.meta.url))
  const child = spawn(process.execPath, [program, disk.path, pipes], {
    ...{ stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, UV_THREADPOOL_SIZE: String(threads) } },
  })
  const exited = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('written')
  await run('fsfreeze', ['-f', disk.path])
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000)
  try {
    child.stdin.write('go on\n')
    expect((await lines.next()).value).toBe('looked up')
  } finally {
    await run('fsfreeze', ['-u', disk.path])
    clearTimeout(late)
  }
  child.stdin.write('go on\n')
  expect((await lines.next()).value).toBe('all written')
  child.kill('SIGKILL') // nobody ever writes to the pipes, and it would wait for them
  await exited
  expect(await readdir(disk.path)).toHaveLength(13 + 1) // and lost+found
})

test('each has its turn, in order, and so many at once', async () => {
  const turns = new DiskTurns(2)
  const slow = Array.from({ length: 5 }, () => Promise.withResolvers<number>())
  const begun: number[] = []
  const taken = slow.map(({ promise }, index) => turns.take(() => (begun.push(index), promise)))
  expect(begun).toEqual([0, 1])
  slow[1]!.reject(new Error('EIO'))
  await expect(taken[1]).rejects.toThrow('EIO')
  expect(begun).toEqual([0, 1, 2])
  for (const index of [0, 2, 3, 4]) slow[index]!.resolve(index)
  await Promise.all([taken[0], taken[2], taken[3], taken[4]])
  expect(begun).toEqual([0, 1, 2, 3, 4])
})

async function smallDisk(folder: Folder): Promise<AsyncDisposable & { readonly path: string }> {
  const image = path.join(folder.path, 'image')
  const place = path.join(folder.path, 'disk')
  await mkdir(place)
  await writeFile(image, Buffer.alloc(16 * 1024 * 1024))
  await run('mkfs.ext4', ['-q', image])
  await run('mount', ['-o', 'loop', image, place])
  return { path: place, [Symbol.asyncDispose]: async () => void (await run('umount', [place])) }
}

/** Empty when a disk can be mounted and frozen; else the reason, for the test's name. */
async function whyNoDisk(): Promise<string> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return ' (cannot run: needs Linux and root)'
  await using folder = await temporaryFolder()
  try {
    await using disk = await smallDisk(folder)
    await run('fsfreeze', ['-f', disk.path])
    await run('fsfreeze', ['-u', disk.path])
    return ''
  } catch {
    return ' (cannot run: a disk cannot be mounted and frozen here)'
  }
}
