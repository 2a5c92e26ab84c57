import { isIP } from 'node:net'
import type { AuditEvent } from '../../audit/event.ts'
import { displayName, type Person } from '../../identity/person.ts'
import type { PersonId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import { approvalWords } from '../../policy/approval.ts'
import { formatDuration } from '../../kernel/durations.ts'
import { circumstanceWords } from '../../policy/circumstance-words.ts'
import { reachesOf, type Reach } from '../../policy/reach.ts'
import { usableFrom } from '../grant-life.ts'
import type { Request } from '../states.ts'
import {
  differenceKinds,
  grantDifference,
  requestDifference,
  type Difference,
  type DifferenceKind,
  type Facts,
  type RuleSet,
} from './differences.ts'
import type { KnownGrant, KnownRequest, Paged } from './reads.ts'

export const differencesMost = 1000
export const attemptsMost = 20_000
/** What is older is left out, and the result says so. */
const requestsMost = 200_000

export interface FoundDifference extends Difference {
  /** `attempt`: what was asked for and refused then, of which less is known. */
  readonly what: 'request' | 'attempt' | 'grant'
  /** Of the request or the grant. */
  readonly id: string | null
  readonly person: string
  readonly resource: string
  readonly role: string
  /** When it was asked for, or the grant begins. */
  readonly at: Instant
}

/** What a changed policy file would do. */
export interface DryRun {
  readonly days: number
  readonly madeAt: Instant
  readonly looked: { readonly requests: number; readonly attempts: number; readonly grants: number }
  /** How often each kind was found; one request may differ in several ways. */
  readonly counts: Readonly<Record<DifferenceKind, number>>
  /** The newest first; at most `differencesMost`. */
  readonly differences: readonly FoundDifference[]
  readonly isCut: boolean
  /** Who could reach what before and not after, and the other way round, whether or not anybody asked. */
  readonly reach: { readonly gained: readonly string[]; readonly lost: readonly string[] }
}

interface Sources {
  readonly requests: Paged<KnownRequest>
  /** Refused requests and sessions. */
  readonly attempts: Paged<AuditEvent>
  readonly grants: Paged<KnownGrant>
  readonly person: (id: PersonId) => Promise<Person | undefined>
}

/** Judges the same by both sets of rules. @param breathe called often, for others to have their turn. */
export async function dryRun(
  sets: { readonly before: RuleSet; readonly after: RuleSet },
  sources: Sources,
  { days, now, breathe }: { readonly days: number; readonly now: Instant; readonly breathe: () => Promise<void> },
): Promise<DryRun> {
  const found = new Found()
  const { before, after } = sets
  const looked = { requests: 0, attempts: 0, grants: 0 }
  for await (const { request, person } of eachOf(sources.requests, breathe)) {
    if (looked.requests === requestsMost) {
      found.isCut = true
      break
    }
    looked.requests++
    const difference = requestDifference(before, after, requestFacts(request, person))
    if (difference) found.add({ ...difference, ...aboutRequest(request, person) })
  }
  for await (const event of eachOf(sources.attempts, breathe)) {
    if (looked.attempts === attemptsMost) break
    const attempt = await attemptFacts(event, sources.person)
    if (attempt === undefined) continue
    looked.attempts++
    const difference = requestDifference(before, after, attempt.facts)
    if (difference?.kinds.includes('now-allowed')) found.add({ ...difference, ...attempt.about })
  }
  for await (const known of eachOf(sources.grants, breathe)) {
    looked.grants++
    const { grant, person } = known
    const difference = grantDifference(before, after, grant.policy, grantFacts(known, now))
    const about = { id: grant.id, person: displayName(person), resource: grant.resource, role: grant.role }
    if (difference) found.add({ ...difference, what: 'grant', ...about, at: grant.startsAt })
  }
  const { differences, counts, isCut } = found
  return { days, madeAt: now, looked, counts, differences, isCut, reach: reachDifference(before, after) }
}

async function* eachOf<Row>(pages: Paged<Row>, breathe: () => Promise<void>): AsyncGenerator<Row> {
  for await (const page of pages) {
    for (const row of page) {
      yield row
      await breathe()
    }
  }
}

class Found {
  readonly differences: FoundDifference[] = []
  readonly counts: Record<DifferenceKind, number>
  readonly #alike = new Map<string, number>()
  isCut = false

  constructor() {
    const none = differenceKinds.map((kind) => [kind, 0] as const)
    this.counts = Object.fromEntries(none) as Record<DifferenceKind, number>
  }

  /** The same attempt again and again is one difference. */
  add(one: FoundDifference): void {
    if (one.what === 'attempt') {
      const key = JSON.stringify([one.person, one.resource, one.role])
      const times = this.#alike.get(key) ?? 0
      if (this.#alike.size < differencesMost || times > 0) this.#alike.set(key, times + 1)
      if (times > 0) return
    }
    for (const kind of one.kinds) this.counts[kind]++
    if (this.differences.length < differencesMost) this.differences.push(one)
    else this.isCut = true
  }
}

/** As it was asked for; the person as they are known now. */
function requestFacts(request: Request, person: Person): Facts {
  const { resource, role, lengthMs, reason, ticket, askedAt, startsAt, risk, kind } = request
  const startAt = startsAt !== null && startsAt > askedAt ? startsAt : askedAt
  const windows = request.recurrence?.windows ?? null
  return {
    ...{ person, resource, role, windows, emergency: kind === 'break-glass' },
    givenBy: kind === 'extension' ? request.policy : undefined,
    at: windows === null ? startAt : usableFrom(startAt, [{ when: windows }]),
    client: clientOf(request),
    request: { lengthMs, reason, ticket },
    risk,
  }
}

/** `psql at 203.0.113.9`: where it was asked from, as the gateway wrote it behind what the program calls itself. */
function clientOf({ origin }: Request): Facts['client'] {
  const address = / at (\S+)$/.exec(origin)?.[1]
  return address === undefined || isIP(address) === 0 ? undefined : { address }
}

function aboutRequest({ id, resource, role, askedAt }: Request, person: Person) {
  return { what: 'request' as const, id, person: displayName(person), resource, role, at: askedAt }
}

function grantFacts({ grant, person, request }: KnownGrant, now: Instant): Facts {
  const { resource, role } = grant
  const { lengthMs, reason, ticket, risk } = request
  return { person, resource, role, at: now, request: { lengthMs, reason, ticket }, risk }
}

/** Undefined: it does not say who wanted what. */
async function attemptFacts(event: AuditEvent, personOf: Sources['person']) {
  const { resource, role, address } = event.data
  if (event.person === null || typeof resource !== 'string' || typeof role !== 'string') return undefined
  const person = await personOf(event.person)
  if (person === undefined) return undefined
  const client = typeof address === 'string' && isIP(address) > 0 ? { address } : undefined
  const facts: Facts = { person, resource, role, at: event.at, client }
  const about = { what: 'attempt' as const, id: null, person: displayName(person), resource, role, at: event.at }
  return { facts, about }
}

function reachDifference(before: RuleSet, after: RuleSet): DryRun['reach'] {
  const [was, is] = [before, after].map(
    ({ rules, resources }) => new Set(reachesOf(rules, resources).map(reachWords)),
  ) as [Set<string>, Set<string>]
  const only = (these: Set<string>, others: Set<string>) =>
    [...these].filter((one) => !others.has(one)).slice(0, differencesMost)
  return { gained: only(is, was), lost: only(was, is) }
}

function reachWords({ who, resource, role, policy, unless }: Reach): string {
  const takes = policy.breakGlass === undefined ? approvalWords(policy.approval) : 'break-glass'
  const only = circumstanceWords(policy)
  return [
    `${who}: ${resource} as ${role}, takes ${takes}, at most ${formatDuration(policy.length.mostMs)}`,
    ...(only.length === 0 ? [] : [`only ${only.join('; ')}`]),
    ...(unless.length === 0 ? [] : [`unless denied by ${unless.join(', ')}`]),
  ].join(', ')
}
