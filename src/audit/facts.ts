import type { Change } from '../kernel/change.ts'
import type { AuditEvent } from './event.ts'

/** What every change of state also writes, in the same transaction. */
export interface Facts {
  /** Appends to the hash-chained audit log. */
  record(event: AuditEvent): Promise<void>
  /** Appends to the change feed. */
  announce(change: Change): Promise<void>
}
