import { theGateway } from '../audit/event.ts'
import { displayName, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId } from '../kernel/ids.ts'
import { commentLengthMax } from './decide.ts'
import { isOperator, type AccessDeps } from './deps.ts'
import { accessEvents, actor, orRefused } from './events.ts'
import { escalateAll } from './escalate.ts'
import { decidesOn, requestersOf } from './place.ts'
import { endLocks } from './place-lock.ts'
import type { Expired, Grant, Revoked, Ended } from './states.ts'
import type { AccessTx } from './store.ts'
import { expectLiving, handBack, lapse, revoke, settleGrant, settleRequest } from './transitions.ts'

/** Grant, live sessions and future connects, in one action. */
export async function revokeGrant(deps: AccessDeps, person: Person, id: GrantId, comment: string): Promise<void> {
  if (comment.length > commentLengthMax) throw new Fault('INPUT_INVALID', 'The comment is too long.')
  await ending(deps, person, id, async (tx) => {
    const grant = await tx.grant(id)
    if (grant === undefined) throw unknownGrant()
    await checkMayRevoke(deps, tx, person, grant)
    const now = deps.clock.now()
    await writeEnd(tx, revoke(expectLiving(grant, now), person.id, comment.trim(), now), person)
  })
}

function ending(deps: AccessDeps, person: Person, id: GrantId, work: (tx: AccessTx) => Promise<void>): Promise<void> {
  return orRefused(deps, 'grant.end-refused', person, { grant: id.slice(0, 80) }, () => deps.store.transact(work))
}

async function checkMayRevoke(deps: AccessDeps, tx: AccessTx, person: Person, grant: Grant): Promise<void> {
  if (isOperator(deps, person)) return
  const request = await tx.request(grant.request)
  if (request !== undefined && decidesOn(request, person, await requestersOf(deps, request))) return
  throw new Fault('NOT_ALLOWED', 'Only operators and the approvers of this role may revoke it.')
}

/** It was given to them, or to a machine for which they asked. */
async function isTheirs(tx: AccessTx, person: Person, grant: Grant): Promise<boolean> {
  return grant.person === person.id || (await tx.request(grant.request))?.askedBy === person.id
}

export async function handBackGrant(deps: AccessDeps, person: Person, id: GrantId): Promise<void> {
  await ending(deps, person, id, async (tx) => {
    const grant = await tx.grant(id)
    if (grant === undefined || !(await isTheirs(tx, person, grant))) throw unknownGrant()
    const now = deps.clock.now()
    await writeEnd(tx, handBack(expectLiving(grant, now), now), person)
  })
}

export async function writeEnd(tx: AccessTx, grant: Revoked | Ended | Expired, by: Person | null): Promise<void> {
  await tx.updateGrant(grant)
  await tx.record(accessEvents.ended(grant, by === null ? theGateway : actor(by)))
  await tx.announce({
    kind: 'grant-ended',
    grant: grant.id,
    cause: ({ expired: 'expired', revoked: 'revoked', ended: 'handed-back' } as const)[grant.state],
    by: by === null ? null : displayName(by),
    comment: grant.comment || null,
  })
}

function unknownGrant(): Fault {
  return new Fault('GRANT_UNKNOWN', 'There is no such grant.')
}

/** What time alone decides, written down. */
export async function sweep(deps: AccessDeps): Promise<number> {
  const now = deps.clock.now()
  const requests = await deps.store.requestsToLapse(now)
  const escalated = await escalateAll(deps)
  const grants = await deps.store.grantsToSettle(now)
  if (requests.length > 0) await deps.store.transact((tx) => lapseAll(deps, tx))
  const locks = await deps.store.locksToEnd(now)
  if (grants.length > 0) await deps.store.transact((tx) => settleAll(deps, tx))
  if (locks.length > 0) await deps.store.transact((tx) => endLocks(deps, tx))
  return requests.length + escalated + grants.length + locks.length
}

async function lapseAll(deps: AccessDeps, tx: AccessTx): Promise<void> {
  const now = deps.clock.now()
  for (const request of await tx.requestsToLapse(now)) {
    const settled = settleRequest(request, now)
    if (settled.state !== 'lapsed' && request.extends === null) continue
    const lapsed = settled.state === 'lapsed' ? settled : lapse(request, now)
    await tx.updateRequest(lapsed)
    await tx.record(accessEvents.closed(lapsed, theGateway))
    await tx.announce({ kind: 'request-closed', request: request.id, state: 'lapsed' })
    deps.metrics.add('curfew_requests_total', { state: 'lapsed' })
  }
}

async function settleAll(deps: AccessDeps, tx: AccessTx): Promise<void> {
  const now = deps.clock.now()
  for (const grant of await tx.grantsToSettle(now)) {
    if (grant.state !== 'scheduled' && grant.state !== 'active') continue
    const settled = settleGrant(grant, now)
    if (settled.state === 'expired') await writeEnd(tx, settled, null)
    else if (settled.state !== grant.state) await startScheduled(tx, settled)
  }
}

async function startScheduled(tx: AccessTx, grant: Grant): Promise<void> {
  const { id, person, resource, role } = grant
  await tx.updateGrant(grant)
  await tx.record(accessEvents.started(grant, grant.startsAt))
  await tx.announce({ kind: 'grant-started', grant: id, person, resource, role })
}
