import { sql, type Kysely, type UpdateResult } from 'kysely'
import type { Request } from '../../access/states.ts'
import type { AccessReads, AccessStore, AccessTx } from '../../access/store.ts'
import { Fault } from '../../kernel/fault.ts'
import {
  fromDecision,
  fromGrant,
  fromLock,
  fromRequest,
  toDecision,
  toGrant,
  toLock,
  toRequest,
  toRequested,
} from './access-rows.ts'
import { grantById, updateGrant } from './grants.ts'
import { toSessionRow } from './sessions.ts'
import { campaignReads, campaignTx } from './campaigns.ts'
import { questionReads, questionTx } from './questions.ts'
import { reviewReads, reviewTx } from './reviews.ts'
import { workKeyReads, workKeyTx } from './work-keys.ts'
import type { SqlState, SqlTx } from './sql-state.ts'
import type { Tables } from './tables.ts'

type Database = Kysely<Tables>

export function accessStore(state: SqlState): AccessStore {
  return {
    ...accessReads(state.db),
    transact: (work) => state.transact((tx) => work(accessTx(tx))),
  }
}

function accessReads(db: Database): AccessReads {
  return {
    ...requestReads(db),
    ...grantReads(db),
    ...lockReads(db),
    ...reviewReads(db),
    ...campaignReads(db),
    ...questionReads(db),
    ...workKeyReads(db),
  }
}

type RequestReads = Pick<
  AccessReads,
  | 'request'
  | 'requestByKey'
  | 'requestsOf'
  | 'requestsAskedBy'
  | 'requestsOfBundle'
  | 'openRequests'
  | 'closedRequests'
  | 'decisionsOn'
  | 'decisionsOnOpen'
  | 'requestsToLapse'
  | 'requestsToEscalate'
>

function requestReads(db: Database): RequestReads {
  const requests = () => db.selectFrom('requests').selectAll()
  const open = () => requests().where('state', '=', 'requested')
  return {
    async request(id) {
      const row = await requests().where('id', '=', id).executeTakeFirst()
      return row && toRequest(row)
    },
    async requestByKey(person, key, since) {
      const kept = db.selectFrom('request_keys').select('request_id').where('person_id', '=', person)
      const row = await kept.where('key', '=', key).where('at', '>', since).executeTakeFirst()
      const request = row && (await requests().where('id', '=', row.request_id).executeTakeFirst())
      return request && toRequest(request)
    },
    async requestsOf(person, limit) {
      const mine = requests().where('person_id', '=', person)
      return (await mine.orderBy('asked_at', 'desc').orderBy('id').limit(limit).execute()).map(toRequest)
    },
    async requestsAskedBy(person, limit) {
      const filed = requests().where('asked_by', '=', person)
      return (await filed.orderBy('asked_at', 'desc').orderBy('id').limit(limit).execute()).map(toRequest)
    },
    async requestsOfBundle(bundle) {
      const together = requests().where('bundle_id', '=', bundle)
      return (await together.orderBy('resource').orderBy('role').execute()).map(toRequest)
    },
    openRequests: async () => (await open().orderBy('asked_at').orderBy('id').execute()).map(toRequested),
    async closedRequests(limit) {
      const closed = requests().where('state', '<>', 'requested')
      return (await closed.orderBy('closed_at', 'desc').orderBy('id').limit(limit).execute()).map(toRequest)
    },
    async decisionsOn(request) {
      const decisions = db.selectFrom('decisions').selectAll().where('request_id', '=', request)
      return (await decisions.orderBy('at').orderBy('step').orderBy('id').execute()).map(toDecision)
    },
    async decisionsOnOpen() {
      const ids = db.selectFrom('requests').select('id').where('state', '=', 'requested')
      const decisions = db.selectFrom('decisions').selectAll().where('request_id', 'in', ids)
      return (await decisions.orderBy('at').orderBy('step').orderBy('id').execute()).map(toDecision)
    },
    async requestsToEscalate(at) {
      const afterMs = sql<number>`json_extract(approval, '$.steps[' || step || '].escalate.afterMs')`
      const uncalled = open().where('escalated_at', 'is', null).where('lapses_at', '>', at)
      const due = uncalled.where(sql<boolean>`step_since + ${afterMs} <= ${at}`)
      return (await due.orderBy('step_since').orderBy('id').execute()).map(toRequested)
    },
    async requestsToLapse(at) {
      const over = db.selectFrom('grants').select('id').where('state', 'in', ['expired', 'revoked', 'ended'])
      const due = open().where((is) => is.or([is('lapses_at', '<=', at), is('extends_grant_id', 'in', over)]))
      return (await due.orderBy('lapses_at').orderBy('id').execute()).map(toRequested)
    },
  }
}

/** Of one person, for one role. */
const activeMax = 50

type GrantReads = Pick<
  AccessReads,
  'grant' | 'grantOf' | 'livingGrants' | 'activeGrants' | 'grantsOf' | 'pastGrants' | 'sessionsUnder' | 'grantsToSettle'
>

function grantReads(db: Database): GrantReads {
  const grants = () => db.selectFrom('grants').selectAll()
  return {
    grant: (id) => grantById(db, id),
    async grantOf(request) {
      const row = await grants().where('request_id', '=', request).executeTakeFirst()
      return row && toGrant(row)
    },
    async livingGrants(person) {
      const living = grants().where('state', 'in', ['scheduled', 'active'])
      const wanted = person === undefined ? living : living.where('person_id', '=', person)
      return (await wanted.orderBy('expires_at').orderBy('id').execute()).map(toGrant)
    },
    async activeGrants(person, resource, role) {
      const active = grants().where('state', '=', 'active').where('person_id', '=', person)
      const meant = active.where('resource', '=', resource).where('role', '=', role)
      const rows = await meant.orderBy('expires_at', 'desc').orderBy('id').limit(activeMax).execute()
      return rows.map(toGrant).filter((grant) => grant.state === 'active')
    },
    async grantsOf(person, limit) {
      const mine = grants().where('person_id', '=', person)
      return (await mine.orderBy('starts_at', 'desc').orderBy('id').limit(limit).execute()).map(toGrant)
    },
    async pastGrants(person, resource, except, limit) {
      const there = grants().where('person_id', '=', person).where('resource', '=', resource)
      const past = there.where('request_id', '<>', except).orderBy('starts_at', 'desc').orderBy('id')
      return (await past.limit(limit).execute()).map(toGrant)
    },
    async sessionsUnder(person, under, since, limit) {
      if (under.length === 0) return []
      const all = db.selectFrom('sessions').selectAll()
      const theirs = all.where('person_id', '=', person).where('started_at', '>=', since)
      const found = theirs.where('grant_id', 'in', under).orderBy('started_at', 'desc').orderBy('id')
      return (await found.limit(limit).execute()).map(toSessionRow)
    },
    grantsToSettle: async (at) => (await grantsDue(db, at).execute()).map(toGrant),
  }
}

function grantsDue(db: Database, at: number) {
  return db
    .selectFrom('grants')
    .selectAll()
    .where('state', 'in', ['scheduled', 'active'])
    .where((is) =>
      is.or([
        is.and([is('state', '=', 'scheduled'), is('starts_at', '<=', at)]),
        is('expires_at', '<=', at),
        is.and([is('first_used_at', 'is', null), is('use_by', '<=', at)]),
      ]),
    )
    .orderBy('expires_at')
    .orderBy('id')
}

function lockReads(db: Database): Pick<AccessReads, 'standingLocks' | 'pastLocks' | 'lock' | 'locksToEnd'> {
  const locks = () => db.selectFrom('locks').selectAll()
  return {
    standingLocks: async () =>
      (await locks().where('lifted_at', 'is', null).orderBy('placed_at').orderBy('id').execute()).map(toLock),
    async pastLocks(limit) {
      const past = locks().where('lifted_at', 'is not', null)
      return (await past.orderBy('lifted_at', 'desc').orderBy('id').limit(limit).execute()).map(toLock)
    },
    locksToEnd: async (at) =>
      (
        await locks().where('lifted_at', 'is', null).where('until', '<=', at).orderBy('until').orderBy('id').execute()
      ).map(toLock),
    async lock(id) {
      const row = await locks().where('id', '=', id).executeTakeFirst()
      return row && toLock(row)
    },
  }
}

function accessTx(tx: SqlTx): AccessTx {
  return {
    ...accessReads(tx.db),
    ...reviewTx(tx.db),
    ...campaignTx(tx.db),
    ...questionTx(tx.db),
    ...workKeyTx(tx.db),
    record: (event) => tx.record(event),
    announce: (change) => tx.announce(change),
    insertRequest: async (request) => void (await tx.db.insertInto('requests').values(fromRequest(request)).execute()),
    async keepRequestKey(person, key, request, at, since) {
      await tx.db.deleteFrom('request_keys').where('at', '<=', since).execute()
      const kept = tx.db.insertInto('request_keys').values({ person_id: person, key, request_id: request, at })
      await kept.onConflict((conflict) => conflict.columns(['person_id', 'key']).doNothing()).execute()
    },
    updateRequest: (request) => updateRequest(tx.db, request),
    insertDecision: async (decision) =>
      void (await tx.db.insertInto('decisions').values(fromDecision(decision)).execute()),
    insertGrant: async (grant) => void (await tx.db.insertInto('grants').values(fromGrant(grant)).execute()),
    updateGrant: (grant) => updateGrant(tx.db, grant),
    insertLock: async (lock) => void (await tx.db.insertInto('locks').values(fromLock(lock)).execute()),
    async liftLock(id, by, at) {
      const lift = tx.db.updateTable('locks').set({ lifted_by: by, lifted_at: at })
      return changed(await lift.where('id', '=', id).where('lifted_at', 'is', null).executeTakeFirst())
    },
  }
}

async function updateRequest(db: Database, request: Request): Promise<void> {
  const { id, ...columns } = fromRequest(request)
  const result = await db.updateTable('requests').set(columns).where('id', '=', id).executeTakeFirst()
  if (!changed(result)) throw new Fault('REQUEST_UNKNOWN', 'There is no such request.')
}

function changed({ numUpdatedRows }: UpdateResult): boolean {
  return numUpdatedRows > 0n
}
