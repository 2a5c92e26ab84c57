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
  /** A group, an address or a machine, with claims where the policy asks for them, too: `engineers, level=2|3`. */
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
      const against = denials.filter((denial) => covers(denial, resource, role) && speaksOf(denial, policy))
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

function speaksOf({ exceptEmergencies }: Denial, { breakGlass }: Policy): boolean {
  return exceptEmergencies !== true || breakGlass === undefined
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

/** Sets of people that together are all whom a policy is for; each is of one group, one address, one machine, or none of them. */
function subjectsOf({ groups, people, machines, claims }: Who): readonly Subject[] {
  const claimed = Object.entries(claims ?? {}).map(([claim, values]) => `${claim}=${values.join('|')}`)
  return each(groups).flatMap((group) =>
    each(people).flatMap((address) =>
      each(machines).map((machine) => ({
        who: [...group, ...address, ...machine.map((name) => `machine ${name}`), ...claimed].join(', '),
        subject: {
          ...(group.length > 0 && { groups: group }),
          ...(address.length > 0 && { people: address }),
          ...(machine.length > 0 && { machines: machine }),
          ...(claims !== undefined && { claims }),
        },
      })),
    ),
  )
}

/** One by one; once nothing where it is not asked about. */
function each(all: readonly string[] | undefined): readonly (readonly string[])[] {
  return all === undefined ? [[]] : all.map((one) => [one])
}

/** Whether everybody of that set is meant, whatever else they are. */
function includes(who: Who | null, subject: Who): boolean {
  if (who === null) return true
  const has = (all: readonly string[] | undefined, some: readonly string[] | undefined) =>
    all === undefined || (some !== undefined && some.every((one) => all.includes(one)))
  return (
    has(who.groups, subject.groups) &&
    has(who.people, subject.people) &&
    has(who.machines, subject.machines) &&
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
