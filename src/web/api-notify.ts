import type * as z from 'zod'
import type { Notifications, Receiver } from '../access/notifications.ts'
import type { QueuedMessage } from '../access/outbox.ts'
import { Fault } from '../kernel/fault.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import { body, caller } from './api-call.ts'
import * as schema from './api-schema.ts'
import type { WebContext } from './context.ts'
import type { Site } from './site.ts'

const { apiPath } = schema

/** What operators see and do about messages to people outside, over the use cases of the page. */
export function notifyRoutes(site: Site): void {
  site.open('GET', `${apiPath}/notifications`, async (c) => {
    const person = await operator(site, c)
    const { receivers, recent } = (await site.deps.notifications?.overview(person)) ?? { receivers: [], recent: [] }
    const list = { receivers: receivers.map(receiverJson), recent: recent.map(messageJson) }
    return c.json(list satisfies z.output<typeof schema.notificationList>)
  })
  site.open('POST', `${apiPath}/notifications/test`, async (c) => {
    const person = await operator(site, c)
    const { channel, name } = await body(c, schema.receiverWish)
    await configured(site).test(person, channel, name)
    return c.body(null, 204)
  })
  site.open('POST', `${apiPath}/notifications/switch-on`, async (c) => {
    const person = await operator(site, c)
    await configured(site).switchOn(person, (await body(c, schema.switchOnWish)).name)
    return c.body(null, 204)
  })
}

async function operator(site: Site, c: WebContext) {
  const { person } = await caller(site, c, 'notifications')
  if (!site.deps.access.isOperator(person)) throw new Fault('NOT_ALLOWED', 'Notifications are for operators.')
  return person
}

function configured({ deps }: Site): Notifications {
  if (deps.notifications === null) throw new Fault('NOT_FOUND', 'No notifications are configured.')
  return deps.notifications
}

function receiverJson({ oldestReadyAt, switchedOffAt, ...receiver }: Receiver): z.output<typeof schema.receiver> {
  return { ...receiver, oldestReadyAt: timeOrNull(oldestReadyAt), switchedOffAt: timeOrNull(switchedOffAt) }
}

function messageJson({ message, notice }: QueuedMessage): z.output<typeof schema.notificationList>['recent'][number] {
  const { id, channel, recipient, state, attempts, problem } = message
  const at = isoTime(message.settledAt ?? message.dueAt)
  return { id, type: notice.type, channel, recipient, state, attempts, at, problem }
}

function timeOrNull(at: Instant | null): string | null {
  return at === null ? null : isoTime(at)
}
