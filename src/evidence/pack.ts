import { createHash } from 'node:crypto'
import type { Instant } from '../kernel/time.ts'
import { isoTime } from '../kernel/time.ts'
import { textFile, type BundleFile } from './files.ts'
import {
  bundleType,
  manifestBytesMax,
  manifestName,
  signatureName,
  type BundleManifest,
  type ListedFile,
} from './manifest.ts'
import { archiveEnd, fileHeader, filesMax, filling } from './tar.ts'

export interface Packing {
  /** What the manifest says besides the files. */
  readonly about: Omit<BundleManifest, 'format' | 'files' | 'madeAt'>
  readonly madeAt: Instant
  readonly sign: (type: string, payload: unknown) => Promise<string>
}

/** The archive as it is written: each file when it comes, then the list of them and its signature. Holds no file as a whole. */
export async function* pack(files: AsyncIterable<BundleFile>, packing: Packing): AsyncGenerator<Uint8Array> {
  const { about, madeAt, sign } = packing
  const atSeconds = Math.floor(madeAt / 1000)
  const list: ListedFile[] = []
  for await (const file of files) {
    if (list.length === filesMax - 2) throw new RangeError('a bundle of too many files')
    list.push(yield* packed(file, atSeconds))
  }
  const manifest: BundleManifest = { format: 1, ...about, madeAt: isoTime(madeAt), files: list }
  const text = JSON.stringify(manifest)
  if (text.length > manifestBytesMax) throw new RangeError('a bundle with too long a list')
  // The signed text is the file itself, byte for byte.
  yield* packed(textFile(manifestName, text), atSeconds)
  yield* packed(textFile(signatureName, await sign(bundleType, manifest)), atSeconds)
  yield archiveEnd
}

async function* packed(file: BundleFile, atSeconds: number): AsyncGenerator<Uint8Array, ListedFile> {
  const { name, sizeBytes } = file
  yield fileHeader({ name, sizeBytes, atSeconds })
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of file.bytes) {
    hash.update(piece)
    bytes += piece.byteLength
    yield piece
  }
  if (bytes !== sizeBytes) throw new RangeError(`${name} has ${bytes} bytes instead of ${sizeBytes}`)
  yield filling(sizeBytes)
  return { name, bytes, sha256: hash.digest('hex') }
}
