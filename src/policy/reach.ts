import { isConditional } from './circumstance-words.ts'
import type { Denial, Policy, Rules, Who } from './rules.ts'
import { covers } from './weigh.ts'

/** What can be reached, as far as policies look at it. */
export interface ReachedResource {
  readonly name: string
  readonly kind: string
  readonly labels: Readonly<Record<string, string>>
  readonly roles: readonly string[]
}

/** The resources of a catalogue, with only the names of their roles. */
export function reachedResources(
  resources: readonly (Omit<ReachedResource, 'roles'> & { readonly roles: Readonly<Record<string, unknown>> })[],
): readonly ReachedResource[] {
  return resources.map(({ name, kind, labels, roles }) => ({ name, kind, labels, roles: Object.keys(roles) }))
}

/** One set of people who may have one role of one resource by one policy. */
export interface Reach {
  /** A group or an address, with claims where the policy asks for them, too: `engineers, level=2|3`. */
  readonly who: string
  readonly subject: Who
  readonly resource: string
  readonly role: string
  readonly policy: Policy
  /** Names of what denies it at times, from elsewhere, on a condition, or to some of them. */
  readonly unless: readonly string[]
}

/**
 * Who can reach what by which policy, in the file's order. What always denies it, or always decides before it, takes it
 * away; what only sometimes does, leaves it in. So nothing that somebody could have is missing.
 */
export function reachesOf({ policies, denials = [] }: Rules, resources: readonly ReachedResource[]): readonly Reach[] {
  return policies.flatMap((policy, index) => {
    const before = policies.slice(0, index).filter((other) => decidesAlways(other, policy))
    return pairsOf(policy, resources).flatMap(({ resource, role }) => {
      const hiding = before.filter((other) => covers(other, resource, role))
      const against = denials.filter((denial) => covers(denial, resource, role))
      return subjectsOf(policy.who)
        .filter(({ subject }) => !hiding.some(({ who }) => includes(who, subject)))
        .filter(({ subject }) => !against.some((denial) => deniesAlways(denial, subject)))
        .map(({ who, subject }) => ({
          ...{ who, subject, resource: resource.name, role, policy },
          unless: against.filter(({ except }) => !isExcepted(except, subject)).map(({ name }) => name),
        }))
    })
  })
}

/** Break-glass is asked for as such: what decides otherwise does not stand before it. */
function decidesAlways(other: Policy, policy: Policy): boolean {
  return !isConditional(other) && (other.breakGlass === undefined) === (policy.breakGlass === undefined)
}

function pairsOf(policy: Policy, resources: readonly ReachedResource[]) {
  return resources.flatMap((resource) =>
    resource.roles.filter((role) => covers(policy, resource, role)).map((role) => ({ resource, role })),
  )
}

interface Subject {
  readonly who: string
  readonly subject: Who
}

/** Sets of people that together are all whom a policy is for; each is of one group, one address, or neither. */
function subjectsOf({ groups, people, claims }: Who): readonly Subject[] {
  const nobodyNamed: readonly (string | null)[] = [null]
  const claimed = Object.entries(claims ?? {}).map(([claim, values]) => `${claim}=${values.join('|')}`)
  return (groups ?? nobodyNamed).flatMap((group) =>
    (people ?? nobodyNamed).map((address) => ({
      who: [group, address, ...claimed].filter((word) => word !== null).join(', '),
      subject: {
        ...(group !== null && { groups: [group] }),
        ...(address !== null && { people: [address] }),
        ...(claims !== undefined && { claims }),
      },
    })),
  )
}

/** Whether everybody of that set is meant, whatever else they are. */
function includes(who: Who | null, subject: Who): boolean {
  if (who === null) return true
  const has = (all: readonly string[] | undefined, some: readonly string[] | undefined) =>
    all === undefined || (some !== undefined && some.every((one) => all.includes(one)))
  return (
    has(who.groups, subject.groups) &&
    has(who.people, subject.people) &&
    Object.entries(who.claims ?? {}).every(([claim, values]) => {
      const own = subject.claims
      return own !== undefined && Object.hasOwn(own, claim) && has(values, own[claim])
    })
  )
}

function deniesAlways(denial: Denial, subject: Who): boolean {
  return !isConditional(denial) && denial.except.length === 0 && includes(denial.who, subject)
}

function isExcepted(except: readonly string[], { groups = [] }: Who): boolean {
  return groups.some((group) => except.includes(group))
}
