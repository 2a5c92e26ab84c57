import type { BigIntStats } from 'node:fs'
import { open } from 'node:fs/promises'

/** Databases with cities have some 120 MB, those with countries 10. */
const bytesMax = 256 * 1024 * 1024
const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
/** @see MaxMind DB File Format Specification, "Database Metadata": in the last 128 KiB */
const metadataBytesMax = 128 * 1024

/** Something else is in the file, or nothing. The message says what, after the file's name. */
export class NoMmdbFile extends Error {}

/**
 * Reads a whole file in the format of MaxMind DB.
 * @param stamp of the file as it was read before; undefined is returned when it is still the same.
 * @throws NoMmdbFile; system errors (ENOENT, EACCES, EISDIR) as they are
 */
export async function readMmdbFile(
  file: string,
  stamp?: string,
): Promise<{ readonly bytes: Buffer; readonly stamp: string } | undefined> {
  await using handle = await open(file, 'r')
  const before = await handle.stat({ bigint: true })
  const read = stampOf(before)
  if (read === stamp) return undefined
  if (before.size > bytesMax) throw new NoMmdbFile(`has ${before.size} bytes, more than ${bytesMax}`)
  const bytes = await handle.readFile()
  if (stampOf(await handle.stat({ bigint: true })) !== read) throw new NoMmdbFile('changed while it was read')
  if (bytes.lastIndexOf(marker) < Math.max(0, bytes.length - metadataBytesMax)) {
    throw new NoMmdbFile('is no database in the format of MaxMind DB')
  }
  return { bytes, stamp: read }
}

function stampOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(':')
}
