import {
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
} from 'kysely'
import type { Tables } from '../sql/tables.ts'
import type { Result, SqlValue, Statement } from './messages.ts'

/** Kysely over something that takes one statement and answers it. Transactions are `transact`'s business, not Kysely's. */
export function kyselyOver(perform: (statement: Statement) => Promise<Result>): Kysely<Tables> {
  const connection = connectionOver(perform)
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => driverFor(connection),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
  return new Kysely<Tables>({ dialect })
}

export function toStatement({ sql, parameters }: CompiledQuery): Statement {
  return { kind: 'statement', sql, parameters: parameters.map(toSqlValue) }
}

function toSqlValue(value: unknown): SqlValue {
  if (value === null || value instanceof Uint8Array) return value
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return value
  throw new TypeError(`SQLite has no place for a ${typeof value}`)
}

function connectionOver(perform: (statement: Statement) => Promise<Result>): DatabaseConnection {
  return {
    async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
      const { rows, changes } = await perform(toStatement(query))
      return { rows: rows as Row[], numAffectedRows: BigInt(changes) }
    },
    streamQuery: () => {
      throw new Error('rows are not streamed; page with a limit')
    },
  }
}

function driverFor(connection: DatabaseConnection): Driver {
  const refuse = () => Promise.reject(new Error('transactions are begun with transact'))
  return {
    init: () => Promise.resolve(),
    acquireConnection: () => Promise.resolve(connection),
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    releaseConnection: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
  }
}
