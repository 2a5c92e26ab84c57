import type { Instant } from '../kernel/time.ts'
import type { ConditionFacts } from './condition.ts'
import { globPattern } from './glob.ts'
import { isIn } from './networks.ts'
import type { Circumstances, Denial, Policy, What, Who } from './rules.ts'
import { isInside } from './times.ts'

/** What a policy looks at in a person. */
export interface PersonFacts {
  /** For people to read, and for `who.people`: the provider vouches for it. */
  readonly email: string | null
  readonly name?: string | null
  readonly groups: readonly string[]
  readonly claims?: Readonly<Record<string, readonly string[]>>
}

/**
 * Everything that decides. What is not known yet does not stop anybody: whoever opens a session asks again, and then
 * all of it is known.
 */
export interface Situation {
  readonly person: PersonFacts
  readonly resource: ConditionFacts['resource']
  readonly role: string
  /** When it would be used. */
  readonly at?: Instant | undefined
  /** Where it would be used from. */
  readonly client?: { readonly address: string } | undefined
  readonly request?: ConditionFacts['request']
}

/** The first part of a rule that does not match, in this order. */
export type Miss = 'what' | 'who' | 'if' | 'from' | 'when'

/** `misses` null: all of it matches. `failed`: why its condition could not be worked out. */
export interface Weighed {
  readonly misses: Miss | null
  readonly failed?: string
}

/** Whether a policy allows this. What is unknown, it lets pass; what cannot be worked out, it does not. */
export function weighPolicy(policy: Policy, situation: Situation): Weighed {
  if (!covers(policy, situation.resource, situation.role)) return { misses: 'what' }
  if (!isFor(policy.who, situation.person, 'is not for them')) return { misses: 'who' }
  const condition = policy.condition?.evaluate(situation)
  if (typeof condition === 'object') return { misses: 'if', failed: condition.failed }
  return { misses: condition === false ? 'if' : missedPlaceOrTime(policy, situation, null) }
}

/** Whether a denial speaks of this. What is unknown does not deny yet; what cannot be worked out does. */
export function weighDenial(denial: Denial, situation: Situation): Weighed {
  const { who, except } = denial
  const { person } = situation
  if (!covers(denial, situation.resource, situation.role)) return { misses: 'what' }
  if (who !== null && !isFor(who, person, 'is for them')) return { misses: 'who' }
  if (inAny(person.groups, except)) return { misses: 'who' }
  const condition = denial.condition?.evaluate(situation) ?? true
  const failed = typeof condition === 'object' ? condition : {}
  if (condition === false || condition === 'unknown') return { misses: 'if' }
  return { misses: missedPlaceOrTime(denial, situation, 'unknown'), ...failed }
}

/** @param unknown whether a fact that is not known yet misses. */
function missedPlaceOrTime(
  rule: Circumstances,
  { client, at }: Situation,
  unknown: 'unknown' | null,
): 'from' | 'when' | null {
  const isTimed = rule.when !== undefined || rule.dates !== undefined
  if (rule.networks !== undefined) {
    if (client === undefined ? unknown !== null : !isIn(rule.networks, client.address)) return 'from'
  }
  if (!isTimed) return null
  return (at === undefined ? unknown !== null : !isInside(rule, at)) ? 'when' : null
}

/** Whether the rule speaks of this role on this resource, whoever asks. */
export function covers(
  { what }: { readonly what: What },
  resource: Pick<ConditionFacts['resource'], 'name' | 'labels'>,
  role: string,
): boolean {
  const { resources, labels, roles } = what
  return (
    (resources === null || resources.some((name) => globPattern(name).test(resource.name))) &&
    (roles === null || roles.includes(role)) &&
    Object.entries(labels).every(
      ([key, value]) => Object.hasOwn(resource.labels, key) && resource.labels[key] === value,
    )
  )
}

/** @param unasked what it means when the provider has not been asked about a claim yet. */
export function isFor(who: Who, person: PersonFacts, unasked: 'is for them' | 'is not for them'): boolean {
  const { groups, people, claims } = who
  if (groups !== undefined && !inAny(person.groups, groups)) return false
  if (people !== undefined && (person.email === null || !people.includes(person.email.toLowerCase()))) return false
  return Object.entries(claims ?? {}).every(([claim, values]) => {
    const known = person.claims !== undefined && Object.hasOwn(person.claims, claim) ? person.claims[claim] : undefined
    return known === undefined ? unasked === 'is for them' : inAny(known, values)
  })
}

export function inAny(groups: readonly string[], wanted: readonly string[]): boolean {
  return wanted.some((group) => groups.includes(group))
}
