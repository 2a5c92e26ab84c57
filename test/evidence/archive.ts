/** Bundles as tests take them apart and put them together again. */
import { archiveEnd, fileHeader, filling, readEntries } from '../../src/evidence/tar.ts'
import type { ByteSource } from '../../src/recording/source.ts'

export function memorySource(bytes: Buffer): ByteSource {
  return {
    sizeBytes: bytes.length,
    read: async (offset, lengthBytes) => bytes.subarray(offset, Math.max(offset, offset + lengthBytes)),
    [Symbol.asyncDispose]: async () => {},
  }
}

export interface Packed {
  readonly name: string
  readonly bytes: Buffer
}

export async function unpack(archive: Buffer): Promise<Packed[]> {
  const entries = await Array.fromAsync(readEntries(memorySource(archive)))
  return entries.map(({ name, offset, sizeBytes }) => ({ name, bytes: archive.subarray(offset, offset + sizeBytes) }))
}

export function repack(files: readonly Packed[], atSeconds: number): Buffer {
  const parts = files.flatMap(({ name, bytes }) => [
    fileHeader({ name, sizeBytes: bytes.length, atSeconds }),
    bytes,
    filling(bytes.length),
  ])
  return Buffer.concat([...parts, archiveEnd])
}
