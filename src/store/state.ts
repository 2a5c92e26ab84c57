import type { HistoryReads } from '../access/history.ts'
import type { Outbox } from '../access/outbox.ts'
import type { ReportReads } from '../access/reports/reads.ts'
import type { AccessStore } from '../access/store.ts'
import type { AuditStore } from '../audit/store.ts'
import type { EvidenceReads } from '../evidence/store.ts'
import type { IdentityStore } from '../identity/store.ts'
import type { ChangeFeed } from '../kernel/change.ts'
import type { DatabaseUserStore } from '../sessions/database-users.ts'
import type { SessionStore } from '../sessions/session.ts'

/**
 * Everything that Curfew remembers, behind the interfaces of the rooms that need it.
 * Every method may throw Fault STORE_FAILED. What `transact` or `append` resolved is on the disk.
 */
export interface State extends AsyncDisposable {
  readonly access: AccessStore
  readonly identity: IdentityStore
  readonly sessions: SessionStore
  readonly databaseUsers: DatabaseUserStore
  readonly audit: AuditStore
  readonly outbox: Outbox
  readonly history: HistoryReads
  readonly reports: ReportReads
  readonly evidence: EvidenceReads
  /**
   * Listeners run before the `transact` that made the change resolves. A change that another process committed
   * shortly before `subscribe` may still be delivered after it: rather twice than never.
   */
  readonly changes: ChangeFeed
  /** Whether it can be read and written now. Never rejects. */
  healthy(): Promise<boolean>
}
