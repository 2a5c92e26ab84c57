import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../kernel/fault.ts'

const keyBytes = 32

/**
 * The key that seals what the state must keep but nobody needs to read (refresh tokens, sign-in flows).
 * Made on first start at `<folder>/keys/data.key`, mode 0600.
 * @returns 32 bytes.
 * @throws Fault STORE_FAILED when the file is not such a key.
 */
export async function openDataKey(folder: string): Promise<Uint8Array> {
  const path = join(folder, 'keys', 'data.key')
  await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 })
  try {
    await writeFile(path, randomBytes(keyBytes), { flag: 'wx', mode: 0o600, flush: true })
  } catch (error) {
    // Another start made it; anything else is a real problem.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const key = await readFile(path)
  if (key.length === keyBytes) return key
  throw new Fault('STORE_FAILED', `${path} does not hold a key of ${keyBytes} bytes.`, {
    hint: 'Put the file back from a backup. Removing it signs everybody out.',
  })
}
