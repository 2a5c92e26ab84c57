import type { Recorder } from '../../recording/recorder.ts'

/**
 * What the recording of a PostgreSQL session says: lines `[seconds, code, data]`, one data shape per code.
 * docs/protocols.md explains them for people; a test compares the two lists.
 */
export interface PostgresEvents {
  /** A simple query; may hold several statements. */
  readonly q: { readonly n: number } & StatementText
  /** A statement is parsed under a name ('' is the unnamed one). */
  readonly p: { readonly name: string } & StatementText
  /** A parsed statement gets its values. `values` is cut at `valuesMax`; `more` counts the ones left out. */
  readonly b: {
    readonly portal: string
    readonly statement: string
    readonly values: readonly BoundValue[]
    readonly more?: number
  }
  /** A portal is executed. `rows`: at most so many; 0 for all. */
  readonly x: { readonly n: number; readonly portal: string; readonly rows: number }
  /** A function is called by its number (large objects of old drivers). */
  readonly f: { readonly n: number; readonly oid: number; readonly argumentBytes: number }
  /** Complete. `tag` as the server says it; null: the query was empty. `rows`: from the tag, or counted when it has none. */
  readonly c: Answer & { readonly tag: string | null; readonly rows: number | null; readonly suspended?: true }
  /** An error. `rows`: how many had been sent before. */
  readonly e: Answer & ReportText & { readonly rows: number }
  readonly n: ReportText
  /** Data of a COPY has passed. `in`: to the server. */
  readonly cp: { readonly direction: 'in' | 'out' | 'both'; readonly bytes: number }
  /** Somebody asked to cancel what runs, with this session's key. */
  readonly k: Readonly<Record<string, never>>
  /** The gate spoke to the person. */
  readonly m: { readonly kind: 'warning' | 'cut'; readonly text: string; readonly code?: string }
  /** A parameter of the session, at its start and when it changes. */
  readonly s: { readonly name: string; readonly value: string }
}
export type PostgresCode = keyof PostgresEvents

/** Every code, with its name in words. */
export const postgresCodes: Readonly<Record<PostgresCode, string>> = {
  q: 'simple query',
  p: 'parse',
  b: 'bind',
  x: 'execute',
  f: 'function call',
  c: 'complete',
  e: 'error',
  n: 'notice',
  cp: 'copy',
  k: 'cancel',
  m: 'message of the gate',
  s: 'parameter',
}

export interface StatementText {
  /** Masked. At most `statementBytesMax` bytes of it. */
  readonly sql: string
  /** Only when it was cut: length of the whole, and the SHA-256 of all its bytes, hex. */
  readonly bytes?: number
  readonly sha256?: string
}

/** Text as it is; binary as base64; longer than `valueBytesMax` only its beginning, with the whole length; null for NULL. */
export type BoundValue =
  | string
  | null
  | { readonly base64: string; readonly bytes?: number }
  | { readonly text: string; readonly bytes: number }

/** `n`: the number of the `q`, `x` or `f` that it answers; null when that is not known. `ms`: since that began. */
export interface Answer {
  readonly n: number | null
  readonly ms: number | null
}

export interface ReportText {
  readonly severity: string
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string
}

export const statementBytesMax: number = 64 * 1024
export const valueBytesMax = 1024
export const valuesMax = 256
export const bindBytesMax: number = 64 * 1024
export const reportBytesMax: number = 8 * 1024

/** The one way into a recorder from here, so that no line has another shape. */
export function record<Code extends PostgresCode>(recorder: Recorder, code: Code, data: PostgresEvents[Code]): void {
  recorder.event(code, data)
}
