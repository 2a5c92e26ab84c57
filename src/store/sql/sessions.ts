import { sql, type Expression, type ExpressionBuilder, type Kysely, type SqlBool } from 'kysely'
import type { CredentialId, GrantId, PersonId, SessionId, BrowserSessionId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type {
  Client,
  FoundSessions,
  Session,
  SessionEnd,
  SessionPlace,
  SessionReads,
  SessionRow,
  SessionStore,
  SessionTx,
  SessionWish,
} from '../../sessions/session.ts'
import { grantById, updateGrant } from './grants.ts'
import type { SqlState, SqlTx } from './sql-state.ts'
import type { SessionTableRow, Tables } from './tables.ts'

export function sessionStore(state: SqlState): SessionStore {
  return {
    ...sessionReads(state.db),
    searchRecorded: (wish) => searchRecorded(state.search, wish),
    transact: (work) => state.transact((tx) => work(sessionTx(state.db, tx))),
  }
}

function sessionReads(db: Kysely<Tables>): SessionReads {
  return {
    async session(id) {
      const row = await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toSessionRow(row)
    },
    async sessions({ person, live, limit }) {
      let query = db.selectFrom('sessions').selectAll().orderBy('started_at', 'desc').orderBy('id').limit(limit)
      if (person !== undefined) query = query.where('person_id', '=', person)
      if (live !== undefined) query = query.where('ended_at', live ? 'is' : 'is not', null)
      return (await query.execute()).map(toSessionRow)
    },
  }
}

type Where = (eb: ExpressionBuilder<Tables, 'sessions'>) => Expression<SqlBool>

/** Both say first what the index can answer. */
function isBehind({ before, behind }: SessionPlace): Where {
  return (eb) =>
    behind === undefined
      ? eb('started_at', '<', before)
      : eb.and([eb('started_at', '<=', before), eb.or([eb('started_at', '<', before), eb('id', '>', behind)])])
}

function isUpTo(last: { readonly started_at: number; readonly id: string }): Where {
  return (eb) =>
    eb.and([
      eb('started_at', '>=', last.started_at),
      eb.or([eb('started_at', '>', last.started_at), eb('id', '<=', last.id)]),
    ])
}

async function searchRecorded(db: Kysely<Tables>, wish: SessionWish): Promise<FoundSessions> {
  const { person, name, resource, since, place, limit, looksMax } = wish
  let all = db.selectFrom('sessions').orderBy('started_at', 'desc').orderBy('id')
  if (person !== undefined) all = all.where('person_id', '=', person)
  if (since !== undefined) all = all.where('started_at', '>=', since)
  if (place !== undefined) all = all.where(isBehind(place))
  // The last one that is looked at; there is none where there are fewer.
  const last = await all
    .select(['started_at', 'id'])
    .limit(1)
    .offset(looksMax - 1)
    .executeTakeFirst()
  let fitting = all.selectAll().where('recording', 'is not', null).limit(limit)
  if (last !== undefined) fitting = fitting.where(isUpTo(last))
  // Not by the index of resources: that knows nothing of the order, and would have all of one resource sorted.
  if (resource !== undefined) fitting = fitting.where(sql`+resource`, '=', resource)
  // The database folds case on both sides, so that both are folded alike.
  if (name !== undefined) fitting = fitting.where(sql<boolean>`instr(lower(person_name), lower(${name})) > 0`)
  const found = await fitting.execute()
  const end = found.length === limit ? found.at(-1) : last
  return {
    rows: found.map(toSessionRow),
    next: end && { before: end.started_at as Instant, behind: end.id as SessionId },
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
