import { chmod, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import { Delivery } from '../delivery.ts'
import { folderUnusable } from '../folder-lock.ts'
import { accessStore } from '../sql/access.ts'
import { auditStore } from '../sql/audit.ts'
import { readChangesAfter } from '../sql/changes.ts'
import { databaseUserStore } from '../sql/database-users.ts'
import { evidenceReads } from '../sql/evidence.ts'
import { historyReads } from '../sql/history.ts'
import { identityStore } from '../sql/identity.ts'
import { outboxStore } from '../sql/notify.ts'
import { reportReads } from '../sql/reports.ts'
import { sessionStore } from '../sql/sessions.ts'
import type { SqlState } from '../sql/sql-state.ts'
import type { State } from '../state.ts'
import { openThread } from './thread.ts'
import { Transactions } from './transactions.ts'

const healthMsMax = 2000

export interface SqliteStateOptions {
  /** Made if missing, with mode 0700; the database is `state.db` in it, with mode 0600. */
  readonly folder: string
  readonly clock: Clock
  readonly log: Log
}

/**
 * Opens the embedded state, and brings its schema up to date.
 * @throws Fault STORE_FAILED when the folder or the file cannot be used, or a newer Curfew wrote it.
 */
export async function openSqliteState({ folder, clock, log }: SqliteStateOptions): Promise<State> {
  const file = await prepareFile(folder)
  await using stack = new AsyncDisposableStack()
  const { thread: writer, lastChange } = await openThread('writer', file, log)
  stack.use(writer)
  const { thread: reader } = await openThread('reader', file, log)
  stack.use(reader)
  const { thread: searcher } = await openThread('searcher', file, log)
  stack.use(searcher)
  const transactions = new Transactions({ writer, reader, searcher }, clock)
  const changes = new Delivery({ clock, log, last: lastChange }, (number) => readChangesAfter(transactions.db, number))
  writer.onChanges = (rows) => changes.deliver(rows)
  stack.use(changes)
  stack.defer(() => transactions.close())
  const open = stack.move()
  return {
    access: accessStore(transactions),
    identity: identityStore(transactions),
    sessions: sessionStore(transactions),
    databaseUsers: databaseUserStore(transactions),
    audit: auditStore(transactions),
    outbox: outboxStore(transactions),
    history: historyReads(transactions),
    evidence: evidenceReads(transactions),
    reports: reportReads(transactions),
    changes,
    healthy: () => answersInTime(transactions, clock),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** Only the gateway's own user may read it: it holds who did what, and hashes of secrets. */
async function prepareFile(folder: string): Promise<string> {
  const file = join(folder, 'state.db')
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
    // SQLite gives the files beside it (-wal, -shm) the same mode.
    const handle = await open(file, 'a', 0o600)
    await handle.chmod(0o600)
    await handle.close()
  } catch (cause) {
    throw folderUnusable(folder, cause)
  }
  return file
}

/** A write that reaches the disk and changes nothing, and a read, within the time that a health check may take. */
async function answersInTime(state: SqlState, clock: Clock): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = clock.after(healthMsMax, () => resolve(false))
  const answers = Promise.all([
    state.transact(async (tx) => {
      // There and back: SQLite leaves a page alone when what is written stands there already.
      const turn = tx.db.updateTable('notify_position').set({ telling: sql<number>`1 - telling` })
      tx.later(turn)
      tx.later(turn)
    }),
    state.db.selectFrom('changes').select('number').limit(1).execute(),
  ]).then(
    () => true,
    () => false, // whoever asks wants a yes or no; the cause is logged where it hurts
  )
  try {
    return await Promise.race([answers, late])
  } finally {
    timer.cancel()
  }
}
