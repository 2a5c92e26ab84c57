import { endsStanding } from '../identity/standing.ts'
import type { Person } from '../identity/person.ts'
import type { Change, ChangeFeed } from '../kernel/change.ts'
import { formatDuration } from '../kernel/durations.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId, RequestId } from '../kernel/ids.ts'
import { later, timeForPeople, type Clock } from '../kernel/time.ts'
import type { Waiting } from './access.ts'
import { endOfTime, isUsedUp } from './grant-life.ts'
import { lockedFault, lockMatch, type LockTarget } from './locks.ts'
import type { AccessReads } from './store.ts'

interface Waiter extends Waiting {
  readonly resource: string
  readonly role: string
  readonly waitMs: number
  readonly signal: AbortSignal
}
interface Around {
  readonly store: AccessReads
  readonly changes: ChangeFeed
  readonly clock: Clock
  readonly person: (id: PersonId) => Promise<Person | undefined>
  /** Whether their groups still allow what they wait for. */
  readonly requestLink: (id: RequestId) => URL
  readonly isAllowed: (waiter: Pick<Waiter, 'person' | 'resource' | 'role'>) => Promise<boolean>
}

const waitingPerPersonMax = 50

/** Bounds how many connections of one person wait for an approval at once. */
export class WaitingPeople {
  readonly #counts = new Map<PersonId, number>()

  /** @throws Fault RATE_LIMITED */
  async of(person: PersonId, wait: () => Promise<void>): Promise<void> {
    const count = this.#counts.get(person) ?? 0
    if (count >= waitingPerPersonMax) {
      throw new Fault('RATE_LIMITED', `${count} connections of yours wait for an approval already.`, {
        hint: 'Close some of them; one approval serves them all.',
      })
    }
    this.#counts.set(person, count + 1)
    try {
      await wait()
    } finally {
      const left = (this.#counts.get(person) ?? 1) - 1
      if (left > 0) this.#counts.set(person, left)
      else this.#counts.delete(person)
    }
  }
}

/** Subscribes first, then looks: what is decided in between is not lost. */
export async function waitForGrant(waiter: Waiter, around: Around): Promise<void> {
  const { changes, clock } = around
  waiter.signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const aborted = () => reject(waiter.signal.reason)
  const onChange = (change: Change) => {
    verdictOf(change, waiter, around).then((verdict) => verdict === 'granted' && resolve(), reject)
  }
  using _subscription = changes.subscribe(onChange)
  const timer = clock.after(waiter.waitMs, () => reject(waitOver(waiter.waitMs)))
  waiter.signal.addEventListener('abort', aborted, { once: true })
  try {
    const standing = hasGrant(waiter, around).then((isThere) => {
      if (isThere) return resolve()
      return waiter.request === undefined ? undefined : throwIfOwn(waiter.request, waiter, around)
    })
    await Promise.race([promise, standing.then(() => promise)])
  } finally {
    timer.cancel()
    waiter.signal.removeEventListener('abort', aborted)
  }
}

async function hasGrant({ person, resource, role }: Waiter, { store, clock }: Around): Promise<boolean> {
  const grants = await store.activeGrants(person, resource, role)
  return grants.some((grant) => endOfTime(grant) > clock.now() && !isUsedUp(grant))
}

/** What a change means to somebody who waits. @throws Fault when the wait is over without a grant. */
async function verdictOf(change: Change, waiter: Waiter, around: Around): Promise<'granted' | 'unmoved'> {
  const { isAllowed } = around
  switch (change.kind) {
    case 'grant-started':
      return isFor(change, waiter) ? 'granted' : 'unmoved'
    case 'lock-placed':
      if (lockMatch(change.scope)(await targetOf(waiter, around))) throw lockedFault(change.reason)
      return 'unmoved'
    case 'request-closed':
      await throwIfOwn(change.request, waiter, around)
      return 'unmoved'
    case 'signed-out':
    case 'credential-revoked':
      if (endsStanding(change, waiter)) throw new Fault('SIGNED_OUT', 'You signed out, or were signed out.')
      return 'unmoved'
    case 'person-changed':
      if (change.person === waiter.person && !(await isAllowed(waiter))) {
        throw new Fault('POLICY_CHANGED', `Your groups no longer allow ${waiter.resource} as ${waiter.role}.`)
      }
      return 'unmoved'
    default:
      return 'unmoved'
  }
}

function isFor(what: { person: PersonId; resource: string; role: string }, waiter: Waiter): boolean {
  return what.person === waiter.person && what.resource === waiter.resource && what.role === waiter.role
}

async function targetOf({ person: id, resource, role, address }: Waiter, { person }: Around): Promise<LockTarget> {
  const groups = (await person(id))?.groups ?? []
  return { person: id, groups, resource, role, addresses: address === undefined ? [] : [address] }
}

async function throwIfOwn(id: RequestId, waiter: Waiter, around: Around): Promise<void> {
  const { store, requestLink } = around
  const request = await store.request(id)
  if (request === undefined || request.state === 'requested' || !isFor(request, waiter)) return
  if (request.state === 'approved') return throwIfOther(id, waiter, around)
  if (request.state === 'lapsed') throw new Fault('REQUEST_LAPSED', 'Nobody decided on your request in time.')
  if (request.state === 'cancelled') {
    throw new Fault('REQUEST_CLOSED', 'Your request was called off.', {
      hint: `Ask again when you need it, or see what was asked for: ${requestLink(id)}`,
    })
  }
  const refusal = (await store.decisionsOn(id)).findLast((decision) => decision.verdict === 'deny')
  const comment = refusal?.comment ? `: ${refusal.comment}` : '.'
  throw new Fault('REQUEST_DENIED', `Your request was refused${comment}`, {
    hint: `Ask again with another reason, or see who refused it: ${requestLink(id)}`,
  })
}

/** Approvers may give another role, or a later start: what is waited for does not come of it. */
async function throwIfOther(id: RequestId, waiter: Waiter, around: Around): Promise<void> {
  const { store, clock, requestLink } = around
  const grant = await store.grantOf(id)
  if (grant === undefined) return
  const { resource, role, startsAt } = grant
  const isOtherRole = role !== waiter.role
  if (!isOtherRole && startsAt <= later(clock.now(), waiter.waitMs)) return
  // Something else that they asked for may still come, or has come meanwhile.
  if ((await store.openRequests()).some((open) => isFor(open, waiter)) || (await hasGrant(waiter, around))) return
  if (isOtherRole) {
    throw new Fault('REQUEST_CLOSED', `Your request was approved as ${role}, not as ${waiter.role}.`, {
      hint: `Connect to ${resource} as ${role}, or see what was approved: ${requestLink(id)}`,
    })
  }
  throw new Fault('REQUEST_CLOSED', `Your request was approved for later: from ${timeForPeople(startsAt)} on.`, {
    hint: `Connect again then, or see what was approved: ${requestLink(id)}`,
  })
}

function waitOver(waitMs: number): Fault {
  return new Fault('REQUEST_WAIT_OVER', `Nobody approved within ${formatDuration(waitMs)}.`)
}
