// What the main thread and the two worker threads say to each other.

export type SqlValue = string | number | bigint | null | Uint8Array
export type Row = Record<string, unknown>

export interface Statement {
  readonly kind: 'statement'
  readonly sql: string
  readonly parameters: readonly SqlValue[]
}
/** An audit event in canonical JSON; the writer gives it its number and its hash. */
export interface Append {
  readonly kind: 'append'
  readonly json: string
}
export type Step = Statement | Append

export type Command =
  | { readonly id: number; readonly kind: 'read'; readonly statement: Statement }
  /** Steps of an open transaction, answered at once with what the last of them gave. Begins it if need be. */
  | { readonly id: number; readonly kind: 'run'; readonly transaction: number; readonly steps: readonly Step[] }
  /** The last steps of a transaction, then its end; answered when it is on the disk, or undone. */
  | {
      readonly id: number
      readonly kind: 'end'
      readonly transaction: number
      readonly steps: readonly Step[]
      readonly keep: boolean
    }
  | { readonly id: number; readonly kind: 'close' }

export interface Result {
  readonly rows: Row[]
  /** Rows inserted, updated or deleted. */
  readonly changes: number
}
/** A number that only grows, and the change in JSON. */
export interface ChangeRow {
  readonly number: number
  readonly json: string
}
/** How an error crosses the thread: SQLite's own message (names of tables and columns, never values). */
export interface Refusal {
  readonly message: string
  /** SQLite's extended result code, where it was SQLite. */
  readonly code: number | null
}
export type Answer =
  | { readonly id: number; readonly result: Result }
  | { readonly id: number; readonly refusal: Refusal }

/** `changes`: everything committed since the message before, by this process and by others, in order. */
export interface Reply {
  readonly answers: readonly Answer[]
  readonly changes: readonly ChangeRow[]
}

/** The first message of a worker: open, or why not. `newer` means that a newer Curfew wrote the file. */
export type Opening =
  | { readonly kind: 'open'; readonly lastChange: number }
  | { readonly kind: 'failed'; readonly refusal: Refusal; readonly newer: boolean }

export interface WorkerOptions {
  readonly role: 'writer' | 'reader' | 'searcher'
  readonly file: string
}
