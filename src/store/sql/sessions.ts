import type { Kysely } from 'kysely'
import type { CredentialId, GrantId, PersonId, SessionId, BrowserSessionId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type {
  Client,
  Session,
  SessionEnd,
  SessionReads,
  SessionRow,
  SessionStore,
  SessionTx,
} from '../../sessions/session.ts'
import { grantById, updateGrant } from './grants.ts'
import type { SqlState, SqlTx } from './sql-state.ts'
import type { SessionTableRow, Tables } from './tables.ts'

export function sessionStore(state: SqlState): SessionStore {
  return {
    ...sessionReads(state.db),
    transact: (work) => state.transact((tx) => work(sessionTx(state.db, tx))),
  }
}

function sessionReads(db: Kysely<Tables>): SessionReads {
  return {
    async session(id) {
      const row = await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toSessionRow(row)
    },
    async sessions({ person, live, before, behind, limit }) {
      let query = db.selectFrom('sessions').selectAll().orderBy('started_at', 'desc').orderBy('id').limit(limit)
      if (person !== undefined) query = query.where('person_id', '=', person)
      if (live !== undefined) query = query.where('ended_at', live ? 'is' : 'is not', null)
      if (before !== undefined) {
        query = query.where((eb) => {
          const earlier = eb('started_at', '<', before)
          if (behind === undefined) return earlier
          return eb.or([earlier, eb.and([eb('started_at', '=', before), eb('id', '>', behind)])])
        })
      }
      return (await query.execute()).map(toSessionRow)
    },
  }
}

function sessionTx(db: Kysely<Tables>, tx: SqlTx): SessionTx {
  return {
    ...sessionReads(tx.db),
    record: (event) => tx.record(event),
    announce: (change) => tx.announce(change),
    grant: (id) => grantById(tx.db, id),
    updateGrant: (grant) => updateGrant(tx.db, grant),
    async insertSession(session, recording) {
      tx.later(db.insertInto('sessions').values(fromSession(session, recording)))
    },
    async endSession(id, end) {
      const { numUpdatedRows } = await tx.db
        .updateTable('sessions')
        .set({ ended_at: end.at, ending: JSON.stringify(end) })
        .where('id', '=', id)
        .where('ended_at', 'is', null)
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },
  }
}

function fromSession(session: Session, recording: string | null): SessionTableRow {
  return {
    id: session.id,
    person_id: session.person,
    person_name: session.personName,
    credential: session.credential,
    browser_session_id: session.browserSession,
    grant_id: session.grant,
    resource: session.resource,
    role: session.role,
    database: session.database,
    client: JSON.stringify(session.client),
    node: session.node,
    started_at: session.startedAt,
    recording,
    ended_at: null,
    ending: null,
  }
}

export function toSessionRow(row: SessionTableRow): SessionRow {
  const session: Session = {
    id: row.id as SessionId,
    person: row.person_id as PersonId,
    personName: row.person_name,
    credential: row.credential as CredentialId,
    browserSession: row.browser_session_id as BrowserSessionId | null,
    grant: row.grant_id as GrantId,
    resource: row.resource,
    role: row.role,
    database: row.database,
    client: JSON.parse(row.client) as Client,
    node: row.node,
    startedAt: row.started_at as Instant,
  }
  const end = row.ending === null ? null : (JSON.parse(row.ending) as SessionEnd)
  return { session, end, recording: row.recording }
}
