import { setTimeout as sleep } from 'node:timers/promises'
import { streamSSE, type SSEStreamingApi } from 'hono/streaming'
import type { Change } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Visit } from './context.ts'
import type { Site } from './site.ts'

const perPersonMax = 16
const totalMax = 2000
/** Many changes at once are one reason to look again. */
const gatherMs = 300
/** Keeps proxies from closing a quiet stream, and notices a sign-in that ran out. */
const heartbeatMs = 25_000

const requests: readonly Change['kind'][] = [
  'request-opened',
  'request-advanced',
  'request-escalated',
  'request-closed',
]
const statements: readonly Change['kind'][] = ['statement-asked', 'statement-answered']
const grants: readonly Change['kind'][] = ['grant-started', 'grant-moved', 'grant-ended']
const reviews: readonly Change['kind'][] = [
  ...(['glass-broken', 'review-waiting', 'review-closed'] as const),
  ...(['campaign-moved', 'campaign-entry-ended'] as const),
]
const sessions: readonly Change['kind'][] = ['session-opened', 'session-killed', 'session-ended']
const locks: readonly Change['kind'][] = ['lock-placed', 'lock-lifted']

/** Which changes are a reason for a page to look again. The stream says "look again" and nothing else. */
const topics: Readonly<Record<string, readonly Change['kind'][]>> = {
  access: [...requests, ...grants, ...sessions, ...locks, 'person-changed'],
  reviews: [...reviews, ...grants, ...sessions],
  request: [...requests, ...grants, ...reviews],
  approvals: [...requests, ...grants, ...statements],
  statement: statements,
  sessions: [...sessions, ...grants],
  locks,
}

/**
 * Sessions come and go many times a second, and a page that shows one's own need not look again for those of others: with
 * a hundred people at their pages that would be all that the gateway does.
 */
function isOfOthers(change: Change, topic: string, { person }: Visit, seesAll: boolean): boolean {
  const isOwnOnly = topic === 'access' || (topic === 'sessions' && !seesAll)
  if (!isOwnOnly || (change.kind !== 'session-opened' && change.kind !== 'session-ended')) return false
  return change.person !== undefined && change.person !== person.id
}

/** Tells open pages to look again. `closing` ends every stream when the listener stops. */
export function eventRoutes(site: Site, closing: AbortSignal): void {
  const open = new Map<PersonId, number>()
  let total = 0

  site.open('GET', '/events', async (c) => {
    const visit = await site.visitOf(c)
    const topic = c.req.query('topic') ?? ''
    const kinds = Object.hasOwn(topics, topic) ? topics[topic] : undefined
    if (visit === undefined) throw new Fault('SIGN_IN_REQUIRED', 'You are not signed in any more.')
    if (kinds === undefined) throw new Fault('NOT_FOUND', 'There is no such topic.')
    // Nobody would read it, nor end it.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'Content-Type': 'text/event-stream' })
    const id = visit.person.id
    if (total >= totalMax || (open.get(id) ?? 0) >= perPersonMax) {
      throw new Fault('TOO_MANY_CONNECTIONS', 'Too many pages are open.')
    }
    total += 1
    open.set(id, (open.get(id) ?? 0) + 1)
    const answer = streamSSE(c, async (stream) => {
      try {
        await follow(site, visit, topic, stream, closing)
      } finally {
        total -= 1
        const left = open.get(id)! - 1
        if (left === 0) open.delete(id)
        else open.set(id, left)
      }
    })
    // Of the connection, not of the answer: HTTP/2 has no such fields (RFC 9113 section 8.2.2).
    for (const name of ['connection', 'transfer-encoding']) answer.headers.delete(name)
    return answer
  })
}

async function follow(
  { deps, visitOf }: Site,
  visit: Visit,
  topic: string,
  stream: SSEStreamingApi,
  closing: AbortSignal,
): Promise<void> {
  const bell = createBell()
  const kinds = new Set(topics[topic])
  const seesAll = deps.access.isOperator(visit.person)
  let changed = false
  using _feed = deps.changes.subscribe((change) => {
    const mine = change.kind === 'signed-out' && change.person === visit.person.id
    if (!mine && (!kinds.has(change.kind) || isOfOthers(change, topic, visit, seesAll))) return
    changed = true
    bell.ring()
  })
  const ring = () => bell.ring()
  stream.onAbort(ring)
  closing.addEventListener('abort', ring, { once: true })
  try {
    await stream.writeSSE({ event: 'hello', data: '', retry: 3000 })
    while (!stream.aborted && !closing.aborted) {
      const beat = deps.clock.after(heartbeatMs, ring)
      await bell.rung()
      beat.cancel()
      if (stream.aborted || closing.aborted || (await visitOf(visit.c)) === undefined) return
      await stream.writeSSE({ event: changed ? 'changed' : 'beat', data: '' })
      changed = false
      await gather(closing)
    }
  } finally {
    closing.removeEventListener('abort', ring)
  }
}

async function gather(closing: AbortSignal): Promise<void> {
  await sleep(gatherMs, undefined, { signal: closing }).catch(() => {}) // closing is noticed by the caller
}

/** A bell that remembers one ring until somebody waits for it. */
function createBell(): { ring(): void; rung(): Promise<void> } {
  let rang = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rang = true
      wake?.()
    },
    async rung() {
      if (!rang) await new Promise<void>((resolve) => (wake = resolve))
      wake = undefined
      rang = false
    },
  }
}
