import type { Person } from '../identity/person.ts'
import type { Instant } from '../kernel/time.ts'
import type { NoticeChannel, QueuedMessage } from './outbox.ts'

/** One way out: a webhook, or all mail, or all of Slack. */
export interface Receiver {
  readonly channel: NoticeChannel
  /** The webhook's name; the channel's own name for mail and Slack. */
  readonly name: string
  /** Host and port; never a whole address, as it may hold a secret. */
  readonly place: string
  readonly waiting: number
  readonly oldestReadyAt: Instant | null
  readonly switchedOffAt: Instant | null
  /** Whom a test message of this operator goes to; null when there is nobody. */
  readonly testGoesTo: string | null
}

export interface NotificationsOverview {
  readonly receivers: readonly Receiver[]
  /** What is being tried again, then what was settled last, the newest first. */
  readonly recent: readonly QueuedMessage[]
}

/** What operators see and do about messages to people outside. Everything throws Fault NOT_ALLOWED for others. */
export interface Notifications {
  overview(person: Person): Promise<NotificationsOverview>
  /** Queues a message that says nothing. @throws Fault NOT_FOUND for a receiver that there is not. */
  test(person: Person, channel: NoticeChannel, name: string): Promise<void>
  /** After the receiver said that it wants no more. @throws Fault NOT_FOUND */
  switchOn(person: Person, name: string): Promise<void>
}
