import { createHash } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import { readSigned, type UsedKey } from '../kernel/signed.ts'
import type { ByteSource } from '../recording/source.ts'
import {
  bundleType,
  manifestBytesMax,
  manifestName,
  parseManifest,
  signatureName,
  type BundleManifest,
  type ListedFile,
} from './manifest.ts'
import { NoArchive, readEntries, type Entry } from './tar.ts'

/** A bundle whose list is signed, and whose files are all as that list says. */
export interface OpenBundle {
  readonly manifest: BundleManifest
  readonly key: UsedKey
  readonly names: ReadonlySet<string>
  /** Bytes of one of its files, by range; it must be among `names`. */
  file(name: string): ByteSource
}

/** What is wrong with a bundle, and where. */
export class BrokenBundle extends Error {
  /** The file of the bundle that it is about; null: the archive itself. */
  readonly part: string | null
  constructor(part: string | null, what: string) {
    super(what)
    this.part = part
  }
}

const signatureBytesMax = 2 * manifestBytesMax
const pieceBytes = 256 * 1024

/**
 * Reads a bundle from end to end and checks every byte of it: archive, list, signature and each file. Holds the list and a
 * piece of a file, whatever the archive holds.
 * @param trusted keys that somebody vouches for. Without them the one in the bundle shows damage, but not who made it.
 * @throws BrokenBundle
 */
export async function openBundle(source: ByteSource, trusted: JSONWebKeySet): Promise<OpenBundle> {
  const entries = await readAll(source)
  const [list, signature] = entries.splice(-2)
  if (list?.name !== manifestName || signature?.name !== signatureName) {
    throw new BrokenBundle(null, 'it does not end with its list and signature')
  }
  const { manifest, key } = await readList(source, list, signature, trusted)
  checkTimes([...entries, list, signature], manifest)
  if (entries.length !== manifest.files.length) throw new BrokenBundle(null, differing(entries, manifest.files))
  for (const [index, entry] of entries.entries()) await checkFile(source, entry, manifest.files[index]!)
  const places = new Map(entries.map((entry) => [entry.name, entry]))
  return { manifest, key, names: new Set(places.keys()), file: (name) => part(source, places.get(name)!) }
}

async function readAll(source: ByteSource): Promise<Entry[]> {
  try {
    return await Array.fromAsync(readEntries(source))
  } catch (error) {
    if (!(error instanceof NoArchive)) throw error
    throw new BrokenBundle(null, `${error.message} (byte ${error.offset})`)
  }
}

async function readList(source: ByteSource, list: Entry, signature: Entry, trusted: JSONWebKeySet) {
  if (list.sizeBytes > manifestBytesMax || signature.sizeBytes > signatureBytesMax) {
    throw new BrokenBundle(manifestName, 'the list is longer than any')
  }
  const bytes = await source.read(list.offset, list.sizeBytes)
  const jws = (await source.read(signature.offset, signature.sizeBytes)).toString('latin1')
  const { payload, key } = await readSigned(jws, bundleType, trusted)
  if (payload === null || key === null) throw new BrokenBundle(signatureName, 'the signature is wrong')
  if (!bytes.equals(payload)) throw new BrokenBundle(manifestName, 'it is not what was signed')
  const manifest = parseManifest(bytes)
  if (manifest === undefined) throw new BrokenBundle(manifestName, 'what is signed is no list of a bundle')
  return { manifest, key }
}

/** All files are of the instant at which the bundle was made. */
function checkTimes(entries: readonly Entry[], { madeAt }: BundleManifest): void {
  const seconds = Math.floor(Date.parse(madeAt) / 1000)
  const other = entries.find(({ atSeconds }) => atSeconds !== seconds)
  if (other !== undefined) throw new BrokenBundle(other.name, 'it is of another time than the bundle')
}

function differing(entries: readonly Entry[], listed: readonly ListedFile[]): string {
  const [there, wanted] = [entries, listed].map((all) => new Set(all.map(({ name }) => name))) as [
    Set<string>,
    Set<string>,
  ]
  const [missing] = wanted.difference(there)
  const [added] = there.difference(wanted)
  if (missing !== undefined) return `${missing} is missing`
  return added === undefined ? 'the list names a file twice' : `${added} is not in the list that was signed`
}

async function checkFile(source: ByteSource, entry: Entry, listed: ListedFile): Promise<void> {
  if (entry.name !== listed.name) throw new BrokenBundle(entry.name, `the list has ${listed.name} in its place`)
  const isSame = entry.sizeBytes === listed.bytes && (await hashOf(source, entry)) === listed.sha256
  if (!isSame) throw new BrokenBundle(entry.name, 'it is not the file that was signed')
}

async function hashOf(source: ByteSource, { offset, sizeBytes }: Entry): Promise<string> {
  const hash = createHash('sha256')
  for (let at = 0; at < sizeBytes; at += pieceBytes) {
    hash.update(await source.read(offset + at, Math.min(pieceBytes, sizeBytes - at)))
  }
  return hash.digest('hex')
}

function part(source: ByteSource, { offset, sizeBytes }: Entry): ByteSource {
  return {
    sizeBytes,
    read: (at, lengthBytes) => source.read(offset + at, Math.max(0, Math.min(lengthBytes, sizeBytes - at))),
    [Symbol.asyncDispose]: async () => {},
  }
}
