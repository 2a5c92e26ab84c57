import type { LinePart } from './line-parts.ts'

// What the recorder's two halves say to each other. Everything here survives structured clone.

export interface OpenOrder {
  readonly id: number
  /** Below the recordings folder. */
  readonly path: string
  /** The header line. */
  readonly header: string
}

/** Lines of one session, in order. */
export interface Lines {
  readonly id: number
  /** Transferred. */
  readonly parts: readonly LinePart[]
  /** Bytes that passed through are among them. */
  readonly raw: boolean
  /** Of all parts. */
  readonly bytes: number
  readonly events: number
  readonly firstUs: number
  readonly lastUs: number
}

export interface SealOrder {
  readonly id: number
  /** JSON of an object: how the session ended. */
  readonly end: string
  readonly gap: { readonly fromUs: number; readonly why: string } | null
}

/** To the writer. Within one message: opens, then lines, then seals and forgets. */
export interface Orders {
  readonly opens: readonly OpenOrder[]
  readonly lines: readonly Lines[]
  readonly seals: readonly SealOrder[]
  /** Recordings that this side has given up; nothing is reported of them any more. */
  readonly forgets: readonly number[]
  /** Write everything, close the files, answer `finished`. */
  readonly finish: boolean
}

export interface Saved {
  readonly id: number
  /** Bytes of lines that are on disk now and were not before. */
  readonly bytes: number
  /** By how much the file grew. */
  readonly fileBytes: number
  /** Chain hash of the last segment that is on disk (of the header when there is none), in hex. */
  readonly chain: string
}

/** From the writer. */
export interface Report {
  readonly opened: readonly number[]
  readonly saved: readonly Saved[]
  readonly sealed: readonly number[]
  /** Files that can no longer be written. */
  readonly failed: readonly { readonly id: number; readonly message: string }[]
  /** Free space, when it is below the threshold. */
  readonly lowBytes: number | null
  readonly finished: boolean
  /** Buffers of lines that are written, to be used again; transferred. */
  readonly spares: ArrayBuffer[]
}
