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

/** A button in a message was pressed, as the channel posts it to us. Nothing in it is believed before it is checked. */
export interface PostedPress {
  /** As it came; at most 64 KiB. */
  readonly body: string
  readonly timestamp: string
  readonly signature: string
}

/** Decisions by buttons in messages. */
export interface DecisionButtons {
  /**
   * Checks where it comes from, and goes on with it behind the caller's back: the channel gives no time to wait.
   * `refused`: not from the channel, or not from now. `busy`: too much is under way.
   */
  take(post: PostedPress): 'taken' | 'refused' | 'busy'
}

/** What operators see and do about messages to people outside. Everything throws Fault NOT_ALLOWED for others. */
export interface Notifications {
  /** Null where messages have no buttons. */
  readonly buttons: DecisionButtons | null
  overview(person: Person): Promise<NotificationsOverview>
  /** Queues a message that says nothing. @throws Fault NOT_FOUND for a receiver that there is not. */
  test(person: Person, channel: NoticeChannel, name: string): Promise<void>
  /** After the receiver said that it wants no more. @throws Fault NOT_FOUND */
  switchOn(person: Person, name: string): Promise<void>
}
