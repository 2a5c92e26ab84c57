import { theGateway } from '../audit/event.ts'
import type { Person } from '../identity/person.ts'
import type { LockScope } from '../kernel/change.ts'
import { Fault } from '../kernel/fault.ts'
import type { LockId } from '../kernel/ids.ts'
import { later } from '../kernel/time.ts'
import { readNetwork } from '../policy/networks.ts'
import { sameHuman } from '../policy/subject.ts'
import { commentLengthMax } from './decide.ts'
import { isOperator, type AccessDeps } from './deps.ts'
import { accessEvents, actor, orRefused } from './events.ts'
import { isEmpty } from './locks.ts'
import { once } from './once.ts'
import type { Lock } from './states.ts'
import type { AccessTx } from './store.ts'

const groupCharsMax = 200

export async function placeLock(
  deps: AccessDeps,
  person: Person,
  scope: LockScope,
  reason: string,
  lengthMs: number | null,
  key?: string,
): Promise<Lock> {
  await orRefused(deps, 'lock.refused', person, {}, () => expectOperator(deps, person))
  checkScope(scope)
  checkReason(reason)
  const { group = null, address = null, ...rest } = scope
  const now = deps.clock.now()
  if (lengthMs !== null && lengthMs <= 0) {
    throw new Fault('INPUT_INVALID', 'That lock would be over already.', { hint: 'Give an end that is still to come.' })
  }
  const lock: Lock = {
    id: deps.random.id('lock'),
    scope: { ...rest, group, address },
    reason: reason.trim(),
    placedBy: person.id,
    placedAt: now,
    until: lengthMs === null ? null : later(now, lengthMs),
    liftedBy: null,
    liftedAt: null,
  }
  const wish = [lock.scope, lock.reason, lengthMs]
  return deps.store.transact(async (tx) => {
    const id = await once(tx, { person, kind: 'lock', key, wish }, now, () => writeLock(tx, lock, person))
    return id === lock.id ? lock : ((await tx.lock(id)) ?? lock)
  })
}

async function writeLock(tx: AccessTx, lock: Lock, person: Person): Promise<LockId> {
  await tx.insertLock(lock)
  await tx.record(accessEvents.locked(lock, person))
  await tx.announce({ kind: 'lock-placed', lock: lock.id, scope: lock.scope, reason: lock.reason })
  return lock.id
}

function checkScope(scope: LockScope): void {
  if (isEmpty(scope)) {
    throw new Fault('INPUT_INVALID', 'A lock names a person or machine, a group, a resource, a role or an address.', {
      hint: 'Fill in at least one of them.',
    })
  }
  const { group = null, address = null } = scope
  if (address !== null && readNetwork(address) === undefined) {
    throw new Fault('INPUT_INVALID', 'That is neither an IP address nor a network.', {
      hint: 'Such as 203.0.113.9, 203.0.113.0/24 or 2001:db8::/32.',
    })
  }
  if (group !== null && (group === '' || group.length > groupCharsMax)) {
    throw new Fault('INPUT_INVALID', `A group has a name of 1 to ${groupCharsMax} characters.`)
  }
}

function checkReason(reason: string): void {
  if (reason.trim() !== '' && reason.length <= commentLengthMax) return
  throw new Fault('INPUT_INVALID', 'A lock needs a reason; the people it stops read it.', {
    hint: `Say it in 1 to ${commentLengthMax} characters.`,
  })
}

export async function liftLock(deps: AccessDeps, person: Person, id: LockId): Promise<void> {
  await orRefused(deps, 'lock.refused', person, { lock: id.slice(0, 80) }, () => lift(deps, person, id))
}

async function lift(deps: AccessDeps, person: Person, id: LockId): Promise<void> {
  await expectOperator(deps, person)
  await deps.store.transact(async (tx) => {
    const lock = await tx.lock(id)
    const now = deps.clock.now()
    if (lock !== undefined) await refuseOwn(deps, person, lock)
    if (lock === undefined || !(await tx.liftLock(id, person.id, now))) {
      throw new Fault('NOT_FOUND', 'There is no such lock, or it was lifted already.')
    }
    await tx.record(accessEvents.lifted(lock, actor(person), now))
    await tx.announce({ kind: 'lock-lifted', lock: id })
  })
}

/** It stops whoever sits at their browser, too. Who placed it on themselves may lift it. @throws Fault NOT_ALLOWED */
async function refuseOwn(deps: AccessDeps, person: Person, { scope, placedBy }: Lock): Promise<void> {
  const stopped = scope.person === null ? undefined : await deps.person(scope.person)
  if (stopped === undefined || placedBy === person.id || !sameHuman(stopped, person)) return
  throw new Fault('NOT_ALLOWED', 'Nobody lifts a lock that somebody else placed on them.', {
    hint: 'Another operator has to.',
  })
}

/** Writes down that their time is over. */
export async function endLocks(deps: AccessDeps, tx: AccessTx): Promise<void> {
  for (const lock of await tx.locksToEnd(deps.clock.now())) {
    const { id, until } = lock
    if (until === null || !(await tx.liftLock(id, null, until))) continue
    await tx.record(accessEvents.lifted(lock, theGateway, until))
    await tx.announce({ kind: 'lock-lifted', lock: id })
  }
}

/** @throws Fault NOT_ALLOWED */
async function expectOperator(deps: AccessDeps, person: Person): Promise<void> {
  if (!isOperator(deps, person)) throw new Fault('NOT_ALLOWED', 'Only operators place and lift locks.')
}
