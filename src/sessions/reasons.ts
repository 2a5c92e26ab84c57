import { lockedFault, lockStops } from '../access/locks.ts'
import type { Change } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { Session } from './session.ts'

/** What a person reads when the grant's time is over. `at` is written by the caller in a zone. */
export function expiredFault({ resource, role }: Pick<Session, 'resource' | 'role'>, endedAt: string): Fault {
  return new Fault('GRANT_EXPIRED', `Your access to ${resource} as ${role} ended at ${endedAt}.`)
}

/** Why a change ends this session now; undefined when it does not. */
export function endingReason(change: Change, session: Session): Fault | undefined {
  switch (change.kind) {
    case 'grant-ended':
      return change.grant === session.grant ? grantEnded(change, session) : undefined
    case 'lock-placed':
      return lockStops(change.scope, session) ? lockedFault(change.reason) : undefined
    case 'signed-out':
      return signedOut(change, session) ? new Fault('SIGNED_OUT', 'You signed out, or were signed out.') : undefined
    case 'credential-revoked':
      return change.credential === session.credential
        ? new Fault('SIGNED_OUT', 'The sign-in or token that this session came in by was revoked.')
        : undefined
    case 'session-killed':
      return change.session === session.id
        ? new Fault('KILLED', `${change.by} ended this session${saying(change.comment)}`)
        : undefined
    default:
      return undefined
  }
}

function grantEnded(change: Extract<Change, { kind: 'grant-ended' }>, session: Session): Fault {
  const what = `Your access to ${session.resource} as ${session.role}`
  switch (change.cause) {
    case 'expired':
      return new Fault('GRANT_EXPIRED', `${what} ended.`)
    case 'revoked':
      return new Fault('GRANT_REVOKED', `${what} was revoked by ${change.by ?? 'the gateway'}${saying(change.comment)}`)
    case 'handed-back':
      return new Fault('GRANT_HANDED_BACK', `${what} was handed back.`)
  }
}

function signedOut(change: Extract<Change, { kind: 'signed-out' }>, session: Session): boolean {
  if (change.person !== session.person) return false
  return change.browserSession === null || change.browserSession === session.browserSession
}

function saying(comment: string | null): string {
  return comment === null || comment === '' ? '.' : `: ${comment}`
}
