import * as z from 'zod'
import { noticeChannels } from '../access/outbox.ts'

const instant = z.iso.datetime()

/** One way out: a webhook, or all mail, or all of Slack. */
export const receiver = z.object({
  channel: z.enum(noticeChannels),
  /** The webhook's name; the channel's own name for mail and Slack. */
  name: z.string(),
  /** Host and port. */
  place: z.string(),
  waiting: z.int(),
  oldestReadyAt: instant.nullable(),
  /** It said that it wants no more. */
  switchedOffAt: instant.nullable(),
  /** Whom a test message of the caller goes to; null when there is nobody. */
  testGoesTo: z.string().nullable(),
})
const message = z.object({
  id: z.string(),
  type: z.string(),
  channel: z.enum(noticeChannels),
  recipient: z.string(),
  state: z.enum(['waiting', 'sent', 'given-up', 'dropped']),
  attempts: z.int(),
  /** When it is tried again, or was settled. */
  at: instant,
  problem: z.string().nullable(),
})
export const notificationList = z.object({
  receivers: z.array(receiver),
  /** What is being tried again, then what was settled last. */
  recent: z.array(message),
})
/** Of which receiver; `name` as in the list. */
export const receiverWish = z.strictObject({ channel: z.enum(noticeChannels), name: z.string().min(1).max(80) })
export const switchOnWish = z.strictObject({ name: z.string().min(1).max(80) })
