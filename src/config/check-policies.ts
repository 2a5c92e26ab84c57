import { closest } from '../kernel/closest.ts'
import { covers } from '../policy/decide.ts'
import { globPattern } from '../policy/glob.ts'
import { breakGlassFindings } from './check-break-glass.ts'
import { approvalFindings, approvalNotices } from './check-approval.ts'
import { circumstanceFindings } from './check-circumstances.ts'
import { bundleFindings, grantsFindings } from './check-grants.ts'
import { machineFindings } from './check-machines.ts'
import type { ConfigPath, Finding } from './problems.ts'
import { ticketPattern } from './resolve-policies.ts'
import { lengthsOf, type PolicyEntry } from './schema-policies.ts'
import type { Placed, PlacedPolicy, Salvaged } from './salvage.ts'

type Resources = Salvaged['resources']

/** Policies that name what is not there, contradict themselves, or can never decide anything. */
export function policyFindings(parts: Salvaged): readonly Finding[] {
  const { entries, freezes } = parts
  const findings = [
    ...entries.flatMap((placed, index) => [
      ...sameName(placed, entries.slice(0, index)),
      ...dangling(['policies', placed.index, 'what'], placed.policy.what, parts),
    ]),
    ...parts.policies.flatMap((placed) => [
      ...lengths(placed),
      ...grantsFindings(placed),
      ...ticket(placed),
      ...breakGlassFindings(placed),
    ]),
    ...freezes.flatMap(({ index, policy }) => dangling(['freezes', index, 'what'], policy.what, parts)),
    ...bundleFindings(parts),
    ...circumstanceFindings(parts),
    ...approvalFindings(parts),
    ...machineFindings(parts),
  ]
  // What a policy reaches is only known when every resource and policy could be read.
  if (!parts.complete || findings.some((finding) => finding.path.includes('what'))) return findings
  return [...findings, ...parts.policies.flatMap((placed, index) => neverMatches(placed, index, parts))]
}

/** Resources and roles that nobody can ever ask for, and approvals that cannot always be given. */
export function policyNotices(parts: Salvaged): readonly Finding[] {
  if (!parts.complete) return []
  return [...approvalNotices(parts), ...unreachedRoles(parts)]
}

function unreachedRoles(parts: Salvaged): readonly Finding[] {
  const reached = new Set(parts.policies.flatMap(({ policy }) => [...pairsOf(policy, parts.resources)]))
  return Object.entries(parts.resources).flatMap(([name, resource]) =>
    Object.keys(resource.roles)
      .filter((role) => !reached.has(pair(name, role)))
      .map((role) => ({
        path: ['resources', name, 'roles', role],
        message: 'no policy lets anybody ask for it',
        at: 'key' as const,
      })),
  )
}

type Policy = PlacedPolicy['policy']
type What = Policy['what']
interface Named {
  readonly name: string
}

/** A resource and a role of it; names cannot contain a space. */
function pair(resource: string, role: string): string {
  return `${resource} ${role}`
}

/** By what was read of one file: each policy is compared with all before it, and a file may have hundreds. */
const known = new WeakMap<Resources, WeakMap<What, ReadonlySet<string>>>()

/** What a policy is about, by the rule that decides at run time. */
function pairsOf({ what }: Pick<Policy, 'what'>, resources: Resources): ReadonlySet<string> {
  let ofFile = known.get(resources)
  if (ofFile === undefined) known.set(resources, (ofFile = new WeakMap()))
  let pairs = ofFile.get(what)
  if (pairs === undefined) ofFile.set(what, (pairs = new Set(findPairs(what, resources))))
  return pairs
}

function findPairs(what: What, resources: Resources): readonly string[] {
  const rule = { what: { resources: what.resources ?? null, labels: what.labels, roles: what.roles ?? null } }
  return Object.entries(resources).flatMap(([name, { labels, roles }]) =>
    Object.keys(roles)
      .filter((role) => covers(rule, { name, labels }, role))
      .map((role) => pair(name, role)),
  )
}

function at({ index }: { readonly index: number }, ...rest: ConfigPath): ConfigPath {
  return ['policies', index, ...rest]
}

function sameName(placed: Placed<Named>, before: readonly Placed<Named>[]): readonly Finding[] {
  const twin = before.find(({ policy }) => policy.name === placed.policy.name)
  if (twin === undefined) return []
  const message = `policies[${twin.index}] is called "${placed.policy.name}", too`
  return [{ path: at(placed, 'name'), message, hint: 'People and the audit log tell policies apart by their names.' }]
}

function dangling(path: ConfigPath, { resources, labels, roles }: What, parts: Salvaged): readonly Finding[] {
  const unknown = (resources ?? []).flatMap((name, index) =>
    parts.resourceNames.some((one) => globPattern(name).test(one))
      ? []
      : [missing([...path, 'resources', index], 'resource', name, parts.resourceNames)],
  )
  const unknownRoles = (roles ?? []).flatMap((name, index) =>
    parts.roleNames.includes(name) ? [] : [missing([...path, 'roles', index], 'role', name, parts.roleNames)],
  )
  const unknownLabels = Object.entries(labels)
    .filter(([key, value]) => !parts.labels.some((carried) => carried[key] === value))
    .map(([key, value]) => unknownLabel([...path, 'labels', key], key, value, parts.labels))
  return [...unknown, ...unknownRoles, ...unknownLabels]
}

function missing(path: ConfigPath, kind: 'resource' | 'role', name: string, known: readonly string[]): Finding {
  const [meant] = closest(name, known)
  const listed = known.length === 0 ? `There is no ${kind} at all.` : `There are: ${known.slice(0, 12).join(', ')}.`
  return {
    path,
    message: `there is no ${kind} "${name}"`,
    hint: meant === undefined ? listed : `Did you mean "${meant}"?`,
  }
}

function unknownLabel(path: ConfigPath, key: string, value: string, carried: Salvaged['labels']): Finding {
  const values = [...new Set(carried.flatMap((labels) => (typeof labels[key] === 'string' ? labels[key] : [])))]
  const hint =
    values.length === 0
      ? `No resource has a label "${key}".`
      : `Resources have ${key}: ${values.slice(0, 12).join(', ')}.`
  return { path, message: `no resource carries the label ${key}: ${value}`, hint }
}

function lengths(placed: PlacedPolicy): readonly Finding[] {
  const { defaultMs: offeredMs, mostMs } = lengthsOf(placed.policy)
  if (mostMs === 0) {
    return [{ path: at(placed, 'for', 'most'), expected: 'a length of time above 0', message: 'got 0' }]
  }
  if (offeredMs > 0 && offeredMs <= mostMs) return []
  const message =
    offeredMs === 0 ? 'the length that is offered is 0' : 'the length that is offered is longer than `most`'
  return [{ path: at(placed, 'for', 'default'), message, hint: 'Without a value, `default` is 1h and `most` is 8h.' }]
}

function ticket(placed: PlacedPolicy): readonly Finding[] {
  const wanted = placed.policy.ticket
  if (wanted === undefined) return []
  const path = at(placed, 'ticket', 'pattern')
  const link = wanted.link !== undefined && !/^https?:\/\/.*\{ticket\}/.test(wanted.link)
  return [
    ...regexFailure(wanted.pattern).map((reason) => ({ path, expected: 'a regular expression', message: reason })),
    ...(link
      ? [
          {
            path: at(placed, 'ticket', 'link'),
            expected: 'an http(s) address that contains {ticket}',
            message: 'got another',
          },
        ]
      : []),
  ]
}

function regexFailure(pattern: string): readonly string[] {
  try {
    ticketPattern(pattern)
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

/** Parts of a policy, or all of it, that can never decide about anything. Everything that it names exists. */
function neverMatches(placed: PlacedPolicy, position: number, parts: Salvaged): readonly Finding[] {
  const pairs = pairsOf(placed.policy, parts.resources)
  if (pairs.size === 0) return [matchesNothing(placed)]
  const dead = deadNames(placed, parts.resources)
  return dead.length > 0 ? dead : shadowed(placed, pairs, parts.policies.slice(0, position), parts)
}

function matchesNothing(placed: PlacedPolicy): Finding {
  const hint = 'No resource meets all of `resources`, `labels` and `roles` together.'
  return { path: at(placed, 'what'), message: 'this policy can never match', hint, at: 'key' }
}

function deadNames(placed: PlacedPolicy, resources: Resources): readonly Finding[] {
  const { what } = placed.policy
  const pairs = [...pairsOf(placed.policy, resources)]
  const deadResources = (what.resources ?? []).flatMap((name, index) =>
    pairs.some((one) => globPattern(name).test(one.split(' ')[0]!))
      ? []
      : [deadName(at(placed, 'what', 'resources', index), 'resource', name)],
  )
  const deadRoles = (what.roles ?? []).flatMap((name, index) =>
    pairs.some((one) => one.endsWith(` ${name}`)) ? [] : [deadName(at(placed, 'what', 'roles', index), 'role', name)],
  )
  return [...deadResources, ...deadRoles]
}

function deadName(path: ConfigPath, kind: 'resource' | 'role', name: string): Finding {
  const hint =
    kind === 'resource'
      ? 'It lacks the labels or the roles that this policy asks for.'
      : 'None of the resources of this policy has that role.'
  return { path, message: `the ${kind} "${name}" can never match here`, hint }
}

/**
 * The first policy that matches decides, and one that denies wherever it stands, so each group and pair must get past
 * all of them. One that only sometimes matches hides nothing.
 */
function shadowed(
  placed: PlacedPolicy,
  pairs: ReadonlySet<string>,
  before: readonly PlacedPolicy[],
  parts: Salvaged,
): readonly Finding[] {
  const denying = parts.entries.filter(({ policy }) => policy.effect === 'deny')
  const sameWay = before.filter(
    ({ policy }) => (policy.breakGlass === undefined) === (placed.policy.breakGlass === undefined),
  )
  const hiding = [...denying, ...sameWay]
    .filter(({ policy }) => isUnconditional(policy))
    .map((one) => ({ ...one, who: one.policy.who, pairs: pairsOf(one.policy, parts.resources) }))
  const covering = new Set<string>()
  for (const one of whomOf(placed.policy.who)) {
    for (const reached of pairs) {
      const first = hiding.find((other) => other.pairs.has(reached) && includes(other, one))
      if (first === undefined) return []
      covering.add(`policies[${first.index}] "${first.policy.name}"`)
    }
  }
  if (covering.size === 0) return []
  const message = `this policy can never match: ${[...covering].join(', ')} always decides before it`
  return [{ path: at(placed), message, hint: 'The first policy that matches decides. Put the narrower one first.' }]
}

function isUnconditional(policy: PolicyEntry): boolean {
  return [policy.when, policy.dates, policy.from, policy.if].every((one) => one === undefined)
}

interface Whom {
  readonly kind: 'groups' | 'people' | 'machines'
  readonly name: string
}

/** Sets that together are all whom a policy is for; empty when only claims tell. */
function whomOf({ groups, people, machines }: Policy['who']): readonly Whom[] {
  if (machines !== undefined) return machines.map((name) => ({ kind: 'machines', name }))
  if (groups !== undefined) return groups.map((name) => ({ kind: 'groups', name }))
  return (people ?? []).map((name) => ({ kind: 'people', name: name.toLowerCase() }))
}

/** Whether everybody of that set is also meant by the other policy. */
function includes({ who }: Pick<PolicyEntry, 'who'>, { kind, name }: Whom): boolean {
  if (who === undefined) return true
  const { groups, claims, machines, people: addresses } = who
  const { [kind]: same, ...others } = { groups, machines, people: addresses?.map((one) => one.toLowerCase()) }
  const isWider = claims === undefined && Object.values(others).every((one) => one === undefined)
  return isWider && same?.includes(name) === true
}
