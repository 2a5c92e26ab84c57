import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../kernel/fault.ts'

const keyBytes = 32
/** Anything for everybody on the machine. */
const othersBits = 0o007

/**
 * The key that seals what the state must keep but nobody needs to read (refresh tokens, sign-in flows).
 * Made on first start at `<folder>/keys/data.key`, mode 0600.
 * @returns 32 bytes.
 * @throws Fault STORE_FAILED when the file is not such a key, or everybody on the machine may read it.
 */
export async function openDataKey(folder: string): Promise<Uint8Array> {
  const path = join(folder, 'keys', 'data.key')
  await mkdir(join(folder, 'keys'), { recursive: true, mode: 0o700 })
  await makeKey(path)
  if (((await stat(path)).mode & othersBits) !== 0) {
    throw new Fault('STORE_FAILED', `${path} can be read by everybody on this machine.`, { hint: `chmod 600 ${path}` })
  }
  const key = await readFile(path)
  if (key.length === keyBytes) return key
  throw new Fault('STORE_FAILED', `${path} does not hold a key of ${keyBytes} bytes.`, {
    hint: 'Put the file back from a backup. Without it, groups are not refreshed until people sign in again.',
  })
}

/** Written aside and linked into place, so that there is never half a key. */
async function makeKey(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await stat(path)
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  await writeFile(aside, randomBytes(keyBytes), { mode: 0o600, flush: true })
  try {
    await link(aside, path)
  } catch (error) {
    // Another start was quicker; its key is as good.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(aside, { force: true })
  }
}
