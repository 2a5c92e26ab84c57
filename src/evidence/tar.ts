import type { ByteSource } from '../recording/source.ts'

// A bundle is a POSIX archive (ustar, IEEE Std 1003.1, pax, "ustar Interchange Format") in which nothing is left to choose:
// plain files with short names, all of one time. Any tar reads it; ours takes nothing else, so no byte of it can change unseen,
// and nothing in it can lead anywhere but to a file below the folder where it is unpacked.

export const blockBytes = 512
export const nameBytesMax = 100
/** What eleven octal digits can say. */
export const fileBytesMax: number = 8 ** 11 - 1
/** Files of one archive. */
export const filesMax = 200_000

/** A file's place: lower-case words below folders; no `..`, nothing hidden. */
const nameShape = /^(?:[\w-]+\/){0,3}[\w-]+(?:\.[a-z]+)?$/i

export interface Entry {
  readonly name: string
  /** Where its bytes begin in the archive. */
  readonly offset: number
  readonly sizeBytes: number
  /** Seconds since the Unix epoch. */
  readonly atSeconds: number
}

/** The block before a file. */
export function fileHeader({ name, sizeBytes, atSeconds }: Omit<Entry, 'offset'>): Buffer {
  if (!isName(name) || sizeBytes > fileBytesMax) throw new RangeError(`no file of a bundle: ${name}`)
  const block = Buffer.alloc(blockBytes)
  block.write(name, 0, 'latin1')
  block.write('0000644\0', 100, 'latin1')
  block.write('0000000\0', 108, 'latin1')
  block.write('0000000\0', 116, 'latin1')
  block.write(`${octal(sizeBytes)}\0`, 124, 'latin1')
  block.write(`${octal(atSeconds)}\0`, 136, 'latin1')
  block.write('        ', 148, 'latin1')
  block.write('0', 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** What fills up the last block of a file. */
export function filling(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes)
}

/** Two empty blocks end an archive. */
export const archiveEnd: Buffer = Buffer.alloc(2 * blockBytes)

/** Why something is no archive of ours, and at which byte. */
export class NoArchive extends Error {
  readonly offset: number
  constructor(what: string, offset: number) {
    super(what)
    this.offset = offset
  }
}

/**
 * The files of an archive, in order, by their headers alone; every byte that belongs to no file is checked.
 * @throws NoArchive at the first byte that we would not have written.
 */
export async function* readEntries(source: ByteSource): AsyncGenerator<Entry> {
  const seen = new Set<string>()
  let at = 0
  for (;;) {
    const block = await source.read(at, blockBytes)
    if (block.length < blockBytes) throw new NoArchive('the archive ends in the middle', source.sizeBytes)
    if (block.every((byte) => byte === 0)) return checkEnd(source, at)
    const entry = readHeader(block, at)
    if (seen.has(entry.name.toLowerCase())) throw new NoArchive(`${entry.name} is there twice`, at)
    if (seen.add(entry.name.toLowerCase()).size > filesMax) throw new NoArchive('there are too many files', at)
    const end = entry.offset + entry.sizeBytes
    const fill = filling(entry.sizeBytes)
    if (end + fill.length > source.sizeBytes) throw new NoArchive('the archive ends in the middle', source.sizeBytes)
    if (!(await source.read(end, fill.length)).equals(fill)) throw new NoArchive('bytes stand between files', end)
    yield entry
    at = end + fill.length
  }
}

/** A header is good when it is the one that we would write. */
function readHeader(block: Buffer, at: number): Entry {
  const name = block.toString('latin1', 0, nameBytesMax).replace(/\0.*$/s, '')
  const [sizeBytes, atSeconds] = [fromOctal(block, 124), fromOctal(block, 136)]
  if (!isName(name)) throw new NoArchive('a file has a name that no bundle has', at)
  if (Number.isNaN(sizeBytes + atSeconds) || !fileHeader({ name, sizeBytes, atSeconds }).equals(block)) {
    throw new NoArchive('no file begins here as a gateway writes it', at)
  }
  return { name, offset: at + blockBytes, sizeBytes, atSeconds }
}

async function checkEnd(source: ByteSource, at: number): Promise<void> {
  const rest = await source.read(at, archiveEnd.length + 1)
  if (!rest.equals(archiveEnd)) throw new NoArchive('bytes follow the end', at)
}

export function isName(name: string): boolean {
  return name.length < nameBytesMax && nameShape.test(name)
}

function octal(value: number): string {
  return value.toString(8).padStart(11, '0')
}

function fromOctal(block: Buffer, at: number): number {
  const text = block.toString('latin1', at, at + 11)
  return /^[0-7]{11}$/.test(text) ? Number.parseInt(text, 8) : NaN
}
