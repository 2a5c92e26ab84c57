import type { Instant } from '../kernel/time.ts'
import type { SessionRow } from '../sessions/session.ts'
import type { RequestView } from './access.ts'
import type { AccessDeps } from './deps.ts'
import type { Grant } from './states.ts'

/** One grant that somebody had before, and what came of it. */
export interface PastUse {
  readonly grant: Grant
  /** Newest first. */
  readonly sessions: readonly SessionRow[]
  /** There were more sessions than are looked at; these are the newest. */
  readonly isCut: boolean
}

const grantsMax = 5
/** Over all of them: a web application may see hundreds in a week. */
const sessionsMax = 300

/** The last grants of the requester on the same resource, whichever role. Two reads, whatever they did there. */
export async function pastUses(
  { store }: Pick<AccessDeps, 'store'>,
  { request }: Pick<RequestView, 'request'>,
): Promise<readonly PastUse[]> {
  const { person, resource } = request
  const grants = await store.pastGrants(person, resource, request.id, grantsMax)
  const ids = grants.map(({ id }) => id)
  const since = Math.min(...grants.map(({ startsAt }) => startsAt)) as Instant
  const found = grants.length === 0 ? [] : await store.sessionsUnder(person, ids, since, sessionsMax + 1)
  const sessions = found.slice(0, sessionsMax)
  // Whatever is older than the last that is looked at may be missing.
  const cutAt = found.length > sessionsMax ? sessions.at(-1)!.session.startedAt : undefined
  return grants.map((grant) => ({
    grant,
    sessions: sessions.filter(({ session }) => session.grant === grant.id),
    isCut: cutAt !== undefined && grant.startsAt <= cutAt,
  }))
}
