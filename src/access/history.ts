import type { AuditType } from '../audit/event.ts'
import type { FaultCode } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { History } from '../policy/risk.ts'

const dayMs = 86_400_000

/** How far back is looked, and how much of it. docs/risk.md says so to people. */
export const historyBounds = {
  /** Sessions and sign-ins. */
  habitMs: 90 * dayMs,
  sessionsMax: 500,
  signInsMax: 200,
  grantsMax: 50,
  /** A sign-in or session younger than this may be of the one who asks now: it makes no address and no hour known. */
  freshMs: dayMs,
  refusalsMs: 30 * dayMs,
  failuresMs: dayMs,
} as const

/** Events that tell of somebody who was turned away. */
export const turnedAwayTypes = [
  'sign-in.refused',
  'token.refused',
  'certificate.refused',
  'session.refused',
  'request.refused',
] as const satisfies readonly AuditType[]

/** Of refused sessions and requests, those that count; not who merely has no access yet, or left out a reason. */
export const turnedAwayCodes = [
  'LOCKED',
  'NOT_ALLOWED',
  'POLICY_DENIES',
  'FROM_ELSEWHERE',
  'DATABASE_REFUSED',
  'RESOURCE_UNKNOWN',
  'ROLE_UNKNOWN',
] as const satisfies readonly FaultCode[]

export interface HistoryReads {
  /** What happened before `at`: what is filed at that instant does not count. */
  history(person: PersonId, resource: string, at: Instant): Promise<History>
}
