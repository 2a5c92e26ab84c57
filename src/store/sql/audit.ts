import { sql, type Selectable } from 'kysely'
import type { AuditStore, ChainedEvent } from '../../audit/store.ts'
import { chainStart } from '../../audit/chain.ts'
import type { SqlState } from './sql-state.ts'
import type { AuditRow } from './tables.ts'

export function auditStore(state: SqlState): AuditStore {
  const { db, search } = state
  const log = (by = db) => by.selectFrom('audit').select(['sequence', 'json', 'previous', 'hash'])
  return {
    append: (events) =>
      state.transact(async (tx) => {
        for (const event of events) await tx.record(event)
      }),
    events: async (after, limit) =>
      (await log().where('sequence', '>', after).orderBy('sequence').limit(limit).execute()).map(toEvent),
    async search({ types, text, before, limit }) {
      let query = log(search).orderBy('sequence', 'desc').limit(limit)
      if (types !== undefined) query = query.where('type', 'in', types)
      if (text !== undefined)
        query = query.where(({ eb, fn }) => eb(fn('instr', [fn('lower', ['json']), lower(text)]), '>', 0))
      if (before !== undefined) query = query.where('sequence', '<', before)
      return (await query.execute()).map(toEvent)
    },
    async mentioning(ids, after, upTo) {
      const wanted = sql<string>`select value from json_each(${JSON.stringify(ids)})`
      const mentions = sql<boolean>`exists (select 1 from json_each(audit.json, '$.data') as one where one.value in (${wanted}))`
      const range = log(search).where('sequence', '>', after).where('sequence', '<=', upTo)
      return (await range.where(mentions).orderBy('sequence').execute()).map(toEvent)
    },
    async head() {
      const last = await log().orderBy('sequence', 'desc').limit(1).executeTakeFirst()
      return last === undefined ? { sequence: 0, hash: chainStart } : { sequence: last.sequence, hash: last.hash }
    },
    addCheckpoint: ({ sequence, jws }) =>
      state.transact(async (tx) => void (await tx.db.insertInto('checkpoints').values({ sequence, jws }).execute())),
    checkpoints: () => db.selectFrom('checkpoints').select(['sequence', 'jws']).orderBy('number').execute(),
    checkpointFrom: (sequence) =>
      db
        .selectFrom('checkpoints')
        .select(['sequence', 'jws'])
        .where('sequence', '>=', sequence)
        .orderBy('sequence')
        .orderBy('number')
        .executeTakeFirst(),
  }
}

/** The database folds case on both sides, so that both are folded alike. */
function lower(text: string) {
  return sql<string>`lower(${text})`
}

function toEvent({ sequence, json, previous, hash }: Omit<Selectable<AuditRow>, 'type'>): ChainedEvent {
  return { sequence, json, previous, hash }
}
