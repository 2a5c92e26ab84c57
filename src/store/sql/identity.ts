import { sql, type Kysely, type UpdateResult } from 'kysely'
import type { IdentityReads, IdentityStore, IdentityTx } from '../../identity/store.ts'
import type { Instant } from '../../kernel/time.ts'
import {
  fromBinding,
  fromBrowserSession,
  fromPerson,
  fromSignIn,
  fromToken,
  toBinding,
  toBrowserSession,
  toPerson,
  toSignIn,
  toToken,
} from './identity-rows.ts'
import type { SqlState, SqlTx } from './sql-state.ts'
import type { Tables } from './tables.ts'

type Database = Kysely<Tables>

const peopleByEmailMax = 10

export function identityStore(state: SqlState): IdentityStore {
  return {
    ...identityReads(state.db),
    transact: (work) => state.transact((tx) => work(identityTx(tx))),
  }
}

function identityReads(db: Database): IdentityReads {
  return { ...personReads(db), ...browserSessionReads(db), ...signInReads(db), ...bindingReads(db), ...tokenReads(db) }
}

type PersonReads = Pick<
  IdentityReads,
  'person' | 'personBySubject' | 'everythingEndedAt' | 'peopleByEmail' | 'machines'
>

function personReads(db: Database): PersonReads {
  const people = () => db.selectFrom('persons').selectAll()
  return {
    async person(id) {
      const row = await people().where('id', '=', id).executeTakeFirst()
      return row && toPerson(row)
    },
    async personBySubject(issuer, subject) {
      const row = await people().where('issuer', '=', issuer).where('subject', '=', subject).executeTakeFirst()
      return row && toPerson(row)
    },
    async everythingEndedAt(id) {
      const row = await db.selectFrom('persons').select('everything_ended_at').where('id', '=', id).executeTakeFirst()
      return (row?.everything_ended_at ?? null) as Instant | null
    },
    async peopleByEmail(email) {
      const same = people().where(({ eb, fn }) => eb(fn('lower', ['email']), '=', sql<string>`lower(${email})`))
      return (await same.orderBy('id').limit(peopleByEmailMax).execute()).map(toPerson)
    },
    machines: async () => (await people().where('kind', '=', 'machine').orderBy('subject').execute()).map(toPerson),
  }
}

type BrowserSessionReads = Pick<
  IdentityReads,
  | 'browserSession'
  | 'browserSessionBySecret'
  | 'browserSessionsOf'
  | 'browserSessionsLivingAfter'
  | 'browserSessionsByProvider'
  | 'browserSessionsToRefresh'
>

function browserSessionReads(db: Database): BrowserSessionReads {
  const sessions = () => db.selectFrom('browser_sessions').selectAll('browser_sessions')
  return {
    async browserSession(id) {
      const row = await sessions().where('id', '=', id).executeTakeFirst()
      return row && toBrowserSession(row)
    },
    async browserSessionBySecret(secretHash) {
      const row = await sessions().where('secret_hash', '=', secretHash).executeTakeFirst()
      return row && toBrowserSession(row)
    },
    async browserSessionsOf(person) {
      const own = sessions().where('person_id', '=', person).orderBy('created_at', 'desc').orderBy('id')
      return (await own.execute()).map(toBrowserSession)
    },
    async browserSessionsLivingAfter(person, at) {
      const own = sessions().where('person_id', '=', person)
      const living = own.where((is) =>
        is.or([is('ended_at', '>', at), is.and([is('ended_at', 'is', null), is('expires_at', '>', at)])]),
      )
      return (await living.orderBy('created_at', 'desc').orderBy('id').execute()).map(toBrowserSession)
    },
    async browserSessionsByProvider(issuer, providerSession) {
      const same = sessions()
        .innerJoin('persons', 'persons.id', 'browser_sessions.person_id')
        .where('persons.issuer', '=', issuer)
        .where('provider_session', '=', providerSession)
      return (await same.orderBy('created_at', 'desc').execute()).map(toBrowserSession)
    },
    async browserSessionsToRefresh(at) {
      const open = sessions().where('ended_at', 'is', null).where('sealed_refresh_token', 'is not', null)
      const live = db
        .selectFrom('sessions')
        .select((is) => is.ref('browser_session_id').$notNull().as('id'))
        .where('ended_at', 'is', null)
        .where('browser_session_id', 'is not', null)
      const needed = open.where((is) => is.or([is('expires_at', '>', at), is('browser_sessions.id', 'in', live)]))
      return (await needed.execute()).map(toBrowserSession)
    },
  }
}

function signInReads(db: Database): Pick<IdentityReads, 'signIn' | 'signInByCode'> {
  const signIns = () => db.selectFrom('sign_ins').selectAll()
  return {
    async signIn(id) {
      const row = await signIns().where('id', '=', id).executeTakeFirst()
      return row && toSignIn(row)
    },
    /** Codes may come again after a while; the newest counts. */
    async signInByCode(code) {
      const same = signIns().where('code', '=', code).orderBy('created_at', 'desc')
      const row = await same.limit(1).executeTakeFirst()
      return row && toSignIn(row)
    },
  }
}

function bindingReads(db: Database): Pick<IdentityReads, 'binding' | 'bindingsFor' | 'bindingsOf'> {
  const bindings = () => db.selectFrom('bindings').selectAll()
  return {
    async binding(id) {
      const row = await bindings().where('id', '=', id).executeTakeFirst()
      return row && toBinding(row)
    },
    async bindingsFor(kind, value, at) {
      const same = bindings().where('kind', '=', kind).where('value', '=', value)
      const living = same.where('ended_at', 'is', null).where('expires_at', '>', at)
      return (await living.orderBy('created_at', 'desc').orderBy('id').execute()).map(toBinding)
    },
    async bindingsOf(person) {
      const own = bindings().where('person_id', '=', person).orderBy('created_at', 'desc').orderBy('id')
      return (await own.execute()).map(toBinding)
    },
  }
}

type TokenReads = Pick<IdentityReads, 'token' | 'tokenBySecret' | 'tokensOf' | 'livingTokens' | 'livingMachineTokens'>

function tokenReads(db: Database): TokenReads {
  const tokens = () => db.selectFrom('tokens').selectAll('tokens')
  return {
    async token(id) {
      const row = await tokens().where('id', '=', id).executeTakeFirst()
      return row && toToken(row)
    },
    async tokenBySecret(secretHash) {
      const row = await tokens().where('secret_hash', '=', secretHash).executeTakeFirst()
      return row && toToken(row)
    },
    async tokensOf(person) {
      const own = tokens().where('person_id', '=', person).orderBy('created_at', 'desc').orderBy('id')
      return (await own.execute()).map(toToken)
    },
    async livingTokens(person, at) {
      const living = db.selectFrom('tokens').select(({ fn }) => fn.countAll<number>().as('count'))
      const own = living.where('person_id', '=', person).where('ended_at', 'is', null).where('expires_at', '>', at)
      return Number((await own.executeTakeFirst())?.count ?? 0)
    },
    async livingMachineTokens(at) {
      const made = tokens().innerJoin('machine_tokens', 'machine_tokens.token_id', 'tokens.id')
      const living = made.where('ended_at', 'is', null).where('expires_at', '>', at)
      const rows = await living.select(['issuer', 'subject', 'definition']).execute()
      return rows.map(({ issuer, subject, definition, ...row }) => ({
        ...{ token: toToken(row), origin: { issuer, subject, definition } },
      }))
    },
  }
}

function identityTx(tx: SqlTx): IdentityTx {
  return {
    ...identityReads(tx.db),
    record: (event) => tx.record(event),
    announce: (change) => tx.announce(change),
    ...personWrites(tx.db),
    ...signInWrites(tx.db),
    ...credentialWrites(tx.db),
  }
}

type PersonWrites = Pick<
  IdentityTx,
  'savePerson' | 'noteEverythingEnded' | 'insertBrowserSession' | 'updateBrowserSessionTokens' | 'endBrowserSession'
>

function personWrites(db: Database): PersonWrites {
  return {
    async savePerson(person) {
      const { id, issuer, subject, ...rest } = fromPerson(person)
      const insert = db.insertInto('persons').values({ id, issuer, subject, ...rest })
      await insert.onConflict((same) => same.column('id').doUpdateSet(rest)).execute()
    },
    noteEverythingEnded: async (id, at) =>
      void (await db.updateTable('persons').set({ everything_ended_at: at }).where('id', '=', id).execute()),
    insertBrowserSession: async (session) =>
      void (await db.insertInto('browser_sessions').values(fromBrowserSession(session)).execute()),
    async updateBrowserSessionTokens(id, sealedRefreshToken) {
      const update = db.updateTable('browser_sessions').set({ sealed_refresh_token: sealedRefreshToken })
      await update.where('id', '=', id).execute()
    },
    async endBrowserSession(id, at) {
      const end = db.updateTable('browser_sessions').set({ ended_at: at })
      return changed(await end.where('id', '=', id).where('ended_at', 'is', null).executeTakeFirst())
    },
  }
}

function signInWrites(db: Database): Pick<IdentityTx, 'insertSignIn' | 'answerSignIn'> {
  return {
    insertSignIn: async (signIn) => void (await db.insertInto('sign_ins').values(fromSignIn(signIn)).execute()),
    async answerSignIn({ id, state, person, browserSession, answeredAt }) {
      const answer = { state, person_id: person, browser_session_id: browserSession, answered_at: answeredAt }
      const waiting = db.updateTable('sign_ins').set(answer).where('id', '=', id).where('state', '=', 'waiting')
      return changed(await waiting.executeTakeFirst())
    },
  }
}

type CredentialWrites = Pick<
  IdentityTx,
  'insertBinding' | 'endBinding' | 'insertToken' | 'insertMachineToken' | 'endToken' | 'touchToken'
>

function credentialWrites(db: Database): CredentialWrites {
  return {
    insertBinding: async (binding) => void (await db.insertInto('bindings').values(fromBinding(binding)).execute()),
    async endBinding(id, at) {
      const end = db.updateTable('bindings').set({ ended_at: at })
      return changed(await end.where('id', '=', id).where('ended_at', 'is', null).executeTakeFirst())
    },
    insertToken: async (token) => void (await db.insertInto('tokens').values(fromToken(token)).execute()),
    async insertMachineToken(token, { issuer, subject, definition }) {
      await db.insertInto('tokens').values(fromToken(token)).execute()
      await db.insertInto('machine_tokens').values({ token_id: token.id, issuer, subject, definition }).execute()
    },
    async endToken(id, at) {
      const end = db.updateTable('tokens').set({ ended_at: at })
      return changed(await end.where('id', '=', id).where('ended_at', 'is', null).executeTakeFirst())
    },
    touchToken: async (id, at) =>
      void (await db.updateTable('tokens').set({ last_used_at: at }).where('id', '=', id).execute()),
  }
}

function changed({ numUpdatedRows }: UpdateResult): boolean {
  return numUpdatedRows > 0n
}
