// Goal: a session that writes without end fills no disk and slows nobody: it ends when there is no room to record it, with
// the others that may not go unrecorded, and when there is room again, new ones begin.
// Method: `cat /dev/urandom` at a terminal, on a disk of 400 MB that is nearly full, and on one that is not.
import { execFile } from 'node:child_process'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../servers/postgres.ts'
import { startSeparateSshGateway } from '../servers/separate-ssh-gateway.ts'
import { EchoingSession } from './echoing-session.ts'
import { isRoot, makeDataFolder } from './small-disk.ts'

const run = promisify(execFile)
const stack = new AsyncDisposableStack()
const lengthMs = 3_600_000
let postgres: TestPostgres
beforeAll(async () => {
  if (isRoot) postgres = stack.use(await startPostgres())
})
afterAll(() => stack.disposeAsync())

const mebibyte = 1 << 20
const freeBytesMin = 64 * mebibyte
/** What is there to be filled. */
const roomBytes = 24 * mebibyte
/** What may be written before it is noticed, and what the ends of the recordings take. */
const overBytesMax = 8 * mebibyte
const roundTripMsMax = 1000

test.runIf(isRoot)('a full disk ends the sessions, and room lets new ones in (needs root to mount one)', async () => {
  await using disk = new AsyncDisposableStack()
  const data = await makeDataFolder(disk)
  await using gateway = await startSeparateSshGateway({
    ...{ postgres, data, lengthMs },
    configure: (config) => (config.recording = { minFree: `${freeBytesMin / mebibyte}MiB` }),
  })
  const recordings = join(data, 'recordings')
  const { token } = await gateway.enter(lengthMs)
  const other = await gateway.connect(token)
  await using still = gateway.ssh('echo on; exec cat')
  await still.until(/on/)
  const filler = join(recordings, 'filler')
  const bytes = (await freeBytes(recordings)) - freeBytesMin - roomBytes
  await run('fallocate', ['-l', String(bytes), filler])
  await using endless = gateway.ssh('-tt', 'cat /dev/urandom')
  for (const { status, stdout, stderr } of [await endless.exited(), await still.exited()]) {
    expect(status).toBe(255)
    expect(stdout + stderr).toContain('The recording cannot be written.')
  }
  expect((await other.end).message).toContain('The recording cannot be written.')
  expect(await freeBytes(recordings)).toBeGreaterThan(freeBytesMin - overBytesMax)
  await rm(filler)
  await expect.poll(async () => (await fetch(new URL('/readyz', gateway.opsUrl))).status, { timeout: 5000 }).toBe(200)
  await using again = gateway.ssh('echo in again')
  expect(await again.exited()).toMatchObject({ status: 0, stdout: 'in again\n' })
  const { client } = await gateway.connect(token)
  await client.end()
})

test.runIf(isRoot)('a session that writes without end slows no other (needs root to start sshd)', async () => {
  await using gateway = await startSeparateSshGateway({ postgres, lengthMs })
  await using echoing = new EchoingSession(gateway)
  await echoing.once()
  await using endless = gateway.ssh('-tt', 'cat /dev/urandom')
  await echoing.goesOnDuring(() => sleep(4000))
  expect(endless.stdout.length).toBeGreaterThan(mebibyte)
  expect(echoing.longestMs).toBeLessThan(roundTripMsMax)
})

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
