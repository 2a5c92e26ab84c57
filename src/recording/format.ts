import { createHash } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

// The file format, as docs/recording-format.md writes it down for other programs. Bytes in, bytes out: no files here.

/** The first eight bytes of every recording: name and format version. */
export const magic: Buffer = Buffer.from('CURFEW1\n', 'latin1')

export const recordTypes = { header: 0x48, segment: 0x53, manifest: 0x4d } as const // H, S, M

/** Type (1 byte) and length of what follows (uint32, big-endian). */
export const prefixBytes = 5
/** sequence, events, rawBytes (uint32 each), firstUs, lastUs (uint64 each), big-endian. */
const fieldsBytes = 28
const hashBytes = 32
/** Fields, SHA-256 of the compressed lines, chain hash. */
export const segmentHeaderBytes: number = fieldsBytes + 2 * hashBytes
/** The whole beginning of a segment record, up to its compressed lines. */
export const segmentHeadBytes: number = prefixBytes + segmentHeaderBytes

/** A segment is closed when its lines reach this. */
export const segmentRawBytes: number = 256 * 1024

export const headerBytesMax: number = 64 * 1024
/** One event as a line of UTF-8. */
export const lineBytesMax: number = 4 * 1024 * 1024
/** Lines of one segment, before compression: a full segment and the longest line. */
export const segmentRawBytesMax: number = 8 * 1024 * 1024
/** A segment record after its prefix. zstd adds less than this to what it cannot compress. */
export const segmentRecordBytesMax: number = segmentRawBytesMax + 128 * 1024
export const manifestBytesMax: number = 1024 * 1024

export interface SegmentFields {
  /** 1, 2, 3, … */
  readonly sequence: number
  readonly events: number
  /** Bytes of the lines before compression. */
  readonly rawBytes: number
  /** Microseconds since the start of the recording, of the first and the last event. */
  readonly firstUs: number
  readonly lastUs: number
}

/** The beginning of a segment as it stands in a file; nothing in it is checked yet. */
export interface SegmentHead extends SegmentFields {
  /** Bytes of the compressed lines that follow. */
  readonly payloadBytes: number
  readonly payloadHash: Buffer
  readonly chain: Buffer
  /** Prefix and fields, which the chain covers. */
  readonly covered: Buffer
}

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** Magic and header record: the first bytes of a file. `line`: one JSON object and a newline. */
export function encodeHeader(line: string): Buffer {
  return Buffer.concat([magic, encodeRecord(recordTypes.header, Buffer.from(line, 'utf8'))])
}

/** chain(0): SHA-256 over everything up to the end of the header record. */
export function firstChain(magicAndHeader: Uint8Array): Buffer {
  return sha256(magicAndHeader)
}

/** chain(n): SHA-256 over chain(n - 1), the record's prefix and fields, and the hash of its compressed lines. */
export function nextChain(previous: Uint8Array, covered: Uint8Array, payloadHash: Uint8Array): Buffer {
  return sha256(previous, covered, payloadHash)
}

/** One segment record around compressed lines. */
export function encodeSegment(
  fields: SegmentFields,
  payload: Buffer,
  previous: Uint8Array,
): { readonly head: Buffer; readonly chain: Buffer } {
  const head = Buffer.alloc(segmentHeadBytes)
  writePrefix(head, recordTypes.segment, segmentHeaderBytes + payload.length)
  head.writeUInt32BE(fields.sequence, 5)
  head.writeUInt32BE(fields.events, 9)
  head.writeUInt32BE(fields.rawBytes, 13)
  head.writeBigUInt64BE(BigInt(fields.firstUs), 17)
  head.writeBigUInt64BE(BigInt(fields.lastUs), 25)
  const payloadHash = sha256(payload)
  const chain = nextChain(previous, head.subarray(0, prefixBytes + fieldsBytes), payloadHash)
  payloadHash.copy(head, prefixBytes + fieldsBytes)
  chain.copy(head, prefixBytes + fieldsBytes + hashBytes)
  return { head, chain }
}

/** @param bytes at least `segmentHeadBytes`, beginning at the record's type. */
export function decodeSegmentHead(bytes: Buffer): SegmentHead {
  const hashAt = prefixBytes + fieldsBytes
  return {
    payloadBytes: bytes.readUInt32BE(1) - segmentHeaderBytes,
    sequence: bytes.readUInt32BE(5),
    events: bytes.readUInt32BE(9),
    rawBytes: bytes.readUInt32BE(13),
    firstUs: Number(bytes.readBigUInt64BE(17)),
    lastUs: Number(bytes.readBigUInt64BE(25)),
    payloadHash: Buffer.from(bytes.subarray(hashAt, hashAt + hashBytes)),
    chain: Buffer.from(bytes.subarray(hashAt + hashBytes, hashAt + 2 * hashBytes)),
    covered: Buffer.from(bytes.subarray(0, hashAt)),
  }
}

/** The manifest record: the compact JWS, then its length again (uint32) so that it is found from the end of the file. */
export function encodeManifest(jws: string): Buffer {
  const payload = Buffer.alloc(jws.length + 4)
  payload.write(jws, 0, 'latin1')
  payload.writeUInt32BE(jws.length, jws.length)
  return encodeRecord(recordTypes.manifest, payload)
}

function encodeRecord(type: number, payload: Buffer): Buffer {
  const prefix = Buffer.alloc(prefixBytes)
  writePrefix(prefix, type, payload.length)
  return Buffer.concat([prefix, payload])
}

function writePrefix(target: Buffer, type: number, lengthBytes: number): void {
  target.writeUInt8(type, 0)
  target.writeUInt32BE(lengthBytes, 1)
}

export function compressLines(lines: Buffer): Buffer {
  return zstdCompressSync(lines)
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

/** One event as it is written: `[seconds,code,data]` and a newline. */
export function encodeLine(us: number, code: string, data: unknown): string {
  return `[${us / 1e6},${JSON.stringify(code)},${JSON.stringify(data) ?? 'null'}]\n`
}

export interface RecordedEvent {
  /** Since the start of the recording. */
  readonly seconds: number
  readonly code: string
  readonly data: unknown
}

/** @returns undefined when the line is not `[number, string, value]`. */
export function decodeLine(line: string): RecordedEvent | undefined {
  try {
    const parsed: unknown = JSON.parse(line)
    if (!Array.isArray(parsed) || parsed.length !== 3) return undefined
    const [seconds, code, data] = parsed as [unknown, unknown, unknown]
    return typeof seconds === 'number' && typeof code === 'string' ? { seconds, code, data } : undefined
  } catch {
    return undefined // not JSON
  }
}
