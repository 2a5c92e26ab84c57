import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import path from 'node:path'

/** Steps of writing a file so that others see all of it or nothing, and a loss of power does not undo it. */

/** Writes `text` into a new file in `folder`, on disk. @returns its path, to be linked or renamed to the real one. */
export async function writeAside(folder: string, text: string, mode: number): Promise<string> {
  const aside = path.join(folder, `.new-${randomBytes(8).toString('hex')}`)
  await using handle = await open(aside, 'wx', mode)
  await handle.writeFile(text)
  await handle.sync()
  return aside
}

/** Makes the names in `folder` last. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

/** For `catch`: undefined when there is no such file; other failures are thrown on. */
export function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
