import { approvalWords } from '../policy/approval.ts'
import { formatDuration } from '../kernel/durations.ts'
import { policyFor } from '../policy/decide.ts'
import { isVisible } from '../policy/judge.ts'
import type { Policy } from '../policy/rules.ts'
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

/** Who can reach what, by the rule that decides at run time; what needs nobody comes first. */
export function standingOffers(config: Config): readonly StandingOffer[] {
  const { policies, resources } = config
  const all = whomOf(policies).flatMap(({ label, person }) =>
    resources.flatMap((resource) =>
      Object.keys(resource.roles).flatMap((role) => {
        const policy = policyFor(policies, person, resource, role)
        if (policy === undefined || !isVisible(config, { person, resource, role })) return []
        const most = formatDuration(policy.length.mostMs)
        return [{ group: label, resource: resource.name, role, takes: takes(policy), most, policy: policy.name }]
      }),
    ),
  )
  return all.toSorted((left, right) => Number(needsNobody(right)) - Number(needsNobody(left)))
}

/** One person for each set of people that a policy is for. */
function whomOf(policies: readonly Policy[]) {
  const all = policies.flatMap(({ who: { groups = [null], people = [null], claims = {} } }) =>
    groups.flatMap((group) =>
      people.map((email) => {
        const words = Object.entries(claims).map(([claim, values]) => `${claim}=${values.join('|')}`)
        const label = [group, email, ...words].filter((word) => word !== null).join(', ')
        const person = { id: 'person-of-these-only' as const, email, groups: group === null ? [] : [group], claims }
        return [label, { label, person }] as const
      }),
    ),
  )
  return [...new Map(all).values()]
}

function needsNobody({ takes: text }: StandingOffer): boolean {
  return text.startsWith('nobody')
}

function takes({ approval, when, dates, networks, condition }: Policy): string {
  const needs = approvalWords(approval)
  const isConditional = [when, dates, networks, condition].some((one) => one !== undefined)
  return isConditional ? `${needs}, sometimes` : needs
}
