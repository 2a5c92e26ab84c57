import { closest } from '../kernel/closest.ts'
import { covers } from '../policy/decide.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { PlacedPolicy, Salvaged } from './salvage.ts'

type Resources = Salvaged['resources']

/** Policies that name what is not there, contradict themselves, or can never decide anything. */
export function policyFindings(parts: Salvaged): readonly Finding[] {
  const findings = parts.policies.flatMap((placed, index) => [
    ...sameName(placed, parts.policies.slice(0, index)),
    ...dangling(placed, parts),
    ...lengths(placed),
    ...ticket(placed),
  ])
  // What a policy reaches is only known when every resource and policy could be read.
  if (!parts.complete || findings.some((finding) => finding.path.includes('what'))) return findings
  return [...findings, ...parts.policies.flatMap((placed, index) => neverMatches(placed, index, parts))]
}

/** Resources and roles that nobody can ever ask for. */
export function policyNotices(parts: Salvaged): readonly Finding[] {
  if (!parts.complete) return []
  const reached = new Set(parts.policies.flatMap(({ policy }) => pairsOf(policy, parts.resources)))
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

/** A resource and a role of it; names cannot contain a space. */
function pair(resource: string, role: string): string {
  return `${resource} ${role}`
}

/** What a policy is about, by the rule that decides at run time. */
function pairsOf({ what }: Policy, resources: Resources): readonly string[] {
  const rule = { what: { resources: what.resources ?? null, labels: what.labels, roles: what.roles ?? null } }
  return Object.entries(resources).flatMap(([name, { labels, roles }]) =>
    Object.keys(roles)
      .filter((role) => covers(rule, { name, labels }, role))
      .map((role) => pair(name, role)),
  )
}

function at({ index }: PlacedPolicy, ...rest: ConfigPath): ConfigPath {
  return ['policies', index, ...rest]
}

function sameName(placed: PlacedPolicy, before: readonly PlacedPolicy[]): readonly Finding[] {
  const twin = before.find(({ policy }) => policy.name === placed.policy.name)
  if (twin === undefined) return []
  const message = `policies[${twin.index}] is called "${placed.policy.name}", too`
  return [{ path: at(placed, 'name'), message, hint: 'People and the audit log tell policies apart by their names.' }]
}

function dangling(placed: PlacedPolicy, parts: Salvaged): readonly Finding[] {
  const { resources, labels, roles } = placed.policy.what
  const unknown = (resources ?? []).flatMap((name, index) =>
    parts.resourceNames.includes(name)
      ? []
      : [missing(at(placed, 'what', 'resources', index), 'resource', name, parts.resourceNames)],
  )
  const unknownRoles = (roles ?? []).flatMap((name, index) =>
    parts.roleNames.includes(name) ? [] : [missing(at(placed, 'what', 'roles', index), 'role', name, parts.roleNames)],
  )
  const unknownLabels = Object.entries(labels)
    .filter(([key, value]) => !parts.labels.some((carried) => carried[key] === value))
    .map(([key, value]) => unknownLabel(at(placed, 'what', 'labels', key), key, value, parts.labels))
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
  const { default: offeredMs, most: mostMs } = placed.policy.for
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

/** The whole ticket must match. @throws SyntaxError */
export function ticketPattern(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`, 'u')
}

/** Parts of a policy, or all of it, that can never decide about anything. Everything that it names exists. */
function neverMatches(placed: PlacedPolicy, position: number, parts: Salvaged): readonly Finding[] {
  const pairs = pairsOf(placed.policy, parts.resources)
  if (pairs.length === 0) return [matchesNothing(placed)]
  const dead = deadNames(placed, parts.resources)
  return dead.length > 0 ? dead : shadowed(placed, pairs, parts.policies.slice(0, position), parts.resources)
}

function matchesNothing(placed: PlacedPolicy): Finding {
  const hint = 'No resource meets all of `resources`, `labels` and `roles` together.'
  return { path: at(placed, 'what'), message: 'this policy can never match', hint, at: 'key' }
}

function deadNames(placed: PlacedPolicy, resources: Resources): readonly Finding[] {
  const { what } = placed.policy
  const pairs = pairsOf(placed.policy, resources)
  const deadResources = (what.resources ?? []).flatMap((name, index) =>
    pairs.some((one) => one.startsWith(`${name} `))
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

/** The first policy that matches decides, so each group and pair must get past all that stand before. */
function shadowed(
  placed: PlacedPolicy,
  pairs: readonly string[],
  before: readonly PlacedPolicy[],
  resources: Resources,
): readonly Finding[] {
  const earlier = before.map(({ index, policy }) => ({ index, policy, pairs: new Set(pairsOf(policy, resources)) }))
  const covering = new Set<string>()
  for (const group of placed.policy.who.groups) {
    for (const one of pairs) {
      const first = earlier.find(({ policy, pairs: covered }) => policy.who.groups.includes(group) && covered.has(one))
      if (first === undefined) return []
      covering.add(`policies[${first.index}] "${first.policy.name}"`)
    }
  }
  const message = `this policy can never match: ${[...covering].join(', ')} always decides before it`
  return [{ path: at(placed), message, hint: 'The first policy that matches decides. Put the narrower one first.' }]
}
