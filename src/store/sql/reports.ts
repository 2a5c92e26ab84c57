import { sql, type Kysely, type RawBuilder } from 'kysely'
import type {
  KnownGrant,
  KnownRequest,
  KnownSession,
  LongToken,
  Paged,
  Period,
  ReportReads,
  UnusedGrant,
} from '../../access/reports/reads.ts'
import { displayName, type Person } from '../../identity/person.ts'
import { Fault } from '../../kernel/fault.ts'
import type { GrantId, PersonId, RequestId, SessionId, TokenId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import { toGrant, toRequest } from './access-rows.ts'
import { toPerson } from './identity-rows.ts'
import type { SqlState } from './sql-state.ts'
import type { GrantRow, PersonRow, RequestRow, Tables } from './tables.ts'

type Database = Kysely<Tables>

/** One page takes a few milliseconds; what others ask of the state comes in between. */
const pageRows = 500
/** Greater than every id. */
const afterAllIds = '~'

export function reportReads({ search: db }: SqlState): ReportReads {
  return {
    people: () => people(db),
    requests: (period) => requests(db, period),
    sessions: (period) => sessions(db, period),
    livingGrants: () => livingGrants(db),
    unusedGrants: (period) => unusedGrants(db, period),
    longTokens: (at, lengthMsMin, limit) => longTokens(db, at, lengthMsMin, limit),
    async lastSessionAs(resource, role) {
      const as = db.selectFrom('sessions').where('resource', '=', resource).where('role', '=', role)
      const row = await as.select(({ fn }) => fn.max('started_at').as('at')).executeTakeFirst()
      return (row?.at ?? null) as Instant | null
    },
    async lastGrantBy(policy) {
      const by = db.selectFrom('grants').where('policy', '=', policy)
      const row = await by.select(({ fn }) => fn.max('starts_at').as('at')).executeTakeFirst()
      return (row?.at ?? null) as Instant | null
    },
  }
}

/** Asks for page after page, each behind the last row of the one before. */
async function* paged<Row>(page: (last: Row | undefined) => Promise<readonly Row[]>): AsyncGenerator<readonly Row[]> {
  for (let last: Row | undefined; ;) {
    const rows = await page(last)
    if (rows.length > 0) yield rows
    if (rows.length < pageRows) return
    last = rows.at(-1)
  }
}

function people(db: Database): Paged<Person> {
  return mapped(
    paged<PersonRow>((last) =>
      db
        .selectFrom('persons')
        .selectAll()
        .where('id', '>', last?.id ?? '')
        .orderBy('id')
        .limit(pageRows)
        .execute(),
    ),
    async (rows) => rows.map(toPerson),
  )
}

async function* mapped<From, To>(
  pages: Paged<From>,
  map: (rows: readonly From[]) => Promise<readonly To[]>,
): AsyncGenerator<readonly To[]> {
  for await (const rows of pages) yield await map(rows)
}

/** Rows before this one, in the order of a time and then of the id, newest first. */
function before(time: string, at: number, id: string): RawBuilder<boolean> {
  return sql<boolean>`(${sql.ref(time)}, ${sql.ref('id')}) < (${at}, ${id})`
}

function requests(db: Database, { from, to }: Period): Paged<KnownRequest> {
  const pages = paged<RequestRow>((last) =>
    db
      .selectFrom('requests')
      .selectAll()
      .where('asked_at', '>=', from)
      .where(before('asked_at', last?.asked_at ?? to - 1, last?.id ?? afterAllIds))
      .orderBy('asked_at', 'desc')
      .orderBy('id', 'desc')
      .limit(pageRows)
      .execute(),
  )
  return mapped(pages, async (rows) => {
    const known = await peopleOf(
      db,
      rows.map(({ person_id }) => person_id),
    )
    return rows.map((row) => ({ request: toRequest(row), person: known(row.person_id) }))
  })
}

/** A state names nobody whom it does not know. */
async function peopleOf(db: Database, ids: readonly string[]): Promise<(id: string) => Person> {
  const distinct = [...new Set(ids)]
  const rows = await db.selectFrom('persons').selectAll().where('id', 'in', distinct).execute()
  const byId = new Map(rows.map((row) => [row.id, toPerson(row)]))
  return (id) => {
    const person = byId.get(id)
    if (person === undefined) throw new Fault('STORE_FAILED', `The state names ${id}, whom it does not know.`)
    return person
  }
}

function sessions(db: Database, { from, to }: Period): Paged<KnownSession> {
  const bytes = (name: string) => sql<number | null>`json_extract(ending, ${`$.${name}`})`
  const pages = paged<SessionPart>((last) =>
    db
      .selectFrom('sessions')
      .select(['id', 'person_id', 'person_name', 'resource', 'role', 'started_at', 'ended_at'])
      .select([bytes('bytesFromClient').as('from_client'), bytes('bytesFromTarget').as('from_target')])
      .where('started_at', '>=', from)
      .where(before('started_at', last?.started_at ?? to - 1, last?.id ?? afterAllIds))
      .orderBy('started_at', 'desc')
      .orderBy('id', 'desc')
      .limit(pageRows)
      .execute(),
  )
  return mapped(pages, async (rows) => rows.map(toKnownSession))
}

interface SessionPart {
  readonly id: string
  readonly person_id: string
  readonly person_name: string
  readonly resource: string
  readonly role: string
  readonly started_at: number
  readonly ended_at: number | null
  readonly from_client: number | null
  readonly from_target: number | null
}

function toKnownSession(row: SessionPart): KnownSession {
  return {
    ...{ id: row.id as SessionId, person: row.person_id as PersonId, personName: row.person_name },
    ...{ resource: row.resource, role: row.role },
    ...{ startedAt: row.started_at as Instant, endedAt: row.ended_at as Instant | null },
    ...{ bytesFromClient: row.from_client, bytesFromTarget: row.from_target },
  }
}

/** In the order of their index, which holds the living only. */
function livingGrants(db: Database): Paged<KnownGrant> {
  const pages = paged<GrantRow>((last) => {
    const { person_id = '', resource = '', role = '', id = '' } = last ?? {}
    const columns = sql.join(['person_id', 'resource', 'role', 'id'].map((name) => sql.ref(name)))
    return db
      .selectFrom('grants')
      .selectAll()
      .where(sql<boolean>`state in ('scheduled', 'active')`) // literally, as in the index
      .where(sql<boolean>`(${columns}) > (${sql.join([person_id, resource, role, id])})`)
      .orderBy('person_id')
      .orderBy('resource')
      .orderBy('role')
      .orderBy('id')
      .limit(pageRows)
      .execute()
  })
  return mapped(pages, (rows) => knownGrants(db, rows))
}

async function knownGrants(db: Database, rows: readonly GrantRow[]): Promise<readonly KnownGrant[]> {
  const ids = rows.map(({ request_id }) => request_id)
  const [known, decisions, used, asked] = await Promise.all([
    peopleOf(
      db,
      rows.map(({ person_id }) => person_id),
    ),
    approvals(db, ids),
    lastUses(
      db,
      rows.map(({ id }) => id),
    ),
    db.selectFrom('requests').selectAll().where('id', 'in', ids).execute(),
  ])
  const byId = new Map(asked.map((row) => [row.id, toRequest(row)]))
  return rows.map((row) => ({
    grant: toGrant(row),
    person: known(row.person_id),
    approvedBy: decisions.get(row.request_id) ?? [],
    lastUsedAt: used.get(row.id) ?? null,
    request: byId.get(row.request_id)!,
  }))
}

async function approvals(db: Database, requestIds: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await db
    .selectFrom('decisions')
    .innerJoin('persons', 'persons.id', 'decisions.person_id')
    .select(['decisions.request_id', 'persons.email', 'persons.name', 'persons.subject'])
    .where('decisions.request_id', 'in', requestIds)
    .where('decisions.verdict', '=', 'approve')
    .orderBy('decisions.at')
    .execute()
  const grouped = Map.groupBy(rows, (row) => row.request_id)
  return new Map([...grouped].map(([id, given]) => [id, given.map(displayName)]))
}

async function lastUses(db: Database, grantIds: readonly string[]): Promise<ReadonlyMap<string, Instant>> {
  const rows = await db
    .selectFrom('sessions')
    .select(['grant_id', ({ fn }) => fn.max('started_at').as('at')])
    .where('grant_id', 'in', grantIds)
    .groupBy('grant_id')
    .execute()
  return new Map(rows.map(({ grant_id, at }) => [grant_id, at as Instant]))
}

function unusedGrants(db: Database, { from, to }: Period): Paged<UnusedGrant> {
  const pages = paged<GrantRow>((last) =>
    db
      .selectFrom('grants')
      .selectAll()
      .where('starts_at', '>=', from)
      .where(before('starts_at', last?.starts_at ?? to - 1, last?.id ?? afterAllIds))
      .where(sql<boolean>`not exists (select 1 from sessions where grant_id = grants.id)`)
      .orderBy('starts_at', 'desc')
      .orderBy('id', 'desc')
      .limit(pageRows)
      .execute(),
  )
  return mapped(pages, async (rows) => {
    const known = await peopleOf(
      db,
      rows.map(({ person_id }) => person_id),
    )
    return rows.map((row) => ({
      ...{ id: row.id as GrantId, request: row.request_id as RequestId, personName: displayName(known(row.person_id)) },
      ...{ resource: row.resource, role: row.role, policy: row.policy, startsAt: row.starts_at as Instant },
      state: toGrant(row).state,
    }))
  })
}

async function longTokens(db: Database, at: Instant, lengthMsMin: number, limit: number): Promise<LongToken[]> {
  const length = sql<number>`tokens.expires_at - tokens.created_at`
  const rows = await db
    .selectFrom('tokens')
    .innerJoin('persons', 'persons.id', 'tokens.person_id')
    .select(['tokens.id', 'label', 'scopes', 'created_at', 'expires_at', 'last_used_at'])
    .select(['persons.email', 'persons.name', 'persons.subject'])
    .where('ended_at', 'is', null)
    .where('expires_at', '>', at)
    .where(length, '>=', lengthMsMin)
    .orderBy(length, 'desc')
    .orderBy('tokens.id')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    ...{ id: row.id as TokenId, personName: displayName(row), label: row.label, scopes: row.scopes.split(' ') },
    ...{ createdAt: row.created_at as Instant, expiresAt: row.expires_at as Instant },
    lastUsedAt: row.last_used_at as Instant | null,
  }))
}
