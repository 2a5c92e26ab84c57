import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { segmentRawBytesMax } from './format.ts'

/** The lines of a segment, as one zstd frame (RFC 8878). */
export interface Compressed {
  /** The frame, in pieces. */
  readonly payload: readonly Uint8Array[]
  /** Bytes of the lines. */
  readonly rawBytes: number
}

// Measured on lines of PostgreSQL sessions: level 1 takes half the time of the usual level 3, and a tenth less room.
const quick = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** Lines that are text only. */
export function compressLines(lines: Uint8Array): Buffer {
  return zstdCompressSync(lines, quick)
}

// Measured on what terminals show: level 1 takes half the time of the usual level 3, for about the same size; a small
// window and fewer, larger pieces of output save another fifth.
const fast = {
  params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: 17 },
  chunkSize: 256 * 1024,
}

/** What is written without the system's cache begins and ends at multiples of this in the file: a page, and more than a disk's sector. */
export const alignmentBytes = 4096
/** Less is not worth aligning. */
const alignedBytesMin = 64 * 1024

/**
 * @param raw bytes that passed through are among them: what hardly gets smaller is not worth the time, so it looks at a little first.
 * @param at where the payload will lie in its file: what is large and not compressed ends at a multiple of `alignmentBytes`.
 */
export function compressParts(pieces: readonly Uint8Array[], raw: boolean, at = 0): Compressed {
  const rawBytes = pieces.reduce((sum, { length }) => sum + length, 0)
  if (raw && isIncompressible(pieces, rawBytes)) {
    const frame = rawFrame(pieces, rawBytes)
    return { payload: rawBytes < alignedBytesMin ? frame : padded(frame, rawBytes, at), rawBytes }
  }
  const lines = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, rawBytes)
  return { payload: [raw ? zstdCompressSync(lines, fast) : compressLines(lines)], rawBytes }
}

const sampleBytes = 512
const samplesMax = 8
/** Of all samples, per byte. What is compressed or encrypted already comes to 7.95, base64 to 6, programs to less. */
const entropyBitsMax = 7.8

function isIncompressible(pieces: readonly Uint8Array[], rawBytes: number): boolean {
  if (rawBytes < 2 * samplesMax * sampleBytes) return false // small: looking costs as much as compressing
  const large = pieces.filter(({ length }) => length > 2 * sampleBytes)
  const every = Math.max(1, Math.ceil(large.length / samplesMax))
  const perPiece = Math.max(1, Math.floor(samplesMax / large.length))
  const samples = large.filter((_, index) => index % every === 0).flatMap((piece) => samplesOf(piece, perPiece))
  return entropyBits(samples) > entropyBitsMax
}

/** Evenly spread, none at the beginning: that may be a header of what is packed behind it. */
function samplesOf(piece: Uint8Array, count: number): Uint8Array[] {
  const step = Math.floor((piece.length - sampleBytes) / count)
  return Array.from({ length: count }, (_, index) =>
    piece.subarray(step * (index + 1), step * (index + 1) + sampleBytes),
  )
}

/** `count * log2(count)`, for all counts that samples can give. */
const weights: Float64Array = Float64Array.from({ length: samplesMax * sampleBytes + 1 }, (_, count) =>
  count === 0 ? 0 : count * Math.log2(count),
)

/** Shannon entropy of single bytes: blind to repetition, which what is packed does not have. */
function entropyBits(samples: readonly Uint8Array[]): number {
  const counts = new Uint16Array(256)
  let total = 0
  for (const sample of samples) {
    for (let at = 0; at < sample.length; at++) counts[sample[at]!]!++
    total += sample.length
  }
  let sum = 0
  for (let byte = 0; byte < 256; byte++) sum += weights[counts[byte]!]!
  return total === 0 ? 0 : Math.log2(total) - sum / total
}

const blockBytesMax = 128 * 1024
const zstdMagic = 0xfd2fb528

/**
 * One zstd frame of raw blocks, made around the pieces without touching them.
 * @see RFC 8878, sections 3.1.1.1 (frame header) and 3.1.1.2 (blocks)
 */
export function rawFrame(pieces: readonly Uint8Array[], rawBytes: number): Uint8Array[] {
  const header = Buffer.alloc(9)
  header.writeUInt32LE(zstdMagic, 0)
  header.writeUInt8(0b1010_0000, 4) // the content size follows in 4 bytes, and is the window; no checksum
  header.writeUInt32LE(rawBytes, 5)
  const blocks = pieces.flatMap(cutIntoBlocks)
  return [header, ...blocks.flatMap((block, index) => [blockHeader(block.length, index === blocks.length - 1), block])]
}

/** An empty block that is not the last is three zeros. */
const emptyBlocks = Buffer.alloc(2 * alignmentBytes)
/** By how much other headers are longer than the shortest; with empty blocks they make any number of bytes but a few. */
const longerBytes = [0, 4, 5] as const

/** The same frame, longer, so that it ends at a multiple of `alignmentBytes`. */
function padded([header, ...blocks]: readonly Uint8Array[], rawBytes: number, at: number): Uint8Array[] {
  const frameBytes = blocks.reduce((sum, { length }) => sum + length, header!.length)
  let missing = (alignmentBytes - ((at + frameBytes) % alignmentBytes)) % alignmentBytes
  // One byte alone cannot be added, for example.
  if (missing < longerBytes[missing % 3]!) missing += alignmentBytes
  const longer = longerBytes[missing % 3]!
  const empty = emptyBlocks.subarray(0, missing - longer)
  return [longer === 0 ? header! : longHeader(rawBytes, longer === 5), empty, ...blocks]
}

/** With the content size in 8 bytes; with a window of its own of 8 MiB, or the content is the window. */
function longHeader(rawBytes: number, hasWindow: boolean): Buffer {
  const header = Buffer.alloc(hasWindow ? 14 : 13)
  header.writeUInt32LE(zstdMagic, 0)
  header.writeUInt8(hasWindow ? 0b1100_0000 : 0b1110_0000, 4)
  if (hasWindow) header.writeUInt8((23 - 10) << 3, 5)
  header.writeBigUInt64LE(BigInt(rawBytes), header.length - 8)
  return header
}

function cutIntoBlocks(piece: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = []
  for (let at = 0; at < piece.length; at += blockBytesMax) blocks.push(piece.subarray(at, at + blockBytesMax))
  return blocks
}

/** Last block (1 bit), type 0 (2 bits), size (21 bits), little-endian. */
function blockHeader(bytes: number, isLast: boolean): Buffer {
  const header = Buffer.alloc(3)
  header.writeUIntLE((bytes << 3) | (isLast ? 1 : 0), 0, 3)
  return header
}

/**
 * @param rawBytes what the segment's fields promise; at most `segmentRawBytesMax`.
 * @returns undefined when the bytes are not one zstd frame of exactly that length.
 */
export function decompressLines(payload: Buffer, rawBytes: number): Buffer | undefined {
  if (rawBytes < 1 || rawBytes > segmentRawBytesMax) return undefined
  try {
    const params = { [constants.ZSTD_d_windowLogMax]: 23 }
    const lines = zstdDecompressSync(payload, { maxOutputLength: rawBytes, params })
    return lines.length === rawBytes ? lines : undefined
  } catch {
    return undefined // any failure of the decoder means the same: these are not the promised bytes
  }
}
