import { theGateway } from '../audit/event.ts'
import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId, RequestId } from '../kernel/ids.ts'
import { later, type Instant } from '../kernel/time.ts'
import { checkWish } from '../policy/decide.ts'
import { judge, verdictFault } from '../policy/judge.ts'
import { checkWindows, plainWindows } from '../policy/recurrence.ts'
import type { Risk } from '../policy/risk.ts'
import type { Policy } from '../policy/rules.ts'
import type { LooseWish, Offer, Wish } from './access.ts'
import { assess } from './assess.ts'
import { beginReview, checkEmergency, livingEmergency, tellOfEmergency } from './break-glass.ts'
import { completeWish } from './complete-wish.ts'
import type { AccessDeps } from './deps.ts'
import { accessEvents, actor, recordRefusal } from './events.ts'
import { fulfil } from './give.ts'
import { usableFrom } from './grant-life.ts'
import { lockedFault, stoppingLock, type LockTarget } from './locks.ts'
import { approvalFor } from './manager.ts'
import { offerFor } from './offers.ts'
import { keyMs, otherThing } from './once.ts'
import { holderFor, wishOfHolder } from './on-behalf.ts'
import type { Request, Requested } from './states.ts'
import type { AccessReads, AccessTx } from './store.ts'
import { startAheadMaxMs } from './terms.ts'
import { approve, cancel, expectOpen } from './transitions.ts'

export const openRequestsMax = 20

export async function ask(deps: AccessDeps, asker: Person, wish: LooseWish): Promise<Request> {
  try {
    return await askFor(deps, asker, await holderFor(deps, asker, wish), wish)
  } catch (error) {
    await recordRefusal(deps, 'request.refused', asker, error, {
      resource: wish.resource.slice(0, 80),
      ...(wish.role !== null && { role: wish.role.slice(0, 80) }),
    })
    throw error
  }
}

async function askFor(deps: AccessDeps, asker: Person, person: Person, typed: LooseWish): Promise<Request> {
  const loose = wishOfHolder(plainWish(typed))
  const askedBy = asker.id === person.id ? null : asker
  const now = deps.clock.now()
  // Before all checks: what was filed stays what it is, also where it could not be filed any more.
  const isSame = (request: Request) =>
    request.person === person.id && request.askedBy === (askedBy?.id ?? null) && sameWish(request, loose)
  const filed = await filedBefore(deps.store, asker, loose, isSame, now)
  if (filed !== undefined) return filed
  const wished = completeWish(deps, person, loose)
  const { resource, role, emergency = false } = wished
  const seen = offerFor(deps, person, resource, role, undefined, emergency)
  if (emergency) checkEmergency(person, wished)
  checkStart(wished.startsAt, now)
  const risk = await assess(deps, person.id, { ...wished, resource: seen.resource }, now)
  const offer = { ...seen, policy: deciding(deps, person, seen, wished, risk, now) }
  checkWish(offer.policy, wished)
  return deps.store.transact(async (tx) => {
    const twin = await filedBefore(tx, asker, wished, isSame, now)
    if (twin !== undefined) return twin
    const what = { resource, role }
    const addresses = typed.asker === undefined ? [] : [typed.asker.address]
    await refuseLocked(tx, { ...holder(asker), ...what, addresses }, now)
    if (askedBy !== null) await refuseLocked(tx, { ...holder(person), ...what, addresses: [] }, now)
    const open = (await tx.openRequests()).filter((request) => request.person === person.id)
    const same = open.find((request) => isSame(request) && sameWish(request, wished) && now < request.lapsesAt)
    if (same !== undefined) return keepKey(tx, wished, same, now)
    const taken = emergency && (await livingEmergency(tx, person, (request) => sameWish(request, wished), now))
    if (taken) return keepKey(tx, wished, taken, now)
    refuseTooMany(open.length + 1)
    const filing = { ...wished, risk, ...(askedBy !== null && { askedBy }) }
    return keepKey(tx, wished, await fileRequest(deps, tx, person, offer.policy, filing, now), now)
  })
}

/** @throws Fault RATE_LIMITED */
export function refuseTooMany(open: number): void {
  if (open <= openRequestsMax) return
  throw new Fault('RATE_LIMITED', `Nobody has more than ${openRequestsMax} open requests.`, {
    hint: 'Call some of them off, or wait until they are decided.',
  })
}

function plainWish(wish: LooseWish): LooseWish {
  const { windows: wished = null } = wish
  if (wished !== null) checkWindows(wished)
  const windows = wished === null ? null : plainWindows(wished)
  return { ...wish, ticket: wish.ticket?.trim() || null, reason: wish.reason.trim(), windows }
}

/** @throws Fault INPUT_INVALID when the key stands for something else */
export async function filedBefore(
  reads: Pick<AccessReads, 'requestByKey'>,
  person: Person,
  { key }: Pick<Wish, 'key'>,
  isSame: (request: Request) => boolean,
  now: Instant,
): Promise<Request | undefined> {
  if (key === undefined) return undefined
  const filed = await reads.requestByKey(person.id, key, later(now, -keyMs))
  if (filed === undefined || isSame(filed)) return filed
  throw otherThing()
}

export async function keepKey(
  tx: AccessTx,
  { key }: Pick<Wish, 'key'>,
  request: Request,
  now: Instant,
  asker: PersonId = request.askedBy ?? request.person,
): Promise<Request> {
  if (key !== undefined) await tx.keepRequestKey(asker, key, request.id, now, later(now, -keyMs))
  return request
}

/**
 * The policy that decides, by all that is known when something is asked for, at the time for which it is asked.
 * @throws Fault OUTSIDE_WINDOW, POLICY_DENIES, FROM_ELSEWHERE, NOT_ALLOWED
 */
export function deciding(
  deps: AccessDeps,
  person: Person,
  { resource, role }: Pick<Offer, 'resource' | 'role'>,
  wish: Wish,
  risk: Risk,
  now: Instant,
): Policy {
  const { lengthMs, reason, ticket, startsAt, asker } = wish
  const startAt = startsAt !== null && startsAt > now ? startsAt : now
  // Of recurring hours, what counts is when they are first used.
  const { windows = null } = wish
  const at = windows === null ? startAt : usableFrom(startAt, [{ when: windows }])
  const situation = {
    person,
    resource,
    role: role.name,
    emergency: wish.emergency === true,
    at,
    client: asker,
    request: { lengthMs, reason, ticket },
    risk,
  }
  const verdict = judge(deps.rules, situation)
  if (verdict.kind === 'allow') return verdict.policy
  throw verdictFault(verdict, situation)
}

export function checkStart(startsAt: Instant | null, now: Instant): void {
  if (startsAt !== null && startsAt > now + startAheadMaxMs) {
    throw new Fault('INPUT_INVALID', 'The start is more than 90 days ahead.')
  }
}

export function holder({ id, groups }: Person): Pick<LockTarget, 'person' | 'groups'> {
  return { person: id, groups }
}

/** @throws Fault LOCKED */
export async function refuseLocked(tx: AccessTx, target: LockTarget, now: Instant): Promise<void> {
  const lock = stoppingLock(await tx.standingLocks(), target, now)
  if (lock !== undefined) throw lockedFault(lock.reason)
}

/** A second tap on the same button files nothing new. What was left to us is what the policies had then. */
function sameWish(request: Request, wish: LooseWish): boolean {
  return (
    request.resource === wish.resource &&
    [null, request.role].includes(wish.role) &&
    [null, request.lengthMs].includes(wish.lengthMs) &&
    request.reason === wish.reason &&
    request.ticket === wish.ticket &&
    request.extends === null &&
    request.bundle === null &&
    JSON.stringify(request.recurrence?.windows ?? null) === JSON.stringify(wish.windows ?? null) &&
    request.startsAt === wish.startsAt &&
    (request.kind === 'break-glass') === (wish.emergency === true)
  )
}

/** A wish that was held against the rules. */
export interface Filing extends Wish {
  readonly risk: Risk
  /** Somebody else than who gets it. */
  readonly askedBy?: Person
  /** Who files it now; absent: `askedBy`, or the person. */
  readonly filedBy?: Person
  /** The grant that is to last longer. */
  readonly extends?: GrantId
  readonly bundle?: NonNullable<Request['bundle']>
  /** Lapses then at the latest. */
  readonly lapsesBy?: Instant
}

/** Writes a request down; where its policy needs nobody, with all that follows. */
export async function fileRequest(
  deps: AccessDeps,
  tx: AccessTx,
  person: Person,
  policy: Policy,
  wish: Filing,
  now: Instant,
): Promise<Request> {
  const lapsesAt = later(now, policy.requestMs ?? deps.settings.requestMs)
  const request: Requested = {
    state: 'requested',
    id: deps.random.id('request'),
    person: person.id,
    resource: wish.resource,
    role: wish.role,
    lengthMs: wish.lengthMs,
    reason: wish.reason,
    ticket: wish.ticket,
    startsAt: wish.startsAt,
    kind: kindOf(policy, wish),
    askedBy: wish.askedBy?.id ?? null,
    extends: wish.extends ?? null,
    bundle: wish.bundle ?? null,
    recurrence: wish.windows ? { windows: wish.windows } : null,
    risk: wish.risk,
    policy: policy.name,
    approval: approvalFor(deps, policy.approval, wish.askedBy ?? person),
    origin: wish.origin,
    askedAt: now,
    lapsesAt: Math.min(lapsesAt, wish.lapsesBy ?? lapsesAt) as Instant,
    step: 0,
    stepSince: now,
    escalatedAt: null,
  }
  await tx.insertRequest(request)
  await tx.record(accessEvents.opened(request, wish.filedBy ?? wish.askedBy ?? person))
  await tx.announce({ kind: 'request-opened', request: request.id })
  if (policy.approval.kind !== 'none') return request
  const approved = approve(request, now)
  await tx.updateRequest(approved)
  await tx.record(accessEvents.closed(approved, theGateway))
  const review = policy.breakGlass && (await beginReview(deps, tx, request, policy.breakGlass))
  await fulfil(deps, tx, approved, now)
  if (review !== undefined) await tellOfEmergency(tx, approved, review, person)
  return approved
}

function kindOf({ breakGlass }: Policy, wish: Filing): Request['kind'] {
  if (wish.extends !== undefined) return 'extension'
  return breakGlass === undefined ? 'access' : 'break-glass'
}

export async function cancelRequest(deps: AccessDeps, person: Person, id: RequestId): Promise<void> {
  await deps.store.transact(async (tx) => {
    const request = await tx.request(id)
    if (request === undefined || ![request.person, request.askedBy].includes(person.id)) throw unknownRequest()
    const cancelled = cancel(expectOpen(request, deps.clock.now()), deps.clock.now())
    await tx.updateRequest(cancelled)
    await tx.record(accessEvents.closed(cancelled, actor(person)))
    await tx.announce({ kind: 'request-closed', request: id, state: 'cancelled' })
  })
  deps.metrics.add('curfew_requests_total', { state: 'cancelled' })
}

export function unknownRequest(): Fault {
  return new Fault('REQUEST_UNKNOWN', 'There is no such request that you may see.')
}
