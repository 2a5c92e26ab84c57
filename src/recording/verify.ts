import type { JSONWebKeySet } from 'jose'
import { isDeepStrictEqual } from 'node:util'
import { readSigned, type SignatureProblem } from '../kernel/signed.ts'
import { firstChain, manifestType, nextChain, segmentHeadBytes, sha256, type SegmentHead } from './format.ts'
import { type Manifest, parseManifest } from './manifest.ts'
import { parseHeader } from './reading.ts'
import { type ByteSource, openFile } from './source.ts'
import { SparseIndex } from './sparse-index.ts'
import { type Found, walk } from './walk.ts'

/** What can be said about a recording without its gateway. */
export interface Verification {
  /**
   * - sealed: whole, and every byte is what the signature covers
   * - unsealed: no manifest; unchanged as far as its own hashes tell (the gateway died, or is still writing)
   * - tampered: not what a recorder wrote
   */
  readonly state: 'sealed' | 'unsealed' | 'tampered'
  /** The header line; null when it cannot be read. */
  readonly header: Readonly<Record<string, unknown>> | null
  /** Signed end and totals; only when sealed. */
  readonly manifest: Manifest | null
  /** Segments, events and bytes that are as they were written, from the start. */
  readonly segments: number
  readonly events: number
  readonly goodBytes: number
  /** Time of the last good event. */
  readonly lastUs: number
  /** Bytes of a half-written record behind the last good one (unsealed only). */
  readonly tailBytes: number
  /** The key that signed; null when nothing signed was reached. Not trusted: anybody may have made it. */
  readonly key: { readonly kid: string; readonly trusted: boolean } | null
  /** What is wrong, and at which byte; only when tampered. */
  readonly problem: { readonly what: string; readonly offset: number; readonly segment: number | null } | null
}

/**
 * Reads a whole recording and checks every hash, the chain, the signature and the totals.
 * Memory stays below one segment, whatever the file holds.
 * @param trusted public keys that a gateway published. Without them a signature is checked against the key inside the file,
 *   which shows damage but not who signed.
 * @throws Fault RECORDING_UNREADABLE when the file cannot be opened; never for what is in it.
 */
export async function verifyRecording(file: string, trusted: JSONWebKeySet = { keys: [] }): Promise<Verification> {
  await using source = await openFile(file)
  return await verifySource(source, trusted)
}

/** As `verifyRecording`, from anywhere. */
export async function verifySource(source: ByteSource, trusted: JSONWebKeySet): Promise<Verification> {
  const check = new Check(source, trusted)
  for await (const found of walk(source)) {
    await check.take(found)
    if (check.failed) break
  }
  return check.result()
}

class Check {
  readonly #source: ByteSource
  readonly #trusted: JSONWebKeySet
  #state: Verification['state'] = 'unsealed'
  #header: Verification['header'] = null
  #manifest: Manifest | null = null
  #chain: Buffer = Buffer.alloc(0)
  #segments = 0
  #events = 0
  #rawBytes = 0
  #goodBytes = 0
  #lastUs = 0
  #tailBytes = 0
  #key: Verification['key'] = null
  #problem: Verification['problem'] = null
  readonly #index = new SparseIndex()

  constructor(source: ByteSource, trusted: JSONWebKeySet) {
    this.#source = source
    this.#trusted = trusted
  }

  get failed(): boolean {
    return this.#problem !== null
  }

  async take(found: Found): Promise<void> {
    if (this.#manifest !== null) return this.#fail('bytes follow the manifest', found.offset)
    if (found.kind === 'header') this.#takeHeader(found)
    else if (found.kind === 'segment') await this.#takeSegment(found)
    else if (found.kind === 'manifest') await this.#takeManifest(found)
    else if (found.kind === 'tail') this.#takeTail(found)
    else this.#fail(found.what, found.offset)
  }

  result(): Verification {
    return {
      state: this.#problem === null ? this.#state : 'tampered',
      header: this.#header,
      manifest: this.#problem === null ? this.#manifest : null,
      segments: this.#segments,
      events: this.#events,
      goodBytes: this.#goodBytes,
      lastUs: this.#lastUs,
      tailBytes: this.#tailBytes,
      key: this.#key,
      problem: this.#problem,
    }
  }

  #takeHeader({ bytes, nextOffset }: Found & { kind: 'header' }): void {
    this.#header = parseHeader(bytes) ?? null
    if (this.#header === null) return this.#fail('the header is not JSON', 0)
    this.#chain = firstChain(bytes)
    this.#goodBytes = nextOffset
  }

  async #takeSegment({ offset, nextOffset, head }: Found & { kind: 'segment' }): Promise<void> {
    const payload = await this.#source.read(offset + segmentHeadBytes, head.payloadBytes)
    if (!sha256(payload).equals(head.payloadHash)) {
      return this.#fail('the lines of a segment are not those that were hashed', offset, head.sequence)
    }
    if (!this.#follows(head)) return this.#fail('a segment does not follow from the one before', offset, head.sequence)
    this.#index.add(head.sequence, offset, head.firstUs)
    this.#chain = head.chain
    this.#segments++
    this.#events += head.events
    this.#rawBytes += head.rawBytes
    this.#lastUs = head.lastUs
    this.#goodBytes = nextOffset
  }

  #follows(head: SegmentHead): boolean {
    const chain = nextChain(this.#chain, head.covered, head.payloadHash)
    return head.sequence === this.#segments + 1 && chain.equals(head.chain)
  }

  /** Half a segment with a whole beginning must at least be the one that was due. */
  #takeTail({ offset, bytes, head }: Found & { kind: 'tail' }): void {
    if (head !== null && !this.#follows(head)) return this.#fail('the last record is not the one due here', offset)
    this.#tailBytes = bytes
  }

  async #takeManifest({ offset, nextOffset, jws }: Found & { kind: 'manifest' }): Promise<void> {
    const signed = await readSigned(jws, manifestType, this.#trusted)
    this.#key = signed.key
    if (signed.payload === null) return this.#fail(signatureWords[signed.why], offset)
    const manifest = parseManifest(signed.payload)
    if (manifest === undefined) return this.#fail('what is signed is not a manifest', offset)
    const contradiction = this.#contradiction(manifest, offset)
    if (contradiction !== null) return this.#fail(`the signed manifest tells of ${contradiction}`, offset)
    this.#manifest = manifest
    this.#state = 'sealed'
    this.#goodBytes = nextOffset
  }

  #contradiction(manifest: Manifest, offset: number): string | null {
    if (manifest.chain !== this.#chain.toString('hex')) return 'other segments'
    if (manifest.segments !== this.#segments) return `${manifest.segments} segments; there are ${this.#segments}`
    if (manifest.events !== this.#events || manifest.rawBytes !== this.#rawBytes) return 'another number of events'
    if (manifest.bytes !== offset || manifest.lastUs !== this.#lastUs) return 'another length'
    if (!isDeepStrictEqual(manifest.header, this.#header)) return 'another session'
    return isDeepStrictEqual(manifest.index, this.#index.entries) ? null : 'segments at other places'
  }

  #fail(what: string, offset: number, segment: number | null = null): void {
    this.#problem ??= { what, offset, segment }
  }
}

const signatureWords: Readonly<Record<SignatureProblem, string>> = {
  type: 'the manifest is not one',
  key: 'the manifest names a key that it does not hold',
  signature: 'the signature of the manifest is wrong',
}

/**
 * Whether a session that ended so may have a recording that nobody signed: its gateway died, or its disk failed. All others
 * are over only once it is signed.
 * @param code of the session's end.
 */
export function mayBeUnsigned(code: string | null): boolean {
  return code === 'SHUTTING_DOWN' || code === 'RECORDING_FAILED'
}
