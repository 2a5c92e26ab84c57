import { lockedFault, lockMatch, type LockTarget } from '../access/locks.ts'
import { endsStanding } from '../identity/standing.ts'
import type { Change } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import { timeForPeople, type Instant } from '../kernel/time.ts'
import type { Session } from './session.ts'

/** Where a role of a resource is asked for. */
export type AskLink = (resource: string, role: string) => URL

/** What a person reads when the grant's time is over. */
export function expiredFault(
  { resource, role }: Pick<Session, 'resource' | 'role'>,
  endedAt: Instant,
  askLink: AskLink,
): Fault {
  return new Fault('GRANT_EXPIRED', `Your access to ${resource} as ${role} ended at ${timeForPeople(endedAt)}.`, {
    hint: `Ask again: ${askLink(resource, role)}`,
  })
}

/** Of what the rules say, which know no pages: where to ask again when they allow it. */
export function withAskLink(fault: Fault, { resource, role }: Session, askLink: AskLink): Fault {
  if (fault.code !== 'POLICY_CHANGED') return fault
  const hint = `Your groups or the policy changed. Ask again: ${askLink(resource, role)}`
  return new Fault(fault.code, fault.message, { cause: fault.cause, hint })
}

/** What is known of a session that lives. */
interface Living {
  readonly session: Session
  readonly lockTarget: LockTarget
}

/** Which sessions a change ends now. Made once for all of them. */
export function endedBy(change: Change): (live: Living) => boolean {
  switch (change.kind) {
    case 'grant-ended':
      return ({ session }) => change.grant === session.grant
    case 'lock-placed': {
      const isStopped = lockMatch(change.scope)
      return ({ lockTarget }) => isStopped(lockTarget)
    }
    case 'signed-out':
    case 'credential-revoked':
      return ({ session }) => endsStanding(change, session)
    case 'session-killed':
      return ({ session }) => change.session === session.id
    default:
      return () => false
  }
}

/** Why; one and the same for every session that the change ends, so that it is made once for all of them. */
export function endingReason(change: Change, session: Session, askLink: AskLink): Fault {
  switch (change.kind) {
    case 'grant-ended':
      return grantEnded(change, session, askLink(session.resource, session.role))
    case 'lock-placed':
      return lockedFault(change.reason)
    case 'credential-revoked':
      return new Fault('SIGNED_OUT', 'The sign-in or token that this session came in by was revoked.')
    case 'session-killed':
      return new Fault('KILLED', `${change.by} ended this session${saying(change.comment)}`)
    default:
      return new Fault('SIGNED_OUT', 'You signed out, or were signed out.')
  }
}

function grantEnded(change: Extract<Change, { kind: 'grant-ended' }>, session: Session, link: URL): Fault {
  const what = `Your access to ${session.resource} as ${session.role}`
  switch (change.cause) {
    case 'expired':
      return new Fault('GRANT_EXPIRED', `${what} ended.`, { hint: `Ask again: ${link}` })
    case 'revoked':
      return new Fault(
        'GRANT_REVOKED',
        `${what} was revoked by ${change.by ?? 'the gateway'}${saying(change.comment)}`,
        { hint: `Ask the person who revoked it, or ask again: ${link}` },
      )
    case 'handed-back':
      return new Fault('GRANT_HANDED_BACK', `${what} was handed back.`, { hint: `Ask again when you need it: ${link}` })
  }
}

function saying(comment: string | null): string {
  return comment === null || comment === '' ? '.' : `: ${comment}`
}
