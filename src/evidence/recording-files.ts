import { join, resolve, sep } from 'node:path'
import { asFault } from '../kernel/fault.ts'
import { magic, prefixBytes } from '../recording/format.ts'
import { openFile, pieces, type ByteSource } from '../recording/source.ts'
import { walk } from '../recording/walk.ts'
import type { SessionRow } from '../sessions/session.ts'
import { jsonFile, lineFiles, recordingFolder, textFile, type BundleFile } from './files.ts'
import { fileBytesMax } from './tar.ts'

/** A line of `chain.jsonl`: first the header, then each segment, then how it ends. */
export type ChainLine =
  /** The recording's header line as it was hashed, with its line feed. */
  | { readonly header: string }
  | SegmentLine
  | { readonly end: 'sealed' | 'unsealed' | 'damaged'; readonly bytes: number; readonly what?: string }

export interface SegmentLine {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  readonly events: number
  readonly rawBytes: number
  readonly firstUs: number
  readonly lastUs: number
  /** SHA-256 of the compressed lines, and chain hash; hex. */
  readonly sha256: string
  readonly chain: string
}

/** What a bundle holds of one recording: its chain and signed manifest, and on request the whole of it, as it is now. */
export async function* recordingFiles(
  folder: string,
  { session, recording }: SessionRow,
  whole: boolean,
): AsyncGenerator<BundleFile> {
  const place = recordingFolder(session.id)
  if (recording === null) return
  try {
    // It grows while its session lives: what is read is as long as it is now.
    await using source = await openFile(fileBelow(folder, recording))
    const end: Ends = { jws: null }
    yield* lineFiles(`${place}/chain.jsonl`, chainLines(source, end))
    if (end.jws !== null) yield textFile(`${place}/manifest.jws`, end.jws)
    if (whole) yield wholeFile(place, source)
  } catch (error) {
    const fault = asFault(error)
    if (fault?.code !== 'RECORDING_UNREADABLE') throw error
    yield jsonFile(`${place}/missing.json`, { session: session.id, why: 'The recording cannot be read any more.' })
  }
}

interface Ends {
  jws: string | null
}

async function* chainLines(source: ByteSource, ends: Ends): AsyncGenerator<ChainLine> {
  let end: ChainLine = { end: 'unsealed', bytes: source.sizeBytes }
  for await (const found of walk(source)) {
    if (found.kind === 'header') {
      yield { header: found.bytes.toString('utf8', magic.length + prefixBytes) }
    } else if (found.kind === 'segment') {
      const { sequence, payloadBytes, events, rawBytes, firstUs, lastUs, payloadHash, chain } = found.head
      yield {
        ...{ segment: sequence, offset: found.offset, bytes: payloadBytes, events, rawBytes, firstUs, lastUs },
        ...{ sha256: payloadHash.toString('hex'), chain: chain.toString('hex') },
      }
    } else if (found.kind === 'manifest') {
      ends.jws = found.jws
      end = { end: 'sealed', bytes: found.nextOffset }
    } else if (found.kind === 'damage') {
      end = { end: 'damaged', bytes: found.offset, what: found.what }
    }
  }
  yield end
}

function wholeFile(place: string, source: ByteSource): BundleFile {
  const { sizeBytes } = source
  if (sizeBytes > fileBytesMax) return jsonFile(`${place}/left-out.json`, { why: 'It is too large.', sizeBytes })
  return { name: `${place}/recording.curfew`, sizeBytes, bytes: pieces(source) }
}

/** @throws Fault RECORDING_UNREADABLE through `openFile` for what lies elsewhere */
function fileBelow(folder: string, recording: string): string {
  const base = resolve(folder)
  const file = join(base, recording)
  return file.startsWith(base + sep) ? file : base
}
