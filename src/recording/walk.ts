import {
  decodeSegmentHead,
  headerBytesMax,
  magic,
  manifestBytesMax,
  prefixBytes,
  recordTypes,
  type SegmentHead,
  segmentHeadBytes,
  segmentHeaderBytes,
  segmentRawBytesMax,
  segmentRecordBytesMax,
} from './format.ts'
import { type ByteSource, Window } from './source.ts'

/** What stands at some place of a recording. Only the shape is looked at: no hash, no signature. */
export type Found =
  | { readonly kind: 'header'; readonly offset: 0; readonly nextOffset: number; readonly bytes: Buffer }
  | {
      readonly kind: 'segment'
      readonly offset: number
      readonly nextOffset: number
      readonly head: SegmentHead
    }
  | { readonly kind: 'manifest'; readonly offset: number; readonly nextOffset: number; readonly jws: string }
  /** The file stops in the middle of a record, or goes on with zeros: what a crash leaves. */
  | { readonly kind: 'tail'; readonly offset: number; readonly bytes: number; readonly head: SegmentHead | null }
  /** Something that the recorder never writes, crash or not. */
  | { readonly kind: 'damage'; readonly offset: number; readonly what: string }

const lengthMax: Readonly<Record<number, number>> = {
  [recordTypes.header]: headerBytesMax,
  [recordTypes.segment]: segmentRecordBytesMax,
  [recordTypes.manifest]: manifestBytesMax,
}

/** Every record from `offset` to the end of the file, reading no more than the beginnings of segments. */
export async function* walk(source: ByteSource, offset = 0): AsyncGenerator<Found> {
  const window = new Window(source)
  let at = offset
  if (at === 0) {
    const header = await findHeader(source, window)
    if (header === null) return
    yield header
    if (header.kind !== 'header') return
    at = header.nextOffset
  }
  while (at < source.sizeBytes) {
    const found = await findRecord(source, window, at)
    yield found
    if (found.kind === 'tail' || found.kind === 'damage') return
    at = (found as { nextOffset: number }).nextOffset
  }
}

/** null: an empty file. */
async function findHeader(source: ByteSource, window: Window): Promise<Found | null> {
  const start = await window.read(0, magic.length + prefixBytes)
  const whole = start.subarray(0, magic.length)
  if (!whole.equals(magic.subarray(0, whole.length))) {
    return { kind: 'damage', offset: 0, what: 'the file does not begin like a Curfew recording' }
  }
  if (start.length === 0) return null
  if (start.length < magic.length + prefixBytes) return tail(source, 0)
  const length = start.readUInt32BE(magic.length + 1)
  if (start[magic.length] !== recordTypes.header || length > headerBytesMax) {
    return { kind: 'damage', offset: magic.length, what: 'the first record is not a header' }
  }
  const nextOffset = magic.length + prefixBytes + length
  const bytes = Buffer.from(await window.read(0, nextOffset))
  // The line feed is the header's last byte: one that stands earlier shows that the length was changed.
  const lineFeed = bytes.indexOf(0x0a, magic.length + prefixBytes)
  if (lineFeed !== -1 && lineFeed !== nextOffset - 1) {
    return { kind: 'damage', offset: magic.length, what: 'the header contradicts its own length' }
  }
  return nextOffset > source.sizeBytes ? tail(source, 0) : { kind: 'header', offset: 0, nextOffset, bytes }
}

async function findRecord(source: ByteSource, window: Window, offset: number): Promise<Found> {
  const start = await window.read(offset, segmentHeadBytes)
  if (start[0] === 0 && (await onlyZeros(source, offset))) return tail(source, offset)
  const max = lengthMax[start[0]!]
  if (max === undefined || start[0] === recordTypes.header) {
    return { kind: 'damage', offset, what: 'no record begins here' }
  }
  if (start.length < prefixBytes) return tail(source, offset)
  const length = start.readUInt32BE(1)
  if (length > max) return { kind: 'damage', offset, what: `a record of ${length} bytes is larger than any` }
  const nextOffset = offset + prefixBytes + length
  if (start[0] === recordTypes.manifest) return findManifest(source, offset, nextOffset)
  if (length <= segmentHeaderBytes) return { kind: 'damage', offset, what: 'a segment without lines' }
  if (start.length < segmentHeadBytes) return tail(source, offset)
  const head = decodeSegmentHead(start)
  if (head.rawBytes > segmentRawBytesMax) return { kind: 'damage', offset, what: 'a segment is larger than any' }
  if (nextOffset > source.sizeBytes) return tail(source, offset, head)
  return { kind: 'segment', offset, nextOffset, head }
}

async function findManifest(source: ByteSource, offset: number, nextOffset: number): Promise<Found> {
  if (nextOffset > source.sizeBytes) return findHalfManifest(source, offset)
  const payload = await source.read(offset + prefixBytes, nextOffset - offset - prefixBytes)
  const jwsBytes = payload.length - 4
  if (jwsBytes < 1 || payload.readUInt32BE(jwsBytes) !== jwsBytes) {
    return { kind: 'damage', offset, what: 'the manifest contradicts its own length' }
  }
  return { kind: 'manifest', offset, nextOffset, jws: payload.toString('latin1', 0, jwsBytes) }
}

/** A manifest whose end is there, too, was not cut off by a crash: its length was changed. */
async function findHalfManifest(source: ByteSource, offset: number): Promise<Found> {
  const last = await source.read(source.sizeBytes - 4, 4)
  const isWhole = last.readUInt32BE(0) === source.sizeBytes - offset - prefixBytes - 4
  return isWhole ? { kind: 'damage', offset, what: 'the manifest contradicts its own length' } : tail(source, offset)
}

/** The manifest of a sealed recording, found from the end of the file; null when it is not there. */
export async function manifestFromEnd(source: ByteSource): Promise<(Found & { kind: 'manifest' }) | null> {
  const last = await source.read(Math.max(0, source.sizeBytes - 4), 4)
  if (last.length < 4) return null
  const lengthBytes = last.readUInt32BE(0) + 4
  const offset = source.sizeBytes - lengthBytes - prefixBytes
  if (lengthBytes > manifestBytesMax || offset < magic.length + prefixBytes) return null
  const prefix = await source.read(offset, prefixBytes)
  if (prefix[0] !== recordTypes.manifest || prefix.readUInt32BE(1) !== lengthBytes) return null
  const found = await findManifest(source, offset, source.sizeBytes)
  return found.kind === 'manifest' ? found : null
}

function tail(source: ByteSource, offset: number, head: SegmentHead | null = null): Found {
  return { kind: 'tail', offset, bytes: source.sizeBytes - offset, head }
}

async function onlyZeros(source: ByteSource, offset: number): Promise<boolean> {
  const stepBytes = 1024 * 1024
  for (let at = offset; at < source.sizeBytes; at += stepBytes) {
    if ((await source.read(at, stepBytes)).some((byte) => byte !== 0)) return false
  }
  return true
}
