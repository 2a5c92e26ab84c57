import { formatDuration } from '../kernel/durations.ts'
import { approvalWords } from '../policy/approval.ts'
import type { Bundle } from '../policy/bundle.ts'
import { isConditional } from '../policy/circumstance-words.ts'
import { reachedResources, reachesOf } from '../policy/reach.ts'
import { grantWords } from '../policy/grant-words.ts'
import type { Policy } from '../policy/rules.ts'
import type { Resource } from '../resources/catalogue.ts'
import type { Config } from './config.ts'

/** What the gateway will do, in a few lines. */
export function summarise(config: Config): {
  readonly listeners: readonly string[]
  readonly resources: readonly string[]
  readonly policies: number
  readonly bundles: readonly string[]
} {
  const { web, postgres, ssh, ops } = config.listen
  return {
    listeners: [
      `web ${web.address}:${web.port} (https)`,
      ...postgres.map(({ address, port, tls, plaintext }) => {
        const ways = [tls !== null && 'TLS', plaintext && 'plaintext'].filter(Boolean).join(' and ')
        return `postgres ${address}:${port} (${ways})`
      }),
      ...ssh.map(({ address, port }) => `ssh ${address}:${port}`),
      `ops ${ops.address}:${ops.port} (http)`,
    ],
    resources: config.resources.map(
      (resource) => `${resource.name} (${targetOf(resource)}): ${Object.keys(resource.roles).join(', ')}`,
    ),
    policies: config.policies.length,
    bundles: (config.bundles ?? []).map(bundleLine),
  }
}

function bundleLine({ name, items }: Bundle): string {
  return `${name}: ${items.map(({ resource, role }) => `${resource} as ${role}`).join(', ')}`
}

function targetOf(resource: Resource): string {
  if (resource.kind === 'http') return `http ${resource.addresses.map(({ text }) => text).join(', ')}`
  const places = [resource, ...(resource.kind === 'postgres' ? resource.others : [])]
  return `${resource.kind} ${places.map(({ host, port }) => `${host}:${port}`).join(', ')}`
}

/** What somebody may ask for, and what that takes. */
export interface StandingOffer {
  /** A group, with claims or an address where the policy asks for those, too. */
  readonly group: string
  readonly resource: string
  readonly role: string
  /** `nobody`, or `two of approvers or operations`; and whether only at times, from somewhere or on a condition. */
  readonly takes: string
  readonly most: string
  readonly policy: string
}

/** Who can reach what; what needs nobody comes first. */
export function standingOffers(config: Config): readonly StandingOffer[] {
  const all = reachesOf(config, reachedResources(config.resources)).map(({ who, resource, role, policy }) => ({
    ...{ group: who, resource, role, takes: takes(policy) },
    ...{ most: [formatDuration(policy.length.mostMs), ...grantWords(policy.grants)].join(', '), policy: policy.name },
  }))
  return all.toSorted((left, right) => Number(needsNobody(right)) - Number(needsNobody(left)))
}

function needsNobody({ takes: text }: StandingOffer): boolean {
  return text.startsWith('nobody')
}

function takes(policy: Policy): string {
  const needs = approvalWords(policy.approval)
  return isConditional(policy) ? `${needs}, sometimes` : needs
}
