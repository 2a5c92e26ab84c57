import { formatDuration } from '../kernel/durations.ts'
import { Fault } from '../kernel/fault.ts'
import { later, timeForPeople, type Instant } from '../kernel/time.ts'
import { commonNetworks, plainNetwork } from '../policy/network-sets.ts'
import type { Resource } from '../resources/catalogue.ts'
import type { Decision, Request, Terms } from './states.ts'

/** What comes of a request: what was asked for, narrowed by everybody who approved. */
export interface Agreed {
  readonly lengthMs: number
  readonly startsAt: Instant | null
  readonly role: string
  readonly databases: readonly string[] | null
  readonly networks: readonly string[] | null
}
type Wanted = Pick<Request, 'lengthMs' | 'startsAt' | 'role'>

export const noTerms: Terms = { lengthMs: null, startsAt: null, role: null, databases: null, networks: null }
export const startAheadMaxMs: number = 90 * 86_400_000
const databasesMax = 50
const networksMax = 20

/**
 * What an approver made of a request, in one spelling; null when that is what was asked for.
 * @throws Fault INPUT_INVALID, LENGTH_REFUSED when it is more than was asked for, or nothing that can be
 */
export function readTerms(request: Request, terms: Terms, now: Instant): Terms | null {
  if (request.kind === 'extension' && isMoreThanLength(terms)) {
    throw invalid('More time for access that is there can only be shortened.')
  }
  const read: Terms = {
    lengthMs: lengthOf(request, terms.lengthMs),
    startsAt: startOf(request, terms.startsAt, now),
    role: terms.role === request.role ? null : terms.role,
    databases: terms.databases === null ? null : databasesOf(terms.databases),
    networks: terms.networks === null ? null : networksOf(terms.networks),
  }
  return Object.values(read).every((one) => one === null) ? null : read
}

function isMoreThanLength({ startsAt, role, databases, networks }: Terms): boolean {
  return [startsAt, role, databases, networks].some((one) => one !== null)
}

function lengthOf(request: Wanted, lengthMs: number | null): number | null {
  if (lengthMs === null || lengthMs === request.lengthMs) return null
  if (!Number.isSafeInteger(lengthMs) || lengthMs < 1000) {
    throw new Fault('LENGTH_REFUSED', 'The length must be at least one second.')
  }
  if (lengthMs < request.lengthMs) return lengthMs
  throw new Fault('LENGTH_REFUSED', `They asked for ${formatDuration(request.lengthMs)}; nobody gets more.`, {
    hint: 'Give a length below that, or none.',
  })
}

function startOf(request: Pick<Request, 'startsAt' | 'askedAt'>, startsAt: Instant | null, now: Instant) {
  if (startsAt === null || startsAt === request.startsAt) return null
  const earliest = request.startsAt ?? request.askedAt
  if (!Number.isSafeInteger(startsAt) || startsAt < earliest) {
    throw invalid(`It cannot start before ${timeForPeople(earliest)}, for which it was asked.`)
  }
  if (startsAt > later(now, startAheadMaxMs)) throw invalid('The start is more than 90 days ahead.')
  return startsAt
}

function databasesOf(names: readonly string[]): readonly string[] {
  const databases = [...new Set(names.map((name) => name.trim()))].sort()
  if (databases.length === 0 || databases.length > databasesMax) {
    throw invalid(`Name 1 to ${databasesMax} databases, or none for all.`)
  }
  return databases
}

function networksOf(texts: readonly string[]): readonly string[] {
  if (texts.length === 0 || texts.length > networksMax) throw invalid(`Name 1 to ${networksMax} networks, or none.`)
  const networks = texts.map((text) => {
    const network = plainNetwork(text)
    if (network !== undefined) return network
    throw invalid(`"${text.slice(0, 60)}" is no address or network such as 203.0.113.0/24.`)
  })
  return commonNetworks(networks, networks)
}

/**
 * The least of what everybody approved, in whatever order they did.
 * @throws Fault INPUT_INVALID when nothing is left that all of them agree to
 */
export function agreedTerms(
  { lengthMs, startsAt, role }: Wanted,
  decisions: readonly Pick<Decision, 'verdict' | 'terms'>[],
): Agreed {
  const asked: Agreed = { lengthMs, startsAt, role, databases: null, networks: null }
  const all = decisions.flatMap(({ verdict, terms }) => (verdict === 'approve' && terms !== null ? [terms] : []))
  return { ...all.reduce(narrowed, asked), role: oneRole(role, all) }
}

function narrowed(agreed: Agreed, { lengthMs, startsAt, databases, networks }: Terms): Agreed {
  return {
    ...agreed,
    lengthMs: Math.min(agreed.lengthMs, lengthMs ?? agreed.lengthMs),
    startsAt: latest(agreed.startsAt, startsAt),
    databases: common('database', agreed.databases, databases, (left, right) =>
      left.filter((name) => right.includes(name)),
    ),
    networks: common('network', agreed.networks, networks, commonNetworks),
  }
}

function latest(left: Instant | null, right: Instant | null): Instant | null {
  if (left === null || right === null) return left ?? right
  return left > right ? left : right
}

type Names = readonly string[]

function common(
  what: 'database' | 'network',
  left: Names | null,
  right: Names | null,
  both: (left: Names, right: Names) => Names,
): Names | null {
  if (left === null || right === null) return left ?? right
  const names = both(left, right)
  if (names.length > 0) return names
  throw invalid(`No ${what} would be left: somebody approved only ${left.join(', ')}.`, agreeOrRefuse)
}

function oneRole(asked: string, all: readonly Terms[]): string {
  const [role = asked, another] = [...new Set(all.flatMap((terms) => terms.role ?? []))]
  if (another === undefined) return role
  throw invalid(`Somebody approved it as ${role}; it cannot be ${another}, too.`, agreeOrRefuse)
}

const agreeOrRefuse = 'Approve what they approved or less of it, or refuse.'

/**
 * Whether it is there to be had: the role, and its databases.
 * @throws Fault INPUT_INVALID
 */
export function checkThere(resource: Resource | undefined, { role: name, databases }: Agreed): void {
  const role = resource !== undefined && Object.hasOwn(resource.roles, name) ? resource.roles[name] : undefined
  if (resource === undefined || role === undefined) {
    throw invalid(`${resource?.name ?? 'The resource'} has no role ${name}.`, rolesThere(resource))
  }
  if (databases === null) return
  if (role.kind !== 'postgres') throw invalid(`${resource.name} has no databases.`)
  const beyond = databases.find((database) => !role.databases.includes(database))
  if (beyond === undefined) return
  throw invalid(`${name} does not open the database ${beyond.slice(0, 63)}.`, `It opens ${role.databases.join(', ')}.`)
}

function rolesThere(resource: Resource | undefined): string | undefined {
  return resource === undefined ? undefined : `It has ${Object.keys(resource.roles).join(', ')}.`
}

function invalid(message: string, hint?: string): Fault {
  return new Fault('INPUT_INVALID', message, hint === undefined ? {} : { hint })
}
