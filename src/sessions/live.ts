import type { Person } from '../identity/person.ts'
import type { PersonId, SessionId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { SessionRow } from './session.ts'

/** What the pages show and end. */
export interface LiveSessions {
  /** Live now, on any node: own ones; with `all`, everybody's. Newest first. */
  live(filter: { readonly person?: PersonId }): Promise<readonly (SessionRow & { readonly expiresAt: Instant })[]>
  /** By operators for any, by a person for their own. @throws Fault NOT_FOUND, NOT_ALLOWED */
  kill(person: Person, session: SessionId, comment: string): Promise<void>
}
