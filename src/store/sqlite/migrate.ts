import type { Database } from './database.ts'
import { migrations } from './migrations/all.ts'

/** A newer Curfew wrote the file: this one would not understand it. */
export class NewerSchema extends Error {}

/** Brings the file to the newest schema, in one transaction, so that two processes may open it at once. */
export function migrate(database: Database, known: readonly string[] = migrations): void {
  database.exec('begin immediate')
  try {
    database.exec('create table if not exists schema_version (version integer primary key) strict')
    const present = version(database)
    if (present > known.length) {
      throw new NewerSchema(`it has schema ${present}; this Curfew knows ${known.length}`)
    }
    for (const [index, sql] of known.entries()) {
      if (index >= present) apply(database, index + 1, sql)
    }
    database.exec('commit')
  } catch (error) {
    if (database.inTransaction) database.exec('rollback')
    throw error
  }
}

function version(database: Database): number {
  const { rows } = database.run({
    sql: 'select coalesce(max(version), 0) as present from schema_version',
    parameters: [],
  })
  return Number(rows[0]?.['present'])
}

function apply(database: Database, number: number, sql: string): void {
  database.exec(sql)
  database.run({ sql: 'insert into schema_version (version) values (?)', parameters: [number] })
}
