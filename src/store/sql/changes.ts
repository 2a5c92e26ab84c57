import type { Kysely } from 'kysely'
import type { NumberedChange } from '../delivery.ts'
import type { Tables } from './tables.ts'

export function readChangesAfter(db: Kysely<Tables>, number: number): Promise<NumberedChange[]> {
  return db.selectFrom('changes').select(['number', 'json']).where('number', '>', number).orderBy('number').execute()
}
