import { formatDuration } from '../kernel/durations.ts'
import { closest } from '../kernel/closest.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { BundleEntry, GrantsEntry } from './schema-grants.ts'
import type { PlacedPolicy, Salvaged } from './salvage.ts'
import { lengthsOf } from './schema-policies.ts'

/** Options of grants that contradict each other or the policy that they stand in. */
export function grantsFindings({ index, policy }: PlacedPolicy): readonly Finding[] {
  const { grants, breakGlass } = policy
  if (grants === undefined) return []
  const path: ConfigPath = ['policies', index, 'grants']
  if (breakGlass !== undefined) {
    const hint = 'What it gives is used at once, and is not extended. Leave it out.'
    return [{ path, message: 'it says nothing about emergencies', at: 'key', hint }]
  }
  return [...lengthFindings(path, grants), ...agreementFindings(path, grants, lengthsOf(policy).mostMs)]
}

function lengthFindings(path: ConfigPath, { unused, total, recurring }: GrantsEntry): readonly Finding[] {
  return Object.entries({ unused, total, recurring })
    .filter(([, lengthMs]) => lengthMs === 0)
    .map(([key]) => ({ path: [...path, key], expected: 'a length of time above 0', message: 'got 0' }))
}

function agreementFindings(path: ConfigPath, grants: GrantsEntry, mostMs: number): readonly Finding[] {
  const { clock, uses, unused = 0, total, recurring } = grants
  const most = formatDuration(mostMs)
  const findings: Finding[] = []
  if (total !== undefined && total > 0 && total < mostMs) {
    const message = `\`total\` is shorter than one request may be (${most})`
    findings.push({ path: [...path, 'total'], message, hint: 'Make it at least `for.most`, or `for.most` shorter.' })
  }
  if (clock === 'approval' && recurring === undefined && unused >= mostMs) {
    const message = `every access ends before that: it lasts at most ${most}`
    findings.push({ path: [...path, 'unused'], message, hint: 'Make it shorter than `for.most`, or leave it out.' })
  }
  if (uses === 'once' && recurring !== undefined) {
    const hint = 'Leave one of them out.'
    findings.push({ path: [...path, 'recurring'], message: 'recurring hours are of no use for one session', hint })
  }
  return findings
}

/** Bundles that name what is not there, or the same twice. */
export function bundleFindings(parts: Salvaged): readonly Finding[] {
  return parts.bundles.flatMap(({ index, policy: bundle }) => {
    const path: ConfigPath = ['bundles', index]
    const before = parts.bundles.filter((other) => other.index < index)
    const twin = before.find(({ policy }) => policy.name === bundle.name)
    const same: Finding[] =
      twin === undefined
        ? []
        : [{ path: [...path, 'name'], message: `bundles[${twin.index}] is called "${bundle.name}", too` }]
    return [
      ...same,
      ...bundle.items.flatMap((item, at) => itemFindings([...path, 'items', at], item, at, bundle, parts)),
    ]
  })
}

function itemFindings(
  path: ConfigPath,
  { resource, role, for: lengthMs }: BundleEntry['items'][number],
  at: number,
  { items }: BundleEntry,
  parts: Salvaged,
): readonly Finding[] {
  if (!parts.resourceNames.includes(resource))
    return [missing([...path, 'resource'], 'resource', resource, parts.resourceNames)]
  const known = parts.resources[resource]
  const roles = known === undefined ? null : Object.keys(known.roles)
  if (roles !== null && !roles.includes(role)) return [missing([...path, 'role'], 'role', role, roles)]
  const twin = items.findIndex((other) => other.resource === resource && other.role === role)
  return [
    ...(twin < at ? [{ path, message: `items[${twin}] is the same` }] : []),
    ...(lengthMs === 0 ? [{ path: [...path, 'for'], expected: 'a length of time above 0', message: 'got 0' }] : []),
  ]
}

function missing(path: ConfigPath, kind: 'resource' | 'role', name: string, known: readonly string[]): Finding {
  const [meant] = closest(name, known)
  const hint = meant === undefined ? `There are: ${known.slice(0, 12).join(', ')}.` : `Did you mean "${meant}"?`
  return { path, message: `there is no ${kind} "${name}"${kind === 'role' ? ' there' : ''}`, hint }
}
