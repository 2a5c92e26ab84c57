import type { DatabaseUserId, GrantId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { DatabaseUser, DatabaseUserOutcome, DatabaseUserStore } from '../../sessions/database-users.ts'
import type { SqlState } from './sql-state.ts'
import type { DatabaseUserRow } from './tables.ts'

export function databaseUserStore(state: SqlState): DatabaseUserStore {
  const { db } = state
  return {
    async standing() {
      const rows = await db.selectFrom('database_users').selectAll().where('ended_at', 'is', null).execute()
      return rows.map(toDatabaseUser)
    },
    async latest(resource, name) {
      const named = db
        .selectFrom('database_users')
        .selectAll()
        .where('resource', '=', resource)
        .where('name', '=', name)
      // The one that stands first, whatever the clock said when it was planned.
      const ordered = named.orderBy('ended_at', (order) => order.desc().nullsFirst()).orderBy('planned_at', 'desc')
      const row = await ordered.limit(1).executeTakeFirst()
      return row && toDatabaseUser(row)
    },
    plan: (user) =>
      state.transact(
        async (tx) => void (await tx.db.insertInto('database_users').values(fromDatabaseUser(user)).execute()),
      ),
    made: (id, at, event) =>
      state.transact(async (tx) => {
        await tx.db.updateTable('database_users').set({ made_at: at }).where('id', '=', id).execute()
        await tx.record(event)
      }),
    end: (id, { at, outcome }, event) =>
      state.transact(async (tx) => {
        const standing = tx.db.updateTable('database_users').where('id', '=', id).where('ended_at', 'is', null)
        const { numUpdatedRows } = await standing.set({ ended_at: at, outcome }).executeTakeFirst()
        if (numUpdatedRows > 0n && event !== null) await tx.record(event)
      }),
  }
}

function fromDatabaseUser(user: DatabaseUser): DatabaseUserRow {
  return {
    id: user.id,
    grant_id: user.grant,
    resource: user.resource,
    role: user.role,
    name: user.name,
    planned_at: user.plannedAt,
    made_at: user.madeAt,
    ended_at: user.end?.at ?? null,
    outcome: user.end?.outcome ?? null,
  }
}

function toDatabaseUser(row: DatabaseUserRow): DatabaseUser {
  return {
    id: row.id as DatabaseUserId,
    grant: row.grant_id as GrantId,
    resource: row.resource,
    role: row.role,
    name: row.name,
    plannedAt: row.planned_at as Instant,
    madeAt: row.made_at as Instant | null,
    end: row.ended_at === null ? null : { at: row.ended_at as Instant, outcome: row.outcome as DatabaseUserOutcome },
  }
}
