import type { Review } from '../access/review.ts'
import type { Decision, Grant, Request } from '../access/states.ts'
import type { AccessStore } from '../access/store.ts'
import { displayName, type Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { GrantId, PersonId, RequestId } from '../kernel/ids.ts'
import { isoTime, type Instant } from '../kernel/time.ts'
import type { EvidenceReads } from './store.ts'

/** What a bundle is about. */
export type Subject =
  | { readonly kind: 'request'; readonly id: RequestId }
  | { readonly kind: 'grant'; readonly id: GrantId }

/** A request and everything that came of it, apart from sessions. */
export interface Story {
  readonly request: Request
  /** For more time for the grant. */
  readonly extensions: readonly Request[]
  /** On the request and its extensions. */
  readonly decisions: readonly Decision[]
  readonly grant: Grant | null
  readonly review: Review | null
}

const extensionsMax = 1000

/** An extension's story is that of the grant which it is for. @throws Fault REQUEST_UNKNOWN, GRANT_UNKNOWN */
export async function readStory(access: AccessStore, more: EvidenceReads, subject: Subject): Promise<Story> {
  const { request, grant } = await found(access, subject)
  const extensions = grant === undefined ? [] : await more.extensionsOf(grant.id, extensionsMax)
  const decisions = await Promise.all([request, ...extensions].map(({ id }) => access.decisionsOn(id)))
  const review = await access.reviewOf(request.id)
  return { request, extensions, decisions: decisions.flat(), grant: grant ?? null, review: review ?? null }
}

async function found(access: AccessStore, subject: Subject): Promise<{ request: Request; grant: Grant | undefined }> {
  if (subject.kind === 'request') {
    const request = await access.request(subject.id)
    if (request === undefined) throw new Fault('REQUEST_UNKNOWN', 'There is no such request.')
    if (request.extends === null) return { request, grant: await access.grantOf(request.id) }
    return found(access, { kind: 'grant', id: request.extends })
  }
  const grant = await access.grant(subject.id)
  const request = grant && (await access.request(grant.request))
  if (grant === undefined || request === undefined) throw new Fault('GRANT_UNKNOWN', 'There is no such grant.')
  return { request, grant }
}

/** Whether more may come: the request is open, the grant lives, or somebody has still to look at it. */
export function isLiving({ request, grant, review }: Story): boolean {
  if (request.state === 'requested' || review?.state === 'open') return true
  return grant?.state === 'scheduled' || grant?.state === 'active'
}

/** Under these ids the audit log tells of it. */
export function idsOf({ request, extensions, decisions, grant, review }: Story): readonly string[] {
  const things = [request, ...extensions, ...decisions, ...(grant === null ? [] : [grant])]
  return [...things.map(({ id }) => id), ...(review === null ? [] : [review.id])]
}

/** Everybody whom it names. */
export function peopleIn(story: Story): readonly PersonId[] {
  const found = new Set<string>()
  JSON.stringify(story, (_, value: unknown) => {
    if (typeof value === 'string' && /^person-[a-z0-9]+$/.test(value)) found.add(value)
    return value
  })
  return [...found].toSorted() as PersonId[]
}

export function personFacts(id: PersonId, person: Person | undefined) {
  if (person === undefined) return { id, displayName: id }
  const { kind = 'person', email, name, issuer, subject } = person
  return { id, kind, displayName: displayName(person), email, name, issuer, subject }
}

const instants = /(?:^at|At|Since|By|Until|until)$/

/** All fields as the state holds them, so that new ones come along; instants as ISO 8601. */
export function factsOf(value: unknown, key = ''): unknown {
  if (typeof value === 'number' && instants.test(key)) return isoTime(value as Instant)
  if (Array.isArray(value)) return value.map((one) => factsOf(one))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, factsOf(inner, name)]))
}
