import { Fault } from '../kernel/fault.ts'
import { decompressLines } from './compression.ts'
import { decodeLines, magic, prefixBytes, type RecordedEvent, segmentHeadBytes, sha256 } from './format.ts'
import { type Manifest, parseManifest } from './manifest.ts'
import { type ByteSource, openFile } from './source.ts'
import { type Found, manifestFromEnd, walk } from './walk.ts'

/** A recording that is open for reading. Reading checks every segment that it passes, but no signature: see verify.ts. */
export interface Recording extends AsyncDisposable {
  /** The header line: the session, as it began. */
  readonly header: Readonly<Record<string, unknown>>
  /** What was sealed; null when the recording is not (still being written, or the gateway died). Its signature is not checked here. */
  readonly manifest: Manifest | null
  /**
   * Events in order, from and to these seconds (both inclusive); the index leads there without reading what lies before.
   * A half-written end is left out.
   * @throws Fault RECORDING_TAMPERED at a segment that is not what its own hash says.
   */
  events(range?: TimeRange): AsyncGenerator<RecordedEvent>
}

export interface TimeRange {
  readonly fromSeconds?: number
  readonly toSeconds?: number
}

/** @throws Fault RECORDING_UNREADABLE when there is no such file or it does not begin like a recording. */
export async function openRecording(file: string): Promise<Recording> {
  return readRecording(await openFile(file))
}

/** As `openRecording`, from anywhere. Takes over `source`. */
export async function readRecording(source: ByteSource): Promise<Recording> {
  try {
    const header = await readHeader(source)
    const sealed = await manifestFromEnd(source)
    const manifest = sealed === null ? null : decodeManifest(sealed.jws)
    return {
      header,
      manifest,
      events: (range = {}) => readEvents(source, manifest, range),
      [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    }
  } catch (error) {
    await source[Symbol.asyncDispose]()
    throw error
  }
}

async function readHeader(source: ByteSource): Promise<Readonly<Record<string, unknown>>> {
  for await (const found of walk(source)) {
    const header = found.kind === 'header' ? parseHeader(found.bytes) : undefined
    if (header === undefined) break
    return header
  }
  throw new Fault('RECORDING_UNREADABLE', 'This is not a Curfew recording, or only the very beginning of one.')
}

/** @param bytes magic and header record. */
export function parseHeader(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const header: unknown = JSON.parse(bytes.toString('utf8', magic.length + prefixBytes))
    return typeof header === 'object' && header !== null ? (header as Record<string, unknown>) : undefined
  } catch {
    return undefined // not JSON
  }
}

/** null: not a JWS over a manifest; verify.ts tells what that means. */
function decodeManifest(jws: string): Manifest | null {
  return parseManifest(Buffer.from(jws.split('.')[1] ?? '', 'base64url')) ?? null
}

async function* readEvents(
  source: ByteSource,
  manifest: Manifest | null,
  { fromSeconds = 0, toSeconds = Infinity }: TimeRange,
): AsyncGenerator<RecordedEvent> {
  // Times are whole microseconds; seconds times a million need not be.
  const fromUs = Math.round(fromSeconds * 1e6)
  const toUs = Math.round(toSeconds * 1e6)
  for await (const found of walk(source, startFor(manifest, fromUs))) {
    if (found.kind === 'damage') throw new Fault('RECORDING_TAMPERED', `${found.what} (at byte ${found.offset})`)
    if (found.kind !== 'segment' || found.head.lastUs < fromUs) continue
    if (found.head.firstUs > toUs) return
    const lines = await readSegment(source, found)
    for (const event of decodeLines(lines, (what) => broken(found.head.sequence, what))) {
      if (event.seconds >= fromSeconds && event.seconds <= toSeconds) yield event
    }
  }
}

/** The offset of the last indexed segment that begins before `fromUs`: events of one instant may lie in many segments. */
function startFor(manifest: Manifest | null, fromUs: number): number {
  const index = manifest?.index ?? []
  let low = 0
  let high = index.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (index[middle]![2] < fromUs) low = middle + 1
    else high = middle
  }
  return index[low - 1]?.[1] ?? 0
}

/** Its lines. */
async function readSegment(source: ByteSource, { offset, head }: Found & { kind: 'segment' }): Promise<Buffer> {
  const payload = await source.read(offset + segmentHeadBytes, head.payloadBytes)
  const lines = sha256(payload).equals(head.payloadHash) ? decompressLines(payload, head.rawBytes) : undefined
  if (lines === undefined) throw broken(head.sequence, 'is not what its hash says')
  return lines
}

function broken(sequence: number, what: string): Fault {
  return new Fault('RECORDING_TAMPERED', `Segment ${sequence} ${what}.`)
}
