import type { AuditEvent } from '../audit/event.ts'
import type { Person } from '../identity/person.ts'
import type { Change } from '../kernel/change.ts'
import type { CampaignId, EntryId, GrantId, LockId, QuestionId, RequestId, ReviewId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'

/** Everything that people outside can be told. docs/notifications.md lists them; a test compares the two. */
export const noticeTypes = [
  'request.opened',
  'request.seconded',
  'request.advanced',
  'request.escalated',
  'request.approved',
  'request.denied',
  'request.cancelled',
  'request.lapsed',
  'grant.started',
  'grant.extended',
  'grant.ending',
  'grant.expired',
  'grant.revoked',
  'grant.handed-back',
  'break-glass.used',
  'review.waiting',
  'review.closed',
  'campaign.started',
  'campaign.due-soon',
  'campaign.entry-ended',
  'campaign.finished',
  'statement.asked',
  'statement.answered',
  'lock.placed',
  'lock.lifted',
  'test',
] as const
export type NoticeType = (typeof noticeTypes)[number]

/** Those that ask for a decision; the others tell of it. */
export const askingTypes = [
  'request.opened',
  'request.advanced',
  'request.escalated',
] as const satisfies readonly NoticeType[]

export const noticeChannels = ['mail', 'slack', 'webhook'] as const
export type NoticeChannel = (typeof noticeChannels)[number]

export function isAsking(type: NoticeType): type is (typeof askingTypes)[number] {
  return askingTypes.some((asking) => asking === type)
}

/** Why somebody is told: they may decide, they asked, or the operator wants them to know. */
export type Audience = 'deciders' | 'requester' | 'security' | 'subscriber' | 'operator'

export type NoticeId = `notice-${string}`
export type MessageId = `message-${string}`

/** One fact, as it was when it was written down. Webhooks carry exactly `data`. */
export interface Notice {
  readonly id: NoticeId
  readonly type: NoticeType
  readonly at: Instant
  /** What it is about: messages about one subject belong together. */
  readonly subject: RequestId | GrantId | LockId | ReviewId | CampaignId | EntryId | QuestionId | NoticeId
  readonly data: Readonly<Record<string, unknown>>
}

/** One notice to one recipient on one channel. There is never a second with the same three. */
export interface Message {
  readonly id: MessageId
  readonly notice: NoticeId
  readonly channel: NoticeChannel
  /** An e-mail address; a Slack channel (`#name`, id) or `@` and an e-mail address; the name of a webhook. */
  readonly recipient: string
  readonly audience: Audience
  readonly state: 'waiting' | 'sent' | 'given-up' | 'dropped'
  /** Not sent earlier; the time to give up counts from here. */
  readonly readyAt: Instant
  /** When it is tried next. */
  readonly dueAt: Instant
  readonly attempts: number
  /** What went wrong last, or why it was not sent; never a secret. */
  readonly problem: string | null
  readonly settledAt: Instant | null
  /** What the channel knows it by, to change it later. */
  readonly reference: string | null
}
export type NewMessage = Pick<Message, 'id' | 'notice' | 'channel' | 'recipient' | 'audience' | 'readyAt'>

/** What is sent one beside the other: a webhook, or all mail, or all of Slack. `recipient` null: any. */
export interface Lane {
  readonly channel: NoticeChannel
  readonly recipient: string | null
}

export interface QueuedMessage {
  readonly message: Message
  readonly notice: Notice
}

/** What became of an attempt. `attempts` counts this one too. */
export type Settlement = Pick<Message, 'state' | 'dueAt' | 'attempts' | 'problem' | 'settledAt' | 'reference'>

export interface LaneCount {
  readonly channel: NoticeChannel
  readonly recipient: string
  readonly waiting: number
  readonly oldestReadyAt: Instant
}

/** A receiver that said it wants no more. `place` is where it was then. */
export interface SwitchedOff {
  readonly recipient: string
  readonly place: string
  readonly at: Instant
}

/** What is to be told, and was. Every method may throw Fault STORE_FAILED. */
export interface Outbox {
  /**
   * Begins or stops telling. Whoever begins is told nothing of what happened while nobody was told.
   * @returns the number of the last change that was looked at.
   */
  open(telling: boolean): Promise<number>
  /** Committed changes above a number, of these kinds, in order. */
  changesAfter(
    number: number,
    kinds: readonly Change['kind'][],
    limit: number,
  ): Promise<readonly { readonly number: number; readonly change: Change }[]>
  /**
   * Writes notices and messages, and that changes up to `to` were looked at; what is there already stays as it is.
   * @returns false, and nothing is written, unless `from` was the last one looked at.
   */
  plan(step: {
    readonly from: number
    readonly to: number
    readonly notices: readonly Notice[]
    readonly messages: readonly NewMessage[]
  }): Promise<boolean>
  /** The same without a change behind it. */
  add(notice: Notice, messages: readonly NewMessage[], event: AuditEvent): Promise<void>
  /** Waiting and due, the longest first. */
  due(lane: Lane, at: Instant, limit: number): Promise<readonly QueuedMessage[]>
  /** When the next one in the lane is due; null when nothing waits. */
  nextDue(lane: Lane): Promise<Instant | null>
  /** Does nothing to a message that is not waiting any more. */
  settle(message: MessageId, settlement: Settlement, event: AuditEvent | null): Promise<void>
  /** The messages that asked for a decision on this request, the oldest first; one place may be asked for several steps. */
  asked(request: RequestId): Promise<readonly Message[]>
  /** By channel and recipient; messages whose time has not come are not counted. */
  waiting(at: Instant): Promise<readonly LaneCount[]>
  /** Tried at least once, or settled; the newest first. */
  recent(limit: number): Promise<readonly QueuedMessage[]>
  switchedOff(): Promise<readonly SwitchedOff[]>
  /** Waiting messages to it are dropped. */
  switchOff(off: SwitchedOff, event: AuditEvent): Promise<void>
  switchOn(recipient: string, event: AuditEvent): Promise<void>
  /** People with an e-mail address who signed in at or after `since`, at most `limit`, the latest first. */
  people(since: Instant, limit: number): Promise<readonly Person[]>
}
