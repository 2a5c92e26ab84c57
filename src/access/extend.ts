import type { Person } from '../identity/person.ts'
import { formatDuration } from '../kernel/durations.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import { checkWish } from '../policy/decide.ts'
import { judgeGiven, verdictFault } from '../policy/judge.ts'
import type { Policy } from '../policy/rules.ts'
import type { Resource } from '../resources/catalogue.ts'
import type { Wish } from './access.ts'
import { assess } from './assess.ts'
import { fileRequest, filedBefore, holder, keepKey, refuseLocked } from './ask.ts'
import { knownPerson, type AccessDeps } from './deps.ts'
import { recordRefusal } from './events.ts'
import { policyOf } from './give.ts'
import { leftToExtendMs, wasEmergency, whyNotExtendable } from './extendable.ts'
import { holderFor } from './on-behalf.ts'
import type { Active, Grant, Request, Scheduled } from './states.ts'
import { expectLiving } from './transitions.ts'

/** More time for a grant, as somebody asks for it. */
export interface ExtensionWish extends Pick<Wish, 'reason' | 'ticket' | 'origin' | 'asker' | 'key'> {
  /** Null: as long as its policy offers. */
  readonly lengthMs: number | null
}

/**
 * Asks for more time for a living grant, by the policy that gave it. Where that needs nobody, it has it when this resolves.
 * @throws Fault GRANT_UNKNOWN, GRANT_IN_WRONG_STATE, NOT_ALLOWED, LENGTH_REFUSED, and what asking throws
 */
export async function extendGrant(
  deps: AccessDeps,
  person: Person,
  id: GrantId,
  wish: ExtensionWish,
): Promise<Request> {
  try {
    return await extendIt(deps, person, id, wish)
  } catch (error) {
    await recordRefusal(deps, 'request.refused', person, error, { grant: id.slice(0, 80) })
    throw error
  }
}

async function extendIt(deps: AccessDeps, asker: Person, id: GrantId, typed: ExtensionWish): Promise<Request> {
  const now = deps.clock.now()
  const { grant, given, person, askedBy } = await ownGrant(deps, asker, id)
  const wish = { ...typed, reason: typed.reason.trim(), ticket: typed.ticket?.trim() || null }
  const isSame = (request: Request) => sameExtension(request, grant, wish)
  // Before all checks: what was filed stays what it is, also where it could not be filed any more.
  const filed = await filedBefore(deps.store, asker, wish, isSame, now)
  if (filed !== undefined) return filed
  const lengthMs = wish.lengthMs ?? usualMs(await extensionFor(deps, asker, id))
  const wished = wishFor(grant, { ...wish, lengthMs }, person.id === asker.id)
  const resource = knownResource(deps, grant)
  const risk = await assess(deps, person.id, { ...wished, resource }, now)
  const policy = deciding(deps, person, grant, resource, { ...wished, risk }, now)
  checkWish(policy, wished)
  return deps.store.transact(async (tx) => {
    const twin = await filedBefore(tx, asker, wished, isSame, now)
    if (twin !== undefined) return twin
    const addresses = wish.asker === undefined ? [] : [wish.asker.address]
    const what = { resource: grant.resource, role: grant.role }
    await refuseLocked(tx, { ...holder(asker), ...what, addresses }, now)
    if (person.id !== asker.id) await refuseLocked(tx, { ...holder(person), ...what, addresses: [] }, now)
    const standing = await tx.grant(id)
    const living = expectExtendable(standing ?? grant, given, policy, wished.lengthMs, now)
    const open = (await tx.openRequests()).find((request) => request.extends === id && now < request.lapsesAt)
    if (open !== undefined && isSame(open)) return keepKey(tx, wished, open, now, asker.id)
    if (open !== undefined) throw asksAlready()
    const behalf = askedBy === undefined ? {} : { askedBy, filedBy: asker }
    const filing = { ...wished, risk, extends: id, lapsesBy: living.expiresAt, ...behalf }
    return keepKey(tx, wished, await fileRequest(deps, tx, person, policy, filing, now), now, asker.id)
  })
}

interface Own {
  readonly grant: Grant
  /** What it came of. */
  readonly given: Request | undefined
  readonly person: Person
  /** Who asked for it on behalf of the person: neither of them decides on more of it. */
  readonly askedBy: Person | undefined
}

/** Of whoever has it, and of whoever asked for it on their behalf. */
async function ownGrant(deps: AccessDeps, asker: Person, id: GrantId): Promise<Own> {
  const grant = await deps.store.grant(id)
  const request = grant && (await deps.store.request(grant.request))
  if (grant === undefined || ![grant.person, request?.askedBy].includes(asker.id)) {
    throw new Fault('GRANT_UNKNOWN', 'You have no such grant.')
  }
  const behalf = request?.askedBy ?? null
  const person = grant.person === asker.id ? asker : await machineOf(deps, asker, grant)
  return { grant, given: request, person, askedBy: behalf === null ? undefined : await knownPerson(deps, behalf) }
}

/** Who asked for it once may not ask for the machine for ever. @throws Fault NOT_ALLOWED */
async function machineOf(deps: AccessDeps, asker: Person, { person }: Grant): Promise<Person> {
  const { name } = await knownPerson(deps, person)
  return holderFor(deps, asker, { onBehalfOf: name ?? person })
}

/** @param isOwn where somebody asks from says nothing of where a machine is. */
function wishFor(
  { resource, role }: Grant,
  { asker, ...wish }: ExtensionWish & Pick<Wish, 'lengthMs'>,
  isOwn: boolean,
): Wish {
  const placed = isOwn && asker !== undefined ? { asker } : {}
  return { ...wish, ...placed, resource, role, startsAt: null }
}

/** Of the usual length, whatever is usual by now. */
function sameExtension(request: Request, { id }: Grant, wish: ExtensionWish): boolean {
  return (
    request.extends === id &&
    (wish.lengthMs === null || request.lengthMs === wish.lengthMs) &&
    request.reason === wish.reason &&
    request.ticket === wish.ticket
  )
}

function knownResource({ catalogue }: AccessDeps, { resource: name }: Grant): Resource {
  const resource = catalogue.resource(name)
  if (resource === undefined) throw new Fault('RESOURCE_UNKNOWN', `There is no resource "${name}" any more.`)
  return resource
}

/** The policy that gave it, as long as the file has it. @throws Fault as asking anew would */
function deciding(
  deps: AccessDeps,
  person: Person,
  { policy: name, role }: Grant,
  resource: Resource,
  { lengthMs, reason, ticket, asker, risk }: Wish & { readonly risk: NonNullable<Request['risk']> },
  at: Instant,
): Policy {
  const situation = { person, resource, role, at, client: asker, request: { lengthMs, reason, ticket }, risk }
  const verdict = judgeGiven(deps.rules, name, situation)
  if (verdict.kind === 'allow') return verdict.policy
  throw verdictFault(verdict, situation)
}

/** @throws Fault GRANT_IN_WRONG_STATE, NOT_ALLOWED, LENGTH_REFUSED */
function expectExtendable(
  stored: Grant,
  given: Request | undefined,
  policy: Policy,
  byMs: number,
  now: Instant,
): Scheduled | Active {
  const grant = expectLiving(stored, now)
  const why = whyNotExtendable(grant, wasEmergency(given, policy))
  if (why !== undefined) throw new Fault('NOT_ALLOWED', why, { hint: 'Ask for new access instead.' })
  const leftMs = leftToExtendMs(grant, policy)
  if (byMs <= leftMs) return grant
  const totalMs = policy.grants?.totalMs ?? 0
  throw new Fault('LENGTH_REFUSED', `With extensions this access lasts at most ${formatDuration(totalMs)}.`, {
    hint: leftMs < 60_000 ? 'Ask for new access.' : `Ask for at most ${formatDuration(leftMs)} more.`,
  })
}

function asksAlready(): Fault {
  return new Fault('INPUT_INVALID', 'You have asked for more time already.', {
    hint: 'Wait until that is decided, or call it off first.',
  })
}

/** What a grant may be extended by. */
export interface ExtensionOffer {
  readonly grant: Scheduled | Active
  readonly policy: Policy
  /** The longest that one request may ask for; 0: it has lasted as long as it may. */
  readonly mostMs: number
  /** Why it cannot be extended; null: it can. */
  readonly why: string | null
  /** The request for more time that waits already. */
  readonly open: Request | undefined
}

function usualMs({ policy, mostMs }: ExtensionOffer): number {
  return Math.max(1000, Math.min(policy.length.defaultMs, mostMs))
}

export async function extensionFor(deps: AccessDeps, person: Person, id: GrantId): Promise<ExtensionOffer> {
  const grant = expectLiving((await ownGrant(deps, person, id)).grant, deps.clock.now())
  const request = await deps.store.request(grant.request)
  const policy = request && (await policyOf(deps, { ...request, policy: grant.policy, role: grant.role }))
  if (policy === undefined) throw new Fault('NOT_ALLOWED', 'No policy lets you have this any more.')
  const mostMs = Math.min(policy.length.mostMs, leftToExtendMs(grant, policy))
  const open = (await deps.store.openRequests()).find(({ extends: extended }) => extended === id)
  return { grant, policy, mostMs, why: whyNotExtendable(grant, wasEmergency(request, policy)) ?? null, open }
}
