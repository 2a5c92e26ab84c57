import type { Selectable } from 'kysely'
import type { Message, NewMessage, Notice, NoticeId, QueuedMessage, Settlement } from '../../access/outbox.ts'
import type { Instant } from '../../kernel/time.ts'
import type { MessageRow, NoticeRow } from './tables.ts'

export function fromNotice({ data, ...notice }: Notice): NoticeRow {
  return { ...notice, data: JSON.stringify(data) }
}

export function fromNewMessage({ id, notice, channel, recipient, audience, readyAt }: NewMessage): MessageRow {
  return {
    ...{ id, notice_id: notice, channel, recipient, audience },
    ...{ state: 'waiting', ready_at: readyAt, due_at: readyAt, attempts: 0 },
    ...{ problem: null, settled_at: null, reference: null },
  }
}

export function fromSettlement(settlement: Settlement) {
  const { state, dueAt, attempts, problem, settledAt, reference } = settlement
  return { state, due_at: dueAt, attempts, problem, settled_at: settledAt, reference }
}

export function toMessage(row: Selectable<MessageRow>): Message {
  return {
    id: row.id as Message['id'],
    notice: row.notice_id as NoticeId,
    channel: row.channel as Message['channel'],
    recipient: row.recipient,
    audience: row.audience as Message['audience'],
    state: row.state as Message['state'],
    readyAt: row.ready_at as Instant,
    dueAt: row.due_at as Instant,
    attempts: row.attempts,
    problem: row.problem,
    settledAt: row.settled_at as Instant | null,
    reference: row.reference,
  }
}

export type QueuedRow = Selectable<MessageRow> & Pick<NoticeRow, 'type' | 'at' | 'subject' | 'data'>

export function toQueued(row: QueuedRow): QueuedMessage {
  const message = toMessage(row)
  const notice: Notice = {
    id: message.notice,
    type: row.type as Notice['type'],
    at: row.at as Instant,
    subject: row.subject as Notice['subject'],
    data: JSON.parse(row.data) as Notice['data'],
  }
  return { message, notice }
}
