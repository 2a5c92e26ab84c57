import { createHash } from 'node:crypto'

// The file format, as docs/recording-format.md writes it down for other programs. Bytes in, bytes out: no files here.

/** The first eight bytes of every recording: name and format version. */
export const magic: Buffer = Buffer.from('CURFEW1\n', 'latin1')

export const recordTypes = { header: 0x48, segment: 0x53, manifest: 0x4d } as const // H, S, M

/** The `typ` of a manifest's JWS, so that no other signature of the same key can pass for one. */
export const manifestType = 'curfew-recording'

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

/** Prefix and fields of a segment record, which its chain hash covers. */
export function segmentCover(fields: SegmentFields, payloadBytes: number): Buffer {
  const cover = Buffer.alloc(prefixBytes + fieldsBytes)
  writePrefix(cover, recordTypes.segment, segmentHeaderBytes + payloadBytes)
  cover.writeUInt32BE(fields.sequence, 5)
  cover.writeUInt32BE(fields.events, 9)
  cover.writeUInt32BE(fields.rawBytes, 13)
  cover.writeBigUInt64BE(BigInt(fields.firstUs), 17)
  cover.writeBigUInt64BE(BigInt(fields.lastUs), 25)
  return cover
}

/** One segment record around compressed lines, which may come in pieces. */
export function encodeSegment(
  fields: SegmentFields,
  payload: readonly Uint8Array[],
  previous: Uint8Array,
): { readonly head: Buffer; readonly chain: Buffer; readonly payloadBytes: number } {
  const head = Buffer.alloc(segmentHeadBytes)
  const payloadBytes = payload.reduce((sum, { length }) => sum + length, 0)
  const cover = segmentCover(fields, payloadBytes)
  const payloadHash = sha256(...payload)
  const chain = nextChain(previous, cover, payloadHash)
  cover.copy(head)
  payloadHash.copy(head, prefixBytes + fieldsBytes)
  chain.copy(head, prefixBytes + fieldsBytes + hashBytes)
  return { head, chain, payloadBytes }
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

/** One event as it is written: `[seconds,code,data]` and a newline. */
export function encodeLine(us: number, code: string, data: unknown): string {
  return `[${us / 1e6},${JSON.stringify(code)},${JSON.stringify(data) ?? 'null'}]\n`
}

/** A code that begins so is followed by `data.bytes` raw bytes and a line feed. */
export const bytesCodePrefix = '='
/** Raw bytes of one event. */
export const eventBytesMax: number = 1024 * 1024

export interface RecordedEvent {
  /** Since the start of the recording. */
  readonly seconds: number
  readonly code: string
  readonly data: unknown
  /** Of codes that begin with `=`: the raw bytes. A view of the segment that was read, which lives as long as it. */
  readonly bytes?: Buffer
}

/**
 * The events of one segment.
 * @param lines after decompression.
 * @param broken makes the error to throw where a line is no event, or its bytes are not there.
 */
export function* decodeLines(lines: Buffer, broken: (what: string) => Error): Generator<RecordedEvent> {
  let at = 0
  while (at < lines.length) {
    const lineEnd = lines.indexOf(0x0a, at)
    const event = lineEnd === -1 ? undefined : decodeLine(lines.toString('utf8', at, lineEnd))
    if (event === undefined) throw broken('holds a line that is no event')
    at = lineEnd + 1
    if (!event.code.startsWith(bytesCodePrefix)) {
      yield event
      continue
    }
    const bytesEnd = at + bytesAfter(event)
    if (lines[bytesEnd] !== 0x0a) throw broken('holds an event without its bytes')
    yield { ...event, bytes: lines.subarray(at, bytesEnd) }
    at = bytesEnd + 1
  }
}

/** NaN when the line does not tell. */
function bytesAfter({ data }: RecordedEvent): number {
  const bytes = typeof data === 'object' && data !== null && 'bytes' in data ? data.bytes : undefined
  return Number.isSafeInteger(bytes) && (bytes as number) >= 0 ? (bytes as number) : NaN
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
