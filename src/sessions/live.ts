import type { AccessReads } from '../access/store.ts'
import type { Person } from '../identity/person.ts'
import type { PersonId, SessionId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { SessionReads, SessionRow } from './session.ts'

/** More than a page can show with use; the count is in the metrics. */
export const liveShownMax = 500

/** What the pages show and end. */
export interface LiveSessions {
  /** Live now, on any node: own ones; with `all`, everybody's. Newest first. */
  live(filter: { readonly person?: PersonId }): Promise<readonly (SessionRow & { readonly expiresAt: Instant })[]>
  /** By operators for any, by a person for their own. @throws Fault NOT_FOUND, NOT_ALLOWED */
  kill(person: Person, session: SessionId, comment: string): Promise<void>
}

/** Joins the sessions that are not over with the ends of their grants. */
export function createLiveSessions(
  gate: Pick<LiveSessions, 'kill'>,
  sessions: SessionReads,
  access: Pick<AccessReads, 'grant'>,
): LiveSessions {
  return {
    kill: (person, session, comment) => gate.kill(person, session, comment),
    live: async ({ person }) => {
      const rows = await sessions.sessions({
        live: true,
        limit: liveShownMax,
        ...(person === undefined ? {} : { person }),
      })
      return Promise.all(
        rows.map(async (row) => ({
          ...row,
          expiresAt: (await access.grant(row.session.grant))?.expiresAt ?? row.session.startedAt,
        })),
      )
    },
  }
}
