import type { Kysely } from 'kysely'
import type { Grant } from '../../access/states.ts'
import { Fault } from '../../kernel/fault.ts'
import type { GrantId } from '../../kernel/ids.ts'
import { fromGrant, toGrant } from './access-rows.ts'
import type { Tables } from './tables.ts'

type Database = Kysely<Tables>

export async function grantById(db: Database, id: GrantId): Promise<Grant | undefined> {
  const row = await db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toGrant(row)
}

export async function updateGrant(db: Database, grant: Grant): Promise<void> {
  const { id, ...columns } = fromGrant(grant)
  const result = await db.updateTable('grants').set(columns).where('id', '=', id).executeTakeFirst()
  if (result.numUpdatedRows === 0n) throw new Fault('GRANT_UNKNOWN', 'There is no such grant.')
}
