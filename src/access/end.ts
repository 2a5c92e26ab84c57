import { theGateway } from '../audit/event.ts'
import { displayName, type Person } from '../identity/person.ts'
import type { LockScope } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId, LockId } from '../kernel/ids.ts'
import { inAny, mayApprove } from '../policy/decide.ts'
import { commentLengthMax } from './decide.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { accessEvents, actor } from './events.ts'
import type { Expired, Grant, Lock, Revoked, Ended } from './states.ts'
import type { AccessTx } from './store.ts'
import { expectLiving, handBack, revoke, settleGrant, settleRequest } from './transitions.ts'

export function isOperator({ staff }: AccessDeps, person: Person): boolean {
  return inAny(person.groups, staff.operators)
}

/** Grant, live sessions and future connects, in one action. */
export async function revokeGrant(deps: AccessDeps, person: Person, id: GrantId, comment: string): Promise<void> {
  if (comment.length > commentLengthMax) throw new Fault('INPUT_INVALID', 'The comment is too long.')
  await deps.store.transact(async (tx) => {
    const grant = await tx.grant(id)
    if (grant === undefined) throw unknownGrant()
    await checkMayRevoke(deps, tx, person, grant)
    const now = deps.clock.now()
    await writeEnd(tx, revoke(expectLiving(grant, now), person.id, comment.trim(), now), person)
  })
}

async function checkMayRevoke(deps: AccessDeps, tx: AccessTx, person: Person, grant: Grant): Promise<void> {
  if (isOperator(deps, person)) return
  const request = await tx.request(grant.request)
  const holder = await knownPerson(deps, grant.person)
  if (request !== undefined && mayApprove(request.approval, person, holder)) return
  throw new Fault('NOT_ALLOWED', 'Only operators and the approvers of this role may revoke it.')
}

export async function handBackGrant(deps: AccessDeps, person: Person, id: GrantId): Promise<void> {
  await deps.store.transact(async (tx) => {
    const grant = await tx.grant(id)
    if (grant === undefined || grant.person !== person.id) throw unknownGrant()
    const now = deps.clock.now()
    await writeEnd(tx, handBack(expectLiving(grant, now), now), person)
  })
}

async function writeEnd(tx: AccessTx, grant: Revoked | Ended | Expired, by: Person | null): Promise<void> {
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

export async function placeLock(deps: AccessDeps, person: Person, scope: LockScope, reason: string): Promise<Lock> {
  expectOperator(deps, person)
  checkLock(scope, reason)
  const lock: Lock = {
    id: deps.random.id('lock'),
    scope,
    reason: reason.trim(),
    placedBy: person.id,
    placedAt: deps.clock.now(),
    liftedBy: null,
    liftedAt: null,
  }
  await deps.store.transact(async (tx) => {
    await tx.insertLock(lock)
    await tx.record(accessEvents.locked(lock, person))
    await tx.announce({ kind: 'lock-placed', lock: lock.id, scope, reason: lock.reason })
  })
  return lock
}

function checkLock(scope: LockScope, reason: string): void {
  if (scope.person === null && scope.resource === null && scope.role === null) {
    throw new Fault('INPUT_INVALID', 'A lock names a person, a resource or a role.', {
      hint: 'Fill in at least one of them.',
    })
  }
  if (reason.trim() === '' || reason.length > commentLengthMax) {
    throw new Fault('INPUT_INVALID', 'A lock needs a reason; the people it stops read it.', {
      hint: `Say it in 1 to ${commentLengthMax} characters.`,
    })
  }
}

export async function liftLock(deps: AccessDeps, person: Person, id: LockId): Promise<void> {
  expectOperator(deps, person)
  await deps.store.transact(async (tx) => {
    const lock = await tx.lock(id)
    const now = deps.clock.now()
    if (lock === undefined || !(await tx.liftLock(id, person.id, now))) {
      throw new Fault('NOT_FOUND', 'There is no such lock, or it was lifted already.')
    }
    await tx.record(accessEvents.lifted(lock, person, now))
    await tx.announce({ kind: 'lock-lifted', lock: id })
  })
}

function expectOperator(deps: AccessDeps, person: Person): void {
  if (!isOperator(deps, person)) throw new Fault('NOT_ALLOWED', 'Only operators place and lift locks.')
}

/** What time alone decides, written down. */
export async function sweep(deps: AccessDeps): Promise<number> {
  const now = deps.clock.now()
  const requests = await deps.store.requestsToLapse(now)
  const grants = await deps.store.grantsToSettle(now)
  if (requests.length > 0) await deps.store.transact((tx) => lapseAll(deps, tx))
  if (grants.length > 0) await deps.store.transact((tx) => settleAll(deps, tx))
  return requests.length + grants.length
}

async function lapseAll(deps: AccessDeps, tx: AccessTx): Promise<void> {
  const now = deps.clock.now()
  for (const request of await tx.requestsToLapse(now)) {
    const settled = settleRequest(request, now)
    if (settled.state !== 'lapsed') continue
    await tx.updateRequest(settled)
    await tx.record(accessEvents.closed(settled, theGateway))
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
