import type { Request } from '../access/states.ts'
import type { GrantId } from '../kernel/ids.ts'
import type { SessionRow } from '../sessions/session.ts'

/** What a bundle needs beyond what the other rooms read. */
export interface EvidenceReads {
  /** Requests for more time for this grant, in any state; oldest first, at most `limit`. */
  extensionsOf(grant: GrantId, limit: number): Promise<readonly Request[]>
  /** Sessions under this grant, oldest first; those behind `after`. */
  sessionsOf(grant: GrantId, after: SessionRow['session'] | null, limit: number): Promise<readonly SessionRow[]>
}
