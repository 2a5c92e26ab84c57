import type { AuditEvent } from '../audit/event.ts'
import type { DatabaseUserId, GrantId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'

/**
 * What became of a user at its target. `disabled`: it owns something there, so it was left without rights and login.
 * `absent`: there was none by that name that is ours.
 */
export type DatabaseUserOutcome = 'dropped' | 'disabled' | 'absent'

/** A user of a target, made for one grant. It is written down before it is made, so that none can be forgotten. */
export interface DatabaseUser {
  readonly id: DatabaseUserId
  readonly grant: GrantId
  readonly resource: string
  readonly role: string
  /** At the target. */
  readonly name: string
  readonly plannedAt: Instant
  /** Null: whether it was made is not known. */
  readonly madeAt: Instant | null
  readonly end: { readonly at: Instant; readonly outcome: DatabaseUserOutcome } | null
}

export interface DatabaseUserStore {
  /** Those that have not ended. */
  standing(): Promise<readonly DatabaseUser[]>
  /** The last one by that name at that resource. */
  latest(resource: string, name: string): Promise<DatabaseUser | undefined>
  plan(user: DatabaseUser): Promise<void>
  /** It is there, once more if need be. */
  made(id: DatabaseUserId, at: Instant, event: AuditEvent): Promise<void>
  /** Ends it once; nothing is written if it had ended already. */
  end(id: DatabaseUserId, end: NonNullable<DatabaseUser['end']>, event: AuditEvent | null): Promise<void>
}
