import { sql, type Kysely } from 'kysely'
import { askingTypes, type Lane, type LaneCount, type Outbox } from '../../access/outbox.ts'
import type { Change } from '../../kernel/change.ts'
import type { Instant } from '../../kernel/time.ts'
import { toPerson } from './identity-rows.ts'
import { fromNewMessage, fromNotice, fromSettlement, toMessage, toQueued, type QueuedRow } from './notify-rows.ts'
import type { SqlState } from './sql-state.ts'
import type { Tables } from './tables.ts'

type Database = Kysely<Tables>

export function outboxStore(state: SqlState): Outbox {
  return { ...planning(state), ...sending(state), ...receivers(state), ...overview(state.db) }
}

function planning(state: SqlState): Pick<Outbox, 'open' | 'changesAfter' | 'plan' | 'add' | 'people'> {
  const { db } = state
  return {
    open: (telling) => state.transact((tx) => openPosition(tx.db, telling)),
    async changesAfter(number, kinds, limit) {
      const rows = await db
        .selectFrom('changes')
        .select(['number', 'json'])
        .where('number', '>', number)
        .where(sql<string>`json_extract(json, '$.kind')`, 'in', kinds)
        .orderBy('number')
        .limit(limit)
        .execute()
      return rows.map((row) => ({ number: row.number, change: JSON.parse(row.json) as Change }))
    },
    plan: ({ from, to, notices, messages }) =>
      state.transact(async (tx) => {
        const move = tx.db.updateTable('notify_position').set({ change: to }).where('change', '=', from)
        if ((await move.executeTakeFirst()).numUpdatedRows === 0n) return false
        await insert(tx.db, notices.map(fromNotice), messages.map(fromNewMessage))
        return true
      }),
    add: (notice, messages, event) =>
      state.transact(async (tx) => {
        await insert(tx.db, [fromNotice(notice)], messages.map(fromNewMessage))
        await tx.record(event)
      }),
    async people(since, limit) {
      const known = db.selectFrom('persons').selectAll().where('email', 'is not', null).where('seen_at', '>=', since)
      return (await known.orderBy('seen_at', 'desc').orderBy('id').limit(limit).execute()).map(toPerson)
    },
  }
}

async function openPosition(db: Database, telling: boolean): Promise<number> {
  const { change, telling: told } = await db.selectFrom('notify_position').selectAll().executeTakeFirstOrThrow()
  if (telling === (told === 1)) return change
  const newest = await db
    .selectFrom('changes')
    .select(({ fn }) => fn.max('number').as('number'))
    .executeTakeFirst()
  const to = telling ? Math.max(change, newest?.number ?? 0) : change
  await db
    .updateTable('notify_position')
    .set({ change: to, telling: telling ? 1 : 0 })
    .execute()
  return to
}

async function insert(
  db: Database,
  notices: readonly ReturnType<typeof fromNotice>[],
  messages: readonly ReturnType<typeof fromNewMessage>[],
): Promise<void> {
  for (const notice of notices) {
    await db
      .insertInto('notices')
      .values(notice)
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  for (const message of messages) {
    await db
      .insertInto('messages')
      .values(message)
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
}

function queued(db: Database) {
  return db
    .selectFrom('messages')
    .innerJoin('notices', 'notices.id', 'messages.notice_id')
    .selectAll('messages')
    .select(['notices.type', 'notices.at', 'notices.subject', 'notices.data'])
}

function sending(state: SqlState): Pick<Outbox, 'due' | 'nextDue' | 'settle' | 'asked'> {
  const { db } = state
  return {
    async due({ channel, recipient }: Lane, at, limit) {
      let query = queued(db)
        .where('messages.state', '=', 'waiting')
        .where('channel', '=', channel)
        .where('due_at', '<=', at)
      if (recipient !== null) query = query.where('recipient', '=', recipient)
      const rows: QueuedRow[] = await query.orderBy('due_at').orderBy('messages.id').limit(limit).execute()
      return rows.map(toQueued)
    },
    async nextDue({ channel, recipient }) {
      let query = db
        .selectFrom('messages')
        .select('due_at')
        .where('state', '=', 'waiting')
        .where('channel', '=', channel)
      if (recipient !== null) query = query.where('recipient', '=', recipient)
      const row = await query.orderBy('due_at').limit(1).executeTakeFirst()
      return row === undefined ? null : (row.due_at as Instant)
    },
    settle: (message, settlement, event) =>
      state.transact(async (tx) => {
        const change = tx.db.updateTable('messages').set(fromSettlement(settlement))
        const result = await change.where('id', '=', message).where('state', '=', 'waiting').executeTakeFirst()
        if (event !== null && result.numUpdatedRows > 0n) await tx.record(event)
      }),
    async asked(request) {
      const rows = await db
        .selectFrom('messages')
        .innerJoin('notices', 'notices.id', 'messages.notice_id')
        .selectAll('messages')
        .where('notices.subject', '=', request)
        .where('notices.type', 'in', askingTypes)
        .where('audience', '=', 'deciders')
        .orderBy('ready_at')
        .orderBy('messages.id')
        .execute()
      return rows.map(toMessage)
    },
  }
}

function receivers(state: SqlState): Pick<Outbox, 'switchedOff' | 'switchOff' | 'switchOn'> {
  return {
    switchedOff: async () =>
      (await state.db.selectFrom('switched_off_receivers').selectAll().orderBy('recipient').execute()).map(
        ({ recipient, place, at }) => ({ recipient, place, at: at as Instant }),
      ),
    switchOff: ({ recipient, place, at }, event) =>
      state.transact(async (tx) => {
        await tx.db
          .insertInto('switched_off_receivers')
          .values({ recipient, place, at })
          .onConflict((conflict) => conflict.column('recipient').doUpdateSet({ place, at }))
          .execute()
        await tx.db
          .updateTable('messages')
          .set({ state: 'dropped', settled_at: at, problem: 'the receiver is switched off' })
          .where('channel', '=', 'webhook')
          .where('recipient', '=', recipient)
          .where('state', '=', 'waiting')
          .execute()
        await tx.record(event)
      }),
    switchOn: (recipient, event) =>
      state.transact(async (tx) => {
        await tx.db.deleteFrom('switched_off_receivers').where('recipient', '=', recipient).execute()
        await tx.record(event)
      }),
  }
}

function overview(db: Database): Pick<Outbox, 'waiting' | 'recent'> {
  return {
    async waiting(at) {
      const rows = await db
        .selectFrom('messages')
        .select(({ fn }) => [
          'channel',
          'recipient',
          fn.countAll<number>().as('count'),
          fn.min('ready_at').as('oldest'),
        ])
        .where('state', '=', 'waiting')
        .where('ready_at', '<=', at)
        .groupBy(['channel', 'recipient'])
        .orderBy('channel')
        .orderBy('recipient')
        .execute()
      return rows.map(({ channel, recipient, count, oldest }) => ({
        channel: channel as LaneCount['channel'],
        recipient,
        waiting: count,
        oldestReadyAt: oldest as Instant,
      }))
    },
    async recent(limit) {
      const settled = queued(db).where('settled_at', 'is not', null)
      const trying = queued(db).where('messages.state', '=', 'waiting').where('attempts', '>', 0)
      const newest: QueuedRow[] = await settled
        .orderBy('settled_at', 'desc')
        .orderBy('messages.id')
        .limit(limit)
        .execute()
      const open: QueuedRow[] = await trying.orderBy('due_at').orderBy('messages.id').limit(limit).execute()
      return [...open, ...newest].slice(0, limit).map(toQueued)
    },
  }
}
