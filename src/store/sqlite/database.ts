import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Refusal, Result, Row, Statement } from './messages.ts'

const busyMsMax = 5000
const statementsMax = 256
const walBytesMax = 64 * 1024 * 1024

/** One SQLite connection. Everything here blocks its thread. The only file that knows node:sqlite. */
export class Database {
  readonly #connection: DatabaseSync
  readonly #statements = new Map<string, { readonly statement: StatementSync; readonly hasRows: boolean }>()

  constructor(file: string, mode: 'write' | 'read') {
    this.#connection = new DatabaseSync(file, { readOnly: mode === 'read', timeout: busyMsMax, defensive: true })
    this.exec('pragma trusted_schema = off; pragma foreign_keys = on')
    if (mode === 'write') this.exec(`pragma journal_mode = wal; pragma journal_size_limit = ${walBytesMax}`)
    // A commit is on the disk before it returns, also in WAL mode; macOS needs to be told twice.
    this.exec('pragma synchronous = full; pragma fullfsync = on; pragma checkpoint_fullfsync = on')
  }

  /** False after SQLite rolled back by itself (disk full, I/O error). */
  get inTransaction(): boolean {
    return this.#connection.isTransaction
  }

  exec(sql: string): void {
    this.#connection.exec(sql)
  }

  run({ sql, parameters }: Pick<Statement, 'sql' | 'parameters'>): Result {
    const { statement, hasRows } = this.#prepare(sql)
    if (!hasRows) return { rows: [], changes: Number(statement.run(...parameters).changes) }
    const rows = statement.all(...parameters) as Row[]
    return { rows, changes: rows.length }
  }

  close(): void {
    this.#connection.close()
  }

  #prepare(sql: string): { readonly statement: StatementSync; readonly hasRows: boolean } {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#connection.prepare(sql)
    const prepared = { statement, hasRows: statement.columns().length > 0 }
    const oldest = this.#statements.keys().next()
    if (this.#statements.size >= statementsMax && !oldest.done) this.#statements.delete(oldest.value)
    this.#statements.set(sql, prepared)
    return prepared
  }
}

/**
 * Holds a file so that no other process can, until disposed or until this process is gone, however it goes.
 * @returns undefined when another process holds it.
 */
export function holdFile(file: string): Disposable | undefined {
  const connection = new DatabaseSync(file, { timeout: 0 })
  try {
    connection.exec('pragma locking_mode = exclusive; begin exclusive')
    // What may only be read is opened all the same, and others are not held off then: a write tells.
    connection.exec('pragma user_version = 1')
  } catch (error) {
    connection.close()
    if (refusalOf(error).code === sqliteBusy) return undefined
    throw error
  }
  return { [Symbol.dispose]: () => connection.close() }
}

/** SQLite result code SQLITE_BUSY. */
const sqliteBusy = 5

export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof Error)) return { message: String(error), code: null }
  const code = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : null
  return { message: error.message, code }
}
