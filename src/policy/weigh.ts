import type { Instant } from '../kernel/time.ts'
import type { ConditionFacts } from './condition.ts'
import { globPattern } from './glob.ts'
import { isIn } from './networks.ts'
import type { Circumstances, Denial, Policy, Rules, What, Who } from './rules.ts'
import { isInside } from './times.ts'

/** What a policy looks at in a person, or a machine. */
export interface PersonFacts {
  /** Absent: a person. */
  readonly kind?: 'person' | 'machine'
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
  /** Whether it is asked for, or was given, as an emergency; absent: it is not. */
  readonly emergency?: boolean | undefined
  /** When it would be used. */
  readonly at?: Instant | undefined
  /** Where it would be used from. */
  readonly client?: ConditionFacts['client']
  readonly request?: ConditionFacts['request']
  /** Of the request, as it was worked out when it was filed. */
  readonly risk?: ConditionFacts['risk']
}

/** The first part of a rule that does not match, in this order. */
export type Miss = 'what' | 'emergency' | 'who' | 'if' | 'from' | 'when'

/** `misses` null: all of it matches. `failed`: why its condition could not be worked out. */
export interface Weighed {
  readonly misses: Miss | null
  readonly failed?: string
}

/** Whether a policy allows this. What is unknown, it lets pass; what cannot be worked out, it does not. */
export function weighPolicy(policy: Policy, situation: Situation): Weighed {
  if (!covers(policy, situation.resource, situation.role)) return { misses: 'what' }
  if ((policy.breakGlass !== undefined) !== (situation.emergency === true)) return { misses: 'emergency' }
  if (!isFor(policy.who, situation.person, 'is not for them')) return { misses: 'who' }
  const condition = policy.condition?.evaluate(situation)
  if (typeof condition === 'object') return { misses: 'if', failed: condition.failed }
  return { misses: condition === false ? 'if' : missedPlaceOrTime(policy, situation, 'matches') }
}

/** Whether a denial speaks of this. What is unknown does not deny yet; what cannot be worked out does. */
export function weighDenial(denial: Denial, situation: Situation): Weighed {
  const { who, except } = denial
  const { person } = situation
  if (!covers(denial, situation.resource, situation.role)) return { misses: 'what' }
  if (who !== null && !isFor(who, person, 'is for them')) return { misses: 'who' }
  if (inAny(person.groups, except)) return { misses: 'who' }
  if (denial.exceptEmergencies === true && situation.emergency === true) return { misses: 'emergency' }
  const condition = denial.condition?.evaluate(situation) ?? true
  const failed = typeof condition === 'object' ? condition : {}
  if (condition === false || condition === 'unknown') return { misses: 'if' }
  return { misses: missedPlaceOrTime(denial, situation, 'misses'), ...failed }
}

/** The situation with the country that the client is in. */
export function placed({ countryOf }: Pick<Rules, 'countryOf'>, situation: Situation): Situation {
  const { client } = situation
  if (client === undefined || client.country !== undefined || countryOf === undefined) return situation
  return { ...situation, client: { ...client, country: countryOf(client.address) } }
}

/** @param unknown whether a rule matches or misses as long as nothing is known of place or time. */
function missedPlaceOrTime(
  rule: Circumstances,
  { client, at }: Situation,
  unknown: 'matches' | 'misses',
): 'from' | 'when' | null {
  const isPlaced = rule.networks !== undefined || rule.countries !== undefined
  const isTimed = rule.when !== undefined || rule.dates !== undefined
  const isElsewhere = client === undefined ? unknown === 'misses' : !isFrom(rule, client, unknown === 'misses')
  if (isPlaced && isElsewhere) return 'from'
  if (!isTimed) return null
  return (at === undefined ? unknown === 'misses' : !isInside(rule, at)) ? 'when' : null
}

/** @param anywhere whether an address of which nobody can say where it is counts as there. */
function isFrom(
  { networks, countries }: Circumstances,
  { address, country = 'unknown' }: NonNullable<Situation['client']>,
  anywhere: boolean,
): boolean {
  if (networks !== undefined && !isIn(networks, address)) return false
  return countries === undefined || countries.includes(country) || (anywhere && country === 'unknown')
}

/** Whether the rule speaks of this role on this resource, whoever asks. */
export function covers(
  { what }: { readonly what: What },
  resource: Pick<ConditionFacts['resource'], 'name' | 'labels'>,
  role: string,
): boolean {
  return (what.roles === null || what.roles.includes(role)) && coversResource(what, resource)
}

/** Whether it speaks of any role there. */
export function coversResource(
  { resources, labels }: Pick<What, 'resources' | 'labels'>,
  resource: Pick<ConditionFacts['resource'], 'name' | 'labels'>,
): boolean {
  for (const key of Object.keys(labels)) {
    if (!Object.hasOwn(resource.labels, key) || resource.labels[key] !== labels[key]) return false
  }
  return resources === null || resources.some((name) => globPattern(name).test(resource.name))
}

/** @param unasked what it means when the provider has not been asked about a claim yet. */
export function isFor(who: Who, person: PersonFacts, unasked: 'is for them' | 'is not for them'): boolean {
  const { groups, people, claims } = who
  if (person.kind === 'machine' ? !isForMachine(who, person) : who.machines !== undefined) return false
  if (groups !== undefined && !inAny(person.groups, groups)) return false
  if (people !== undefined && (person.email === null || !people.includes(person.email.toLowerCase()))) return false
  return Object.entries(claims ?? {}).every(([claim, values]) => {
    const known = person.claims !== undefined && Object.hasOwn(person.claims, claim) ? person.claims[claim] : undefined
    return known === undefined ? unasked === 'is for them' : inAny(known, values)
  })
}

/** Nobody vouches for an address or a claim of a machine: it is meant by its name or its groups, or not at all. */
function isForMachine({ groups, people, claims = {}, machines }: Who, { name }: PersonFacts): boolean {
  if (people !== undefined || Object.keys(claims).length > 0) return false
  if (machines === undefined) return groups !== undefined
  return name !== undefined && name !== null && machines.some((pattern) => globPattern(pattern).test(name))
}

export function inAny(groups: readonly string[], wanted: readonly string[]): boolean {
  return wanted.some((group) => groups.includes(group))
}
