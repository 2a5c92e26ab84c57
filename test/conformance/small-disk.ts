import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Small enough to be filled. */
const diskBytes = 400 << 20

export const isRoot = process.getuid?.() === 0

/** A data folder whose recordings lie on a disk of their own, where that can be had: only root may mount one. */
export async function makeDataFolder(stack: AsyncDisposableStack): Promise<string> {
  const data = await mkdtemp(join(tmpdir(), 'curfew-conformance-'))
  stack.defer(() => rm(data, { recursive: true }))
  if (!isRoot) return data
  await mkdir(join(data, 'recordings'))
  await run('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'curfew-test', join(data, 'recordings')])
  stack.defer(() => run('umount', ['-l', join(data, 'recordings')]).then(() => undefined))
  return data
}
