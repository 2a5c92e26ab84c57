import { auditEvent, theGateway } from '../audit/event.ts'
import type { Active, Expired } from '../access/states.ts'
import { waitsForUse } from '../access/grant-life.ts'
import { useFirst, useUp } from '../access/transitions.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { Session, SessionTx } from './session.ts'

/**
 * Writes down that a grant is used for the first time, with the session that does it. Transactions run one after the
 * other, so of two first sessions only one is the first.
 * @returns the grant as it is then: its clock may have started.
 * @throws Fault GRANT_IN_WRONG_STATE
 */
export async function noteFirstUse(tx: SessionTx, seen: Active, session: Session): Promise<Active> {
  if (seen.firstUsedAt !== null) return seen
  const grant = await tx.grant(seen.id)
  if (grant?.state !== 'active') throw new Fault('GRANT_IN_WRONG_STATE', 'The grant has ended.')
  if (grant.firstUsedAt !== null) return grant
  const used = useFirst(grant, session.startedAt)
  await tx.updateGrant(used)
  if (!waitsForUse(grant)) return used
  const { id, expiresAt } = used
  const holder = { id: session.person, name: session.personName }
  await tx.record(
    auditEvent('grant.clock-started', session.startedAt, holder, {
      ...{ grant: id, session: session.id, resource: used.resource, role: used.role },
      expiresAt: isoTime(expiresAt),
    }),
  )
  await tx.announce({ kind: 'grant-moved', grant: id, expiresAt, cause: 'first-use' })
  return used
}

/** After its only session, a grant for one session is over. */
export async function noteLastUse(tx: SessionTx, id: GrantId, at: Instant): Promise<void> {
  const grant = await tx.grant(id)
  if (grant?.state !== 'active' || grant.uses !== 'once') return
  const over: Expired = useUp(grant, at)
  await tx.updateGrant(over)
  const { request, person: holder, resource, role, comment } = over
  await tx.record(auditEvent('grant.used-up', at, theGateway, { grant: id, request, holder, resource, role, comment }))
  await tx.announce({ kind: 'grant-ended', grant: id, cause: 'expired', by: null, comment })
}
