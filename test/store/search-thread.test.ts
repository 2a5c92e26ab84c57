import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { kyselyOver } from '../../src/store/sqlite/kysely-dialect.ts'
import { openThread } from '../../src/store/sqlite/thread.ts'
import { Transactions } from '../../src/store/sqlite/transactions.ts'
import { auditStore } from '../../src/store/sql/audit.ts'
import { reportReads } from '../../src/store/sql/reports.ts'
import { sessionStore } from '../../src/store/sql/sessions.ts'
import { systemClock } from '../../src/system.ts'
import { makeSqlitePlace, silence } from './place.ts'

test('while the state is searched, it is read and written', async () => {
  await using place = await makeSqlitePlace()
  await using stack = new AsyncDisposableStack()
  const open = async (role: Parameters<typeof openThread>[0]) =>
    stack.use((await openThread(role, place.file, silence)).thread)
  const threads = { writer: await open('writer'), reader: await open('reader'), searcher: await open('searcher') }
  const state = new Transactions(threads, systemClock)
  // What takes long takes longer on a slow machine, as all else does.
  const long = sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000) select max(i) from n`
  const search = long.execute(state.search).then(() => 'searched')
  const read = state.db.selectFrom('persons').selectAll().execute()
  const written = state.transact(async (tx) => tx.announce({ kind: 'config-reloaded' } as never))
  expect(await Promise.race([search, Promise.all([read, written]).then(() => 'read and written')])).toBe(
    'read and written',
  )
  expect(await search).toBe('searched')
})

test('what may look through whole tables is asked of the searcher', async () => {
  const asked: string[] = []
  const db = kyselyOver(() => Promise.reject(new Error('not by the reader')))
  const search = kyselyOver(async ({ sql: text }) => {
    asked.push(text)
    return { rows: [], changes: 0 }
  })
  const state = { db, search, transact: () => Promise.reject(new Error('reads only')) }
  await auditStore(state).search({ text: 'one', limit: 1 })
  await auditStore(state).mentioning(['session-1'], 0, 9)
  await sessionStore(state).searchRecorded({ name: 'one', limit: 1, looksMax: 1 })
  const reports = reportReads(state)
  for await (const _ of reports.sessions({ from: 0 as never, to: 1 as never })) break
  await reports.longTokens(0 as never, 0, 1)
  expect(asked.length).toBeGreaterThanOrEqual(6)
})
