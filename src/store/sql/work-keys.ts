import type { Kysely } from 'kysely'
import type { KeptWork, WorkKeyReads, WorkKeyTx } from '../../access/once.ts'
import type { Tables } from './tables.ts'

export function workKeyReads(db: Kysely<Tables>): WorkKeyReads {
  return {
    async workByKey(person, key, since) {
      const kept = db.selectFrom('work_keys').select(['kind', 'subject', 'wish']).where('person_id', '=', person)
      const row = await kept.where('key', '=', key).where('at', '>', since).executeTakeFirst()
      return row as KeptWork | undefined
    },
  }
}

export function workKeyTx(db: Kysely<Tables>): WorkKeyTx {
  return {
    async keepWorkKey(person, key, work, at, since) {
      await db.deleteFrom('work_keys').where('at', '<=', since).execute()
      await db
        .insertInto('work_keys')
        .values({ person_id: person, key, ...work, at })
        .execute()
    },
  }
}
