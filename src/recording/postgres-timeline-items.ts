import type { BoundValue, GuardWord, PostgresEvents, ReportText } from './postgres-events.ts'

/** One execution: a simple query (perhaps several statements), an Execute, or a function call. */
export interface StatementItem {
  readonly kind: 'statement'
  /** Seconds since the start of the recording. */
  readonly at: number
  readonly n: number
  /** As it was recorded; null when its Parse is not in the recording or the range that was read. */
  readonly sql: string | null
  /** Bytes of the whole text when `sql` is only its beginning. */
  readonly sqlBytes: number | null
  readonly binds: readonly BoundValue[]
  /** Bind values that were not recorded. */
  readonly bindsLeftOut: number
  /** One per statement of a simple query; `tag` null for an empty one. */
  readonly results: readonly {
    readonly tag: string | null
    readonly rows: number | null
    readonly ms: number | null
    /** The row limit of the Execute was reached; the rest may be fetched later. */
    readonly suspended: boolean
    /** Of the rows that were sent; null: there were none. */
    readonly bytes: number | null
    /** Until the first row; null: there was none. */
    readonly firstMs: number | null
  }[]
  /** Rows that were kept of its results, and the columns of the last of them. */
  readonly kept: {
    readonly columns: NonNullable<PostgresEvents['r']['columns']>
    readonly rows: readonly (readonly BoundValue[])[]
  }
  readonly error: StatementError | null
  /** Sum of what its answers took; null while there is none. */
  readonly durationMs: number | null
  readonly notices: readonly ReportText[]
  readonly copy: PostgresEvents['cp'] | null
  /** The target stopped it because somebody asked (57014). */
  readonly cancelled: boolean
  /** It was still running when the gate ended the session; `durationMs` is until then. */
  readonly cutOff: boolean
}

/** `rows`: how many had been sent before. */
export interface StatementError extends ReportText {
  readonly rows: number
}

export type TimelineItem =
  | StatementItem
  /** An error outside any execution; `sql`: the statement that was being parsed, if one was. */
  | { readonly kind: 'error'; readonly at: number; readonly error: StatementError; readonly sql: string | null }
  /**
   * A statement that was parsed and never executed, as far as the recording tells; told when its name is given away or
   * at the end. So every text is shown somewhere, whatever a client does to make one pass for another.
   */
  | { readonly kind: 'parsed'; readonly at: number; readonly parsedAt: number; readonly sql: string }
  | { readonly kind: 'notice'; readonly at: number; readonly notice: ReportText }
  | { readonly kind: 'transaction'; readonly at: number; readonly status: PostgresEvents['t']['status'] }
  | { readonly kind: 'cancel'; readonly at: number; readonly address: string }
  | ({ readonly kind: 'guard'; readonly at: number } & GuardWord)
  | { readonly kind: 'parameter'; readonly at: number; readonly name: string; readonly value: string }
  /** The gate spoke to the person. */
  | ({ readonly kind: 'gate'; readonly at: number } & Omit<PostgresEvents['m'], 'kind'> & {
        readonly what: PostgresEvents['m']['kind']
      })
  /** A line that this version does not know. */
  | { readonly kind: 'unknown'; readonly at: number; readonly code: string }
