/**
 * The codes of a PostgreSQL recording and what each carries: the vocabulary that the relay writes and that
 * replay, the pages and `curfew verify` read. docs/recording-format.md describes them for other programs.
 *
 * `id` numbers the executions of a session from 1: a simple query takes one, an Execute takes one. Completions and
 * errors name it, so that pipelined answers find their statement. Text that was cut short carries its whole size
 * in bytes beside it; passwords are masked before they get here.
 */
export interface PostgresEvents {
  /** Simple query. A script of several statements is one `q` with several `c`. */
  readonly q: { readonly id: number; readonly sql: string; readonly sqlBytes?: number }
  /** Parse: `name` is empty for the unnamed statement. */
  readonly p: { readonly name: string; readonly sql: string; readonly sqlBytes?: number }
  /** Bind: `statement` was parsed, possibly long before. */
  readonly b: { readonly portal: string; readonly statement: string; readonly values: readonly BoundValue[] }
  /** Execute. `maxRows` 0: all of them. */
  readonly x: { readonly id: number; readonly portal: string; readonly maxRows: number }
  /**
   * One statement of `id` is complete. `tag` as the server wrote it (`SELECT 3`), empty for an empty query,
   * `(suspended)` when the row limit of an Execute was reached. `rows`: rows returned or touched, from the tag.
   * `bytes`: result data sent to the client. `ms`: since the statement before it, or since `q`/`x`.
   */
  readonly c: {
    readonly id: number
    readonly tag: string
    readonly rows?: number
    readonly bytes?: number
    readonly ms: number
  }
  /** ErrorResponse. Without `id` it belongs to no execution (a failed Parse, a FATAL between statements). */
  readonly e: {
    readonly id?: number
    readonly severity: string
    readonly sqlstate: string
    readonly message: string
    readonly detail?: string
    readonly hint?: string
    readonly ms?: number
  }
  /** NoticeResponse from the target. */
  readonly n: {
    readonly id?: number
    readonly severity: string
    readonly sqlstate: string
    readonly message: string
  }
  /** A COPY ended; `direction` as seen by the client. `rows` as far as the tag tells. */
  readonly cp: { readonly id: number; readonly direction: 'in' | 'out'; readonly bytes: number; readonly rows?: number }
  /** The client asked to cancel what runs, on a connection of its own. */
  readonly k: Readonly<Record<string, never>>
  /** ParameterStatus. */
  readonly s: { readonly name: string; readonly value: string }
  /** A word from the gateway to the person: a warning before the end. */
  readonly m: { readonly text: string }
  /** The session is over. `code`: the fault's, null for an ordinary end. */
  readonly end: {
    readonly by: 'client' | 'target' | 'gate'
    readonly code: string | null
    readonly message: string | null
  }
}

export type PostgresCode = keyof PostgresEvents

/**
 * A bind value: text as it was sent; null; or text cut short (`text`) or binary (`hex`, its first bytes),
 * with the whole size in bytes.
 */
export type BoundValue =
  | string
  | null
  | { readonly text: string; readonly bytes: number }
  | { readonly hex: string; readonly bytes: number }

/** The tag of a `c` whose Execute stopped at its row limit (PortalSuspended). */
export const suspendedTag = '(suspended)'
