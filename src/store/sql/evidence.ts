import type { EvidenceReads } from '../../evidence/store.ts'
import { toRequest } from './access-rows.ts'
import { toSessionRow } from './sessions.ts'
import type { SqlState } from './sql-state.ts'

export function evidenceReads({ db }: SqlState): EvidenceReads {
  return {
    async extensionsOf(grant, limit) {
      const extensions = db.selectFrom('requests').selectAll().where('extends_grant_id', '=', grant)
      return (await extensions.orderBy('asked_at').orderBy('id').limit(limit).execute()).map(toRequest)
    },
    async sessionsOf(grant, after, limit) {
      let query = db.selectFrom('sessions').selectAll().where('grant_id', '=', grant)
      if (after !== null) {
        const { startedAt, id } = after
        query = query.where((eb) =>
          eb.or([eb('started_at', '>', startedAt), eb.and([eb('started_at', '=', startedAt), eb('id', '>', id)])]),
        )
      }
      return (await query.orderBy('started_at').orderBy('id').limit(limit).execute()).map(toSessionRow)
    },
  }
}
