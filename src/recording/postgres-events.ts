/**
 * The codes of a PostgreSQL recording and what each carries: the vocabulary that the relay writes and that
 * replay and the pages read. docs/recording-format.md explains them for other programs; a test compares the two lists.
 */
export interface PostgresEvents {
  /** A simple query; may hold several statements. `n` numbers what the session executes, from 1. */
  readonly q: { readonly n: number } & StatementText
  /** Goes on with the text of the `q` or `p` before it. */
  readonly '+': { readonly sql: string }
  /** A statement is parsed under a name ('' is the unnamed one). */
  readonly p: { readonly name: string } & StatementText
  /** A parsed statement gets its values; `more` counts the ones left out. */
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
  /** Rows of a result, where the role says that they are kept; `columns` with the first of an answer. */
  readonly r: {
    readonly n: number | null
    readonly columns?: readonly { readonly name: string; readonly type?: string }[]
    readonly rows: readonly (readonly BoundValue[])[]
  }
  /** Complete. `tag` as the server says it; null: the query was empty. `rows`: from the tag, or counted when it has none. */
  readonly c: Answer & Sent & { readonly tag: string | null; readonly rows: number | null; readonly suspended?: true }
  /** An error. `rows`: how many had been sent before. */
  readonly e: Answer & Sent & ReportText & { readonly rows: number }
  readonly n: ReportText
  /** Data of a COPY has passed. `in`: to the server. */
  readonly cp: { readonly direction: 'in' | 'out' | 'both'; readonly bytes: number }
  /** A transaction begins, fails or is over. */
  readonly t: { readonly status: 'open' | 'failed' | 'idle' }
  /** What the guard of the role says of the `q`, `p` or `f` before it; of one that it asks about, again with the answer. */
  readonly g: GuardWord
  /** Somebody asked to cancel what runs, with this session's key. */
  readonly k: { readonly address: string }
  /** The gate spoke to the person. */
  readonly m: { readonly kind: 'notice' | 'warning' | 'cut'; readonly text: string; readonly code?: string }
  /** A parameter of the session, at its start and when it changes. */
  readonly s: { readonly name: string; readonly value: string }
}
export type PostgresCode = keyof PostgresEvents

/** Every code, with its name in words. */
export const postgresCodes: Readonly<Record<PostgresCode, string>> = {
  q: 'simple query',
  '+': 'more of a text',
  p: 'parse',
  b: 'bind',
  x: 'execute',
  f: 'function call',
  r: 'rows',
  c: 'complete',
  e: 'error',
  n: 'notice',
  cp: 'copy',
  t: 'transaction',
  g: 'guard',
  k: 'cancel',
  m: 'message of the gate',
  s: 'parameter',
}

export interface GuardWord {
  readonly action: 'warn' | 'ask' | 'refuse'
  /** Null: no rule fitted, or nobody can tell what the statement does. */
  readonly rule: string | null
  /** What it is about: `delete on shop.orders without WHERE`. */
  readonly about: string
  /** Of what was asked. */
  readonly question?: string
  /** `given-up`: by the person, or with the session. `failed`: the question could not be put. */
  readonly answer?: 'approved' | 'refused' | 'lapsed' | 'given-up' | 'failed'
  /** Who answered. */
  readonly by?: string
  readonly comment?: string
  readonly waitedMs?: number
}

export interface StatementText {
  /** Passwords masked. */
  readonly sql: string
  /** Only when it is longer than what is kept, `+` included: length of the whole, and the SHA-256 of all its bytes, hex. */
  readonly bytes?: number
  readonly sha256?: string
}

/**
 * Text as it is; binary as text with its type where that is known, else as base64; a long value only its beginning, with
 * the whole length; null for NULL.
 */
export type BoundValue =
  | string
  | null
  | { readonly base64: string; readonly bytes?: number }
  | { readonly text: string; readonly bytes?: number; readonly type?: string }

/** `n`: the number of the `q`, `x` or `f` that it answers; null when that is not known. `ms`: since that began. */
export interface Answer {
  readonly n: number | null
  readonly ms: number | null
}

/** Of an answer with rows: their bytes, and milliseconds until the first. */
export interface Sent {
  readonly bytes?: number
  readonly firstMs?: number
}

export interface ReportText {
  readonly severity: string
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string
}

/** How much room values take, roughly. */
export function charsOf(values: readonly BoundValue[]): number {
  return values.reduce((sum, value) => sum + lengthOf(value), 0)
}

function lengthOf(value: BoundValue): number {
  if (value === null) return 0
  if (typeof value === 'string') return value.length
  return 'text' in value ? value.text.length : value.base64.length
}
