import type { AuditEvent } from '../audit/event.ts'
import type { AuditStore, ChainedEvent } from '../audit/store.ts'
import { later, type Instant } from '../kernel/time.ts'

/** Events looked at in one query, so that others who read do not wait. */
const stretchEvents = 1000
/** Clocks are set back now and then. */
const earlierMs = 3_600_000

/** Events that name one of these ids, in order, from about an instant on, up to an event. */
export async function* eventsAbout(
  audit: AuditStore,
  ids: readonly string[],
  { since, upTo: head }: { readonly since: Instant; readonly upTo: number },
): AsyncGenerator<ChainedEvent> {
  let after = (await firstSince(audit, later(since, -earlierMs), head)) - 1
  while (after < head) {
    const upTo = Math.min(head, after + stretchEvents)
    yield* await audit.mentioning(ids, after, upTo)
    after = upTo
  }
}

/** The first event at or after `since`, found by halving: the log is in order of time, or nearly. `head` + 1: none. */
async function firstSince(audit: AuditStore, since: Instant, head: number): Promise<number> {
  let [low, high] = [1, head + 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [event] = await audit.events(middle - 1, 1)
    if (event !== undefined && (JSON.parse(event.json) as AuditEvent).at < since) low = middle + 1
    else high = middle
  }
  return low
}
