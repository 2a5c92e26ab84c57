import { isDeepStrictEqual } from 'node:util'
import type { JSONWebKeySet } from 'jose'
import { z } from 'zod'
import { readSigned } from '../kernel/signed.ts'
import {
  encodeHeader,
  firstChain,
  manifestType,
  nextChain,
  segmentCover,
  segmentHeadBytes,
} from '../recording/format.ts'
import { parseManifest, type Manifest } from '../recording/manifest.ts'
import { parseHeader } from '../recording/reading.ts'
import { verifySource } from '../recording/verify.ts'
import type { LogSaid } from './compare.ts'
import type { Facts } from './facts.ts'
import { recordingFolder } from './files.ts'
import type { OpenBundle } from './open-bundle.ts'
import { readLines, readText } from './read-part.ts'

/**
 * What a bundle shows of one recording.
 * - sealed: its chain is whole, and signed by a key that is trusted
 * - untrusted: the same, by another key
 * - unsealed: its chain is whole and nobody signed it; its session was still living, or the gateway died
 * - given-up: its chain is whole and nobody signed it, for its file could no longer be written; it has at least what the
 *   audit log says was kept
 * - cut-off: the same, but its session ended in order, and such a recording is signed
 * - missing: it could not be read when the bundle was made
 * - damaged: it was not what a gateway writes when the bundle was made
 */
export interface RecordingShown {
  readonly session: string
  readonly state: 'sealed' | 'untrusted' | 'unsealed' | 'given-up' | 'cut-off' | 'missing' | 'damaged'
  readonly whole: boolean
  /** Of what is missing or damaged. */
  readonly why: string | null
}

const count = z.int().min(0)
const hash = z.string().regex(/^[0-9a-f]{64}$/)
const headerLine = z.object({ header: z.string() })
const segmentLine = z.object({
  ...{ segment: count, offset: count, bytes: count, events: count, rawBytes: count, firstUs: count, lastUs: count },
  ...{ sha256: hash, chain: hash },
})
const endLine = z.object({ end: z.enum(['sealed', 'unsealed', 'damaged']), bytes: count, what: z.string().optional() })
const chainLine = z.union([headerLine, segmentLine, endLine])

/**
 * @param log what the audit log told: with it stands whether a recording may be without a signature.
 * @throws BrokenBundle for files of another shape
 */
export async function verifyRecordingShown(
  bundle: OpenBundle,
  { id: session, end }: Facts['sessions'][number],
  keys: JSONWebKeySet,
  log: LogSaid,
): Promise<RecordingShown> {
  const folder = recordingFolder(session)
  const whole = bundle.names.has(`${folder}/recording.curfew`)
  const shown = (state: RecordingShown['state'], why: string | null = null) => ({ session, state, whole, why })
  if (bundle.names.has(`${folder}/missing.json`)) return shown('missing', 'it could not be read any more')
  const givenUp = log.told('recording.given-up', session)
  const chain = new Chain(givenUp?.['chain'])
  for await (const line of readLines(bundle, `${folder}/chain.jsonl`, chainLine)) chain.take(line)
  const problem = chain.problem(session) ?? (whole ? await wholeProblem(bundle, folder, keys, chain) : null)
  if (problem !== null) return shown('damaged', problem)
  if (chain.end !== 'sealed') {
    if (givenUp !== undefined) {
      return chain.hasKept ? shown('given-up') : shown('damaged', 'it is not what was kept when it was given up')
    }
    // The gateway died before it could sign, or before it could write down that it cannot.
    const isLost = end === null || end === undefined || end.code === 'SHUTTING_DOWN'
    return isLost ? shown('unsealed') : shown('cut-off', 'its end was cut off, or could not be written')
  }
  const signed = await readSigned(await readText(bundle, `${folder}/manifest.jws`), manifestType, keys)
  const manifest = signed.payload === null ? undefined : parseManifest(signed.payload)
  if (manifest === undefined) return shown('damaged', 'its signature is wrong')
  const contradiction = chain.contradiction(manifest)
  if (contradiction !== null) return shown('damaged', contradiction)
  return shown(signed.key?.trusted === true ? 'sealed' : 'untrusted')
}

async function wholeProblem(bundle: OpenBundle, folder: string, keys: JSONWebKeySet, chain: Chain) {
  const found = await verifySource(bundle.file(`${folder}/recording.curfew`), keys)
  if (found.problem !== null) return found.problem.what
  const isSame = found.state === chain.end && found.segments === chain.segments && found.events === chain.events
  return isSame && (found.manifest?.chain ?? chain.head) === chain.head ? null : 'it is another than its chain tells of'
}

/** Follows the hashes of a recording without its contents. */
class Chain {
  #chain: Buffer | null = null
  #header: Readonly<Record<string, unknown>> | undefined
  #offset = 0
  #rawBytes = 0
  #lastUs = 0
  #problem: string | null = null
  #bytes = 0
  /** Where the recording must come by, if anywhere. */
  readonly #kept: unknown
  /** It came by there. */
  hasKept = false
  end: z.output<typeof endLine>['end'] | null = null
  segments = 0
  events = 0

  constructor(kept: unknown) {
    this.#kept = kept
  }

  get head(): string {
    return this.#chain?.toString('hex') ?? ''
  }

  take(line: z.output<typeof chainLine>): void {
    if (this.end !== null) this.#problem ??= 'its chain goes on behind its end'
    else if ('header' in line) this.#takeHeader(line.header)
    else if ('segment' in line) this.#takeSegment(line)
    else {
      this.end = line.end
      this.#bytes = line.bytes
      if (line.end === 'damaged') this.#problem ??= line.what ?? 'it is damaged'
    }
  }

  problem(session: string): string | null {
    if (this.#problem !== null) return this.#problem
    if (this.end === null) return 'its chain has no end'
    if (this.#header === undefined) return this.end === 'unsealed' ? null : 'it has no header'
    return this.#header['session'] === session ? null : 'it is of another session'
  }

  contradiction(manifest: Manifest): string | null {
    const { chain, segments, events, rawBytes, bytes, lastUs, header } = manifest
    const isSame = chain === this.head && segments === this.segments && events === this.events
    if (!isSame || rawBytes !== this.#rawBytes || lastUs !== this.#lastUs) return 'its signature is under another chain'
    if (bytes !== this.#offset || bytes >= this.#bytes) return 'its signature tells of another length'
    return isDeepStrictEqual(header, this.#header) ? null : 'its signature is of another session'
  }

  #takeHeader(text: string): void {
    const bytes = encodeHeader(text)
    this.#header = parseHeader(bytes)
    if (this.#chain !== null || this.#header === undefined) this.#problem ??= 'its header is not one'
    this.#follow(firstChain(bytes))
    this.#offset = bytes.length
  }

  #takeSegment(line: z.output<typeof segmentLine>): void {
    const cover = segmentCover({ ...line, sequence: line.segment }, line.bytes)
    const chain = nextChain(this.#chain ?? Buffer.alloc(0), cover, Buffer.from(line.sha256, 'hex'))
    const follows = line.segment === this.segments + 1 && line.offset === this.#offset
    if (!follows || chain.toString('hex') !== line.chain) {
      this.#problem ??= `segment ${line.segment} does not follow from the one before`
    }
    this.#follow(chain)
    this.#offset += segmentHeadBytes + line.bytes
    this.segments += 1
    this.events += line.events
    this.#rawBytes += line.rawBytes
    this.#lastUs = line.lastUs
  }

  #follow(chain: Buffer): void {
    this.#chain = chain
    if (this.head === this.#kept) this.hasKept = true
  }
}
