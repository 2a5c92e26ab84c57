import { compressParts } from './compression.ts'
import { encodeSegment, firstChain, segmentHeadBytes } from './format.ts'
import { groupLines } from './group-lines.ts'
import type { JoinedParts } from './joined-parts.ts'
import type { LinePart } from './line-parts.ts'
import type { Manifest } from './manifest.ts'
import { SparseIndex } from './sparse-index.ts'
import type { Lines, SealOrder } from './writer-messages.ts'

/** Segments that wait for the disk. */
interface ClosedSegments {
  /** Where they begin in the file. */
  readonly offset: number
  readonly buffers: Uint8Array[]
  /** Of their lines. */
  bytes: number
  readonly parts: LinePart[]
}

/** One recording that is being written: makes segments of its lines, and counts and chains them. The writer brings them to the disk. */
export class Track {
  readonly id: number
  readonly path: string
  readonly header: string
  readonly #index = new SparseIndex()
  /** Of the last segment, in hex, which takes a third of a buffer's memory. */
  chain = ''
  /** Length of the file when everything closed is written. */
  offset = 0
  #segments = 0
  #events = 0
  #rawBytes = 0
  #lastUs = 0
  #pending: Lines[] = []
  pendingBytes = 0
  /** Null when nothing waits for the disk, as in most sessions at most times. */
  closed: ClosedSegments | null = null
  /** When the first pending line must be written; Infinity when there is none. */
  dueAtMs = Infinity
  seal: SealOrder | null = null
  isNew = true
  queued = false
  broken = false

  constructor(id: number, path: string, header: string) {
    this.id = id
    this.path = path
    this.header = header
  }

  /** Its file is there. @param header as it stands in it. */
  begun(header: Buffer): void {
    this.isNew = false
    this.chain = firstChain(header).toString('hex')
    this.offset = header.length
  }

  take(lines: Lines): void {
    this.#pending.push(lines)
    this.pendingBytes += lines.bytes
  }

  /** Makes segments of what is pending. */
  closePending(segmentBytes: number, joined: JoinedParts): void {
    const pending = this.#pending
    if (pending.length === 0) return
    const closed = (this.closed ??= this.noSegments())
    for (const lines of groupLines(pending, segmentBytes)) closed.buffers.push(...this.#closeSegment(lines, joined))
    closed.bytes += this.pendingBytes
    closed.parts.push(...pending.flatMap(({ parts }) => parts))
    this.#pending = []
    this.pendingBytes = 0
    this.dueAtMs = Infinity
  }

  noSegments(): ClosedSegments {
    return { offset: this.offset, buffers: [], bytes: 0, parts: [] }
  }

  /** What is signed when it is sealed, with all that was closed. */
  manifest({ end, gap }: SealOrder): Manifest {
    return {
      format: 1,
      header: JSON.parse(this.header) as Record<string, unknown>,
      end: JSON.parse(end) as Record<string, unknown>,
      segments: this.#segments,
      events: this.#events,
      rawBytes: this.#rawBytes,
      bytes: this.offset,
      lastUs: this.#lastUs,
      chain: this.chain,
      index: this.#index.entries,
      ...(gap === null ? {} : { gap }),
    }
  }

  /** Nothing of it is written any more. */
  giveUp(): void {
    this.broken = true
    this.#pending = []
    this.pendingBytes = 0
    this.closed = null
  }

  /** @returns the segment's bytes. */
  #closeSegment(lines: readonly Lines[], joined: JoinedParts): Uint8Array[] {
    const all = lines.flatMap((one) => one.parts)
    const isRaw = lines.some(({ raw }) => raw)
    // Raw bytes may go to the disk as they are, later.
    const parts = isRaw ? all : joined.join(all)
    const { payload, rawBytes } = compressParts(parts, isRaw, this.offset + segmentHeadBytes)
    const events = lines.reduce((sum, part) => sum + part.events, 0)
    const { firstUs } = lines[0]!
    const { lastUs } = lines.at(-1)!
    const fields = { sequence: this.#segments + 1, events, rawBytes, firstUs, lastUs }
    const { head, chain, payloadBytes } = encodeSegment(fields, payload, Buffer.from(this.chain, 'hex'))
    this.#index.add(fields.sequence, this.offset, firstUs)
    this.chain = chain.toString('hex')
    this.offset += head.length + payloadBytes
    this.#segments++
    this.#events += events
    this.#rawBytes += rawBytes
    this.#lastUs = lastUs
    return [head, ...payload]
  }
}
