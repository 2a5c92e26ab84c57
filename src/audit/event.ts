import type { FaultCode } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'

/** Every kind of fact that the audit log holds. docs/operations.md lists them; a test compares the two. */
export const auditTypes = [
  'gateway.started',
  'gateway.reloaded',
  'gateway.reload-refused',
  'gateway.stopped',
  'person.signed-in',
  'person.sign-in-refused',
  'person.signed-out',
  'person.groups-changed',
  'sign-in.confirmed',
  'sign-in.refused',
  'binding.made',
  'binding.revoked',
  'certificate.made',
  'certificate.refused',
  'token.made',
  'token.revoked',
  'token.refused',
  'token.exchanged',
  'token.exchange-refused',
  'request.opened',
  'request.refused',
  'request.approval-given',
  'request.refusal-given',
  'request.escalated',
  'request.approved',
  'request.denied',
  'request.cancelled',
  'request.lapsed',
  'request.break-glass',
  'decision.refused',
  'review.closed',
  'review.refused',
  'refusals.left-out',
  'campaign.started',
  'campaign.entry-confirmed',
  'campaign.entry-ended',
  'campaign.finished',
  'grant.started',
  'grant.clock-started',
  'grant.extended',
  'grant.used-up',
  'grant.expired',
  'grant.revoked',
  'grant.handed-back',
  'grant.end-refused',
  'statement.warned',
  'statement.refused',
  'statement.asked',
  'statement.answered',
  'lock.placed',
  'lock.lifted',
  'lock.refused',
  'database-user.made',
  'database-user.dropped',
  'database-user.disabled',
  'session.refused',
  'session.started',
  'session.ended',
  'session.killed',
  'recording.given-up',
  'recording.replayed',
  'recording.exported',
  'audit.read',
  'report.read',
  'evidence.exported',
  'notification.given-up',
  'notification.receiver-switched-off',
  'notification.receiver-switched-on',
  'notification.tested',
] as const
export type AuditType = (typeof auditTypes)[number]

/** One fact about the system itself. Flat, so that a log search understands it. */
export interface AuditEvent {
  readonly type: AuditType
  readonly at: Instant
  /** Who did it; null for the gateway itself and for people not yet known. */
  readonly person: PersonId | null
  readonly personName: string | null
  /** Ids, names and numbers; never a secret, never undefined values. */
  readonly data: Readonly<Record<string, AuditValue>>
}
export type AuditValue = string | number | boolean | null | readonly string[]

/** Who acts, as the events need it. */
export interface Actor {
  readonly id: PersonId | null
  readonly name: string | null
}
export const theGateway: Actor = { id: null, name: null }

/** Makes an event; the one place where the shape is put together. */
export function auditEvent(
  type: AuditType,
  at: Instant,
  actor: Actor,
  data: Readonly<Record<string, AuditValue | undefined>> = {},
): AuditEvent {
  const present = Object.entries(data).filter((entry): entry is [string, AuditValue] => entry[1] !== undefined)
  return { type, at, person: actor.id, personName: actor.name, data: Object.fromEntries(present) }
}

/** A refusal, with the code that the person read. */
export function refusalData(code: FaultCode, message: string): Record<string, AuditValue> {
  return { code, message }
}
