import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { BundleId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Bundle } from '../policy/bundle.ts'
import { checkWish } from '../policy/decide.ts'
import type { Policy } from '../policy/rules.ts'
import { unknownName } from '../resources/catalogue.ts'
import type { Asker, Offer, Wish } from './access.ts'
import {
  checkStart,
  deciding,
  filedBefore,
  fileRequest,
  holder,
  keepKey,
  refuseLocked,
  refuseTooMany,
  type Filing,
} from './ask.ts'
import { offersFor } from './offers.ts'
import { assess } from './assess.ts'
import type { AccessDeps } from './deps.ts'
import { recordRefusal } from './events.ts'
import { holderFor, wishOfHolder } from './on-behalf.ts'
import type { Request } from './states.ts'
import type { AccessReads, AccessTx } from './store.ts'

/** A bundle that a person may ask for, with what each part takes. */
export interface BundleOffer {
  readonly bundle: Bundle
  readonly offers: readonly Offer[]
}

/** `lengthMs` null: each part as long as the bundle says, or as its policy offers. */
export interface BundleWish extends Pick<
  Wish,
  'reason' | 'ticket' | 'startsAt' | 'origin' | 'asker' | 'key' | 'onBehalfOf'
> {
  readonly bundle: string
  readonly lengthMs: number | null
}

/** Those of which the person may ask for every part. */
export function bundlesFor(deps: AccessDeps, person: Person, asker?: Asker): readonly BundleOffer[] {
  const bundles = deps.bundles?.() ?? []
  if (bundles.length === 0) return []
  const offers = offersFor(deps, person, asker)
  return bundles.flatMap((bundle) => {
    const parts = bundle.items.flatMap(
      ({ resource, role }) => offers.find((one) => one.resource.name === resource && one.role.name === role) ?? [],
    )
    return parts.length === bundle.items.length ? [{ bundle, offers: parts }] : []
  })
}

/** @throws Fault RESOURCE_UNKNOWN: never says whether there is a bundle that the person may not see. */
export function bundleFor(deps: AccessDeps, person: Person, name: string, asker?: Asker): BundleOffer {
  const all = bundlesFor(deps, person, asker)
  const found = all.find(({ bundle }) => bundle.name === name)
  if (found !== undefined) return found
  throw unknownName(
    'bundle',
    name,
    all.map(({ bundle }) => bundle.name),
  )
}

/**
 * Files a request for each part, or none of them. Each is decided by its own policy.
 * @throws Fault RESOURCE_UNKNOWN, and what asking for any of the parts throws
 */
export async function askBundle(deps: AccessDeps, asker: Person, wish: BundleWish): Promise<readonly Request[]> {
  try {
    return await askAll(deps, asker, wish)
  } catch (error) {
    await recordRefusal(deps, 'request.refused', asker, error, { bundle: wish.bundle.slice(0, 80) })
    throw error
  }
}

async function askAll(deps: AccessDeps, asker: Person, typed: BundleWish): Promise<readonly Request[]> {
  const person = await holderFor(deps, asker, typed)
  const wish = wishOfHolder({ ...typed, reason: typed.reason.trim(), ticket: typed.ticket?.trim() || null })
  const askedBy = asker.id === person.id ? null : asker
  const now = deps.clock.now()
  const isSame = (request: Request) =>
    request.person === person.id && request.askedBy === (askedBy?.id ?? null) && sameBundle(request, wish)
  const filed = await filedBefore(deps.store, asker, wish, isSame, now)
  if (filed !== undefined) return siblingsOf(deps.store, filed)
  const { bundle, offers } = bundleFor(deps, person, wish.bundle)
  checkStart(wish.startsAt, now)
  const id = { id: deps.random.id('bundle') satisfies BundleId, name: bundle.name }
  const filings = await Promise.all(
    offers.map((offer, index) => filingOf(deps, person, offer, { ...wish, item: bundle.items[index]!, id }, now)),
  )
  const who = { asker, person, addresses: typed.asker === undefined ? [] : [typed.asker.address] }
  return deps.store.transact((tx) => fileAll(deps, tx, who, wish, filings, isSame, now))
}

interface Part {
  readonly policy: Policy
  readonly filing: Filing
}

async function filingOf(
  deps: AccessDeps,
  person: Person,
  offer: Offer,
  {
    item,
    id,
    ...wish
  }: BundleWish & { readonly item: Bundle['items'][number]; readonly id: NonNullable<Filing['bundle']> },
  now: Instant,
): Promise<Part> {
  const lengthMs = wish.lengthMs ?? item.lengthMs ?? offer.policy.length.defaultMs
  const { key: _, onBehalfOf: _named, ...rest } = wish
  const wished = { ...rest, resource: item.resource, role: item.role, lengthMs, windows: null }
  const risk = await assess(deps, person.id, { ...wished, resource: offer.resource }, now)
  const policy = deciding(deps, person, offer, wished, risk, now)
  try {
    checkWish(policy, wished)
  } catch (error) {
    throw error instanceof Fault ? aboutPart(error, item) : error
  }
  return { policy, filing: { ...wished, risk, bundle: id } }
}

/** The sentence of a fault does not say which part it is about. */
function aboutPart({ code, message, hint }: Fault, { resource, role }: Bundle['items'][number]): Fault {
  return new Fault(code, `${resource} as ${role}: ${message}`, { hint })
}

async function fileAll(
  deps: AccessDeps,
  tx: AccessTx,
  { asker, person, addresses }: { readonly asker: Person; readonly person: Person; readonly addresses: string[] },
  wish: BundleWish,
  parts: readonly Part[],
  isSame: (request: Request) => boolean,
  now: Instant,
): Promise<readonly Request[]> {
  const twin = await filedBefore(tx, asker, wish, isSame, now)
  if (twin !== undefined) return siblingsOf(tx, twin)
  const askedBy = asker.id === person.id ? null : asker
  for (const { filing } of parts) {
    const what = { resource: filing.resource, role: filing.role }
    await refuseLocked(tx, { ...holder(asker), ...what, addresses }, now)
    if (askedBy !== null) await refuseLocked(tx, { ...holder(person), ...what, addresses: [] }, now)
  }
  const open = (await tx.openRequests()).filter((request) => request.person === person.id)
  const isPart = (request: Request) => parts.some(({ filing }) => samePart(request, filing))
  const same = open.find((request) => isSame(request) && isPart(request) && now < request.lapsesAt)
  if (same !== undefined) return siblingsOf(tx, await keepKey(tx, wish, same, now))
  refuseTooMany(open.length + parts.length)
  const requests: Request[] = []
  for (const { policy, filing } of parts) {
    const filed = { ...filing, ...(askedBy !== null && { askedBy }) }
    requests.push(await fileRequest(deps, tx, person, policy, filed, now))
  }
  await keepKey(tx, wish, requests[0]!, now)
  return requests
}

function samePart(request: Request, { resource, role, lengthMs }: Filing): boolean {
  return request.resource === resource && request.role === role && request.lengthMs === lengthMs
}

/** A length that was left to us is what bundle and policy had then. */
function sameBundle(request: Request, { bundle, lengthMs, reason, ticket, startsAt }: BundleWish): boolean {
  return (
    (lengthMs === null || request.lengthMs === lengthMs) &&
    request.bundle?.name === bundle &&
    request.reason === reason &&
    request.ticket === ticket &&
    request.startsAt === startsAt
  )
}

/** All requests that were filed together with this one, in the bundle's order; itself alone where there are none. */
export async function siblingsOf(
  reads: Pick<AccessReads, 'requestsOfBundle'>,
  request: Request,
): Promise<readonly Request[]> {
  return request.bundle === null ? [request] : reads.requestsOfBundle(request.bundle.id)
}
