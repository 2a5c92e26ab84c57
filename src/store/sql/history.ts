import { sql, type Kysely } from 'kysely'
import { historyBounds, turnedAwayCodes, turnedAwayTypes, type HistoryReads } from '../../access/history.ts'
import type { PersonId } from '../../kernel/ids.ts'
import { later, type Instant } from '../../kernel/time.ts'
import type { SqlState } from './sql-state.ts'
import type { Tables } from './tables.ts'

type Database = Kysely<Tables>

const { habitMs, freshMs, refusalsMs, failuresMs, grantsMax, sessionsMax, signInsMax } = historyBounds
/** More than can count. */
const countedMax = 100

/** Each query has an index that begins with the person, and a bound. */
export function historyReads({ db }: SqlState): HistoryReads {
  return {
    async history(person, resource, at) {
      const [lengthsThereMs, sessions, signIns, refusals, failures] = await Promise.all([
        lengthsThere(db, person, resource, at),
        sessionsOf(db, person, at),
        signInsOf(db, person, at),
        refusalsOf(db, person, at),
        failuresOf(db, person, at),
      ])
      return {
        lengthsThereMs,
        sessionsAt: sessions.map(({ startedAt }) => startedAt),
        addresses: [...new Set([...sessions.map(({ address }) => address), ...signIns])],
        refusals,
        failures,
      }
    },
  }
}

/** Grants that began; one that was revoked before it did gave nothing. */
async function lengthsThere(db: Database, person: PersonId, resource: string, at: Instant): Promise<number[]> {
  const rows = await db
    .selectFrom('grants')
    .select('length_ms')
    .where('person_id', '=', person)
    .where('resource', '=', resource)
    .where('starts_at', '<', at)
    .where((is) => is.or([is('ended_at', 'is', null), is('ended_at', '>', is.ref('starts_at'))]))
    .orderBy('starts_at', 'desc')
    .limit(grantsMax)
    .execute()
  return rows.map(({ length_ms }) => length_ms)
}

async function sessionsOf(db: Database, person: PersonId, at: Instant) {
  const rows = await db
    .selectFrom('sessions')
    .select(['started_at', sql<string>`json_extract(client, '$.address')`.as('address')])
    .where('person_id', '=', person)
    .where('started_at', '>=', later(at, -habitMs))
    .where('started_at', '<', later(at, -freshMs))
    .orderBy('started_at', 'desc')
    .limit(sessionsMax)
    .execute()
  return rows.map(({ started_at, address }) => ({ startedAt: started_at as Instant, address }))
}

async function signInsOf(db: Database, person: PersonId, at: Instant): Promise<string[]> {
  const rows = await db
    .selectFrom('browser_sessions')
    .select('address')
    .where('person_id', '=', person)
    .where('created_at', '>=', later(at, -habitMs))
    .where('created_at', '<', later(at, -freshMs))
    .orderBy('created_at', 'desc')
    .limit(signInsMax)
    .execute()
  return rows.map(({ address }) => address)
}

async function refusalsOf(db: Database, person: PersonId, at: Instant): Promise<number> {
  const rows = await db
    .selectFrom('requests')
    .select('id')
    .where('state', '=', sql.lit('denied')) // literally, as in the index
    .where('person_id', '=', person)
    .where('closed_at', '>=', later(at, -refusalsMs))
    .where('closed_at', '<=', at)
    .limit(countedMax)
    .execute()
  return rows.length
}

async function failuresOf(db: Database, person: PersonId, at: Instant): Promise<number> {
  const happenedAt = sql<number>`json_extract(json, '$.at')`
  const code = sql<string | null>`json_extract(json, '$.data.code')`
  const rows = await db
    .selectFrom('audit')
    .select('sequence')
    .where(sql<boolean>`type in (${sql.join(turnedAwayTypes.map((type) => sql.lit(type)))})`)
    .where(sql<string>`json_extract(json, '$.person')`, '=', person)
    .where(happenedAt, '>=', later(at, -failuresMs))
    .where(happenedAt, '<=', at)
    .where((is) => is.or([is(code, 'is', null), is(code, 'in', turnedAwayCodes)]))
    .limit(countedMax)
    .execute()
  return rows.length
}
