import { formatDuration } from '../kernel/durations.ts'
import { policyFor } from '../policy/decide.ts'
import type { Approval } from '../policy/rules.ts'
import type { Resource } from '../resources/catalogue.ts'
import type { Config } from './config.ts'

/** What the gateway will do, in a few lines. */
export function summarise(config: Config): {
  readonly listeners: readonly string[]
  readonly resources: readonly string[]
  readonly policies: number
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
  }
}

function targetOf(resource: Resource): string {
  if (resource.kind === 'http') return `http ${resource.addresses.map(({ text }) => text).join(', ')}`
  return `${resource.kind} ${resource.host}:${resource.port}`
}

/** What one group may ask for, and what that takes. */
export interface StandingOffer {
  readonly group: string
  readonly resource: string
  readonly role: string
  /** `nobody`, or `2 of approvers, operations`. */
  readonly takes: string
  readonly most: string
  readonly policy: string
}

/** Who can reach what, by the rule that decides at run time; what needs nobody comes first. */
export function standingOffers({ policies, resources }: Config): readonly StandingOffer[] {
  const groups = [...new Set(policies.flatMap(({ who }) => who.groups ?? []))]
  const all = groups.flatMap((group) =>
    resources.flatMap((resource) =>
      Object.keys(resource.roles).flatMap((role) => {
        const person = { id: 'person-of-this-group-only' as const, email: null, groups: [group] }
        const policy = policyFor(policies, person, resource, role)
        if (policy === undefined) return []
        const most = formatDuration(policy.length.mostMs)
        return [{ group, resource: resource.name, role, takes: takes(policy.approval), most, policy: policy.name }]
      }),
    ),
  )
  return all.toSorted((left, right) => Number(right.takes === 'nobody') - Number(left.takes === 'nobody'))
}

function takes(approval: Approval): string {
  return approval.kind === 'none' ? 'nobody' : `${approval.people} of ${approval.from.join(', ')}`
}
