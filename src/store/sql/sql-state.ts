import type { Compilable, Kysely } from 'kysely'
import type { Facts } from '../../audit/facts.ts'
import type { Tables } from './tables.ts'

/** One transaction, as the query files see it. */
export interface SqlTx extends Facts {
  readonly db: Kysely<Tables>
  /** A write that nobody waits for: sent with what comes next. Its failure fails the transaction, at its end at the latest. */
  later(write: Compilable): void
}

/** A database that speaks through Kysely. The query files are written over this, once for every kind of database. */
export interface SqlState {
  /** Reads what is committed; outside any transaction. */
  readonly db: Kysely<Tables>
  /** The same, for what may look through whole tables: it holds up nobody but others of its kind. */
  readonly search: Kysely<Tables>
  /** All of `work` happens, durably, or nothing of it; runs as if alone. Never call it within `work`. */
  transact<T>(work: (tx: SqlTx) => Promise<T>): Promise<T>
}
