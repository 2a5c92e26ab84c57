import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import { asGivenBy, judgeGiven, verdictFault, type Verdict } from '../policy/judge.ts'
import { closing } from '../policy/opening.ts'
import type { Rules } from '../policy/rules.ts'
import type { PersonFacts, Situation } from '../policy/weigh.ts'
import type { Resource } from '../resources/catalogue.ts'
import { limitCloses, limitRefusal, type GrantLimits } from './grant-limits.ts'

/** What a session hangs on besides the time of its grant. */
export interface Basis {
  readonly person: PersonFacts
  /** The policy that gave the grant. */
  readonly policy: string
  /** What was asked for then. */
  readonly request: Situation['request']
  readonly risk: Situation['risk']
  /** Whether it was given as an emergency. */
  readonly isEmergency: boolean
  readonly resource: Resource
  readonly role: string
  /** Of the grant itself. */
  readonly limits: GrantLimits
}

/** When the rules will end a session, and what its person reads then. */
export interface Closing {
  readonly at: Instant
  readonly fault: Fault
}

/** Whether what was given may be used now from this address. @returns why not; undefined: it may. */
export function refusal(rules: Rules, basis: Basis, address: string, at: Instant): Fault | undefined {
  const situation = situationOf(basis, address, at)
  const verdict = judgeGiven(rules, basis.policy, situation)
  return verdict.kind === 'allow' ? limitRefusalOf(basis, address, at) : givenFault(verdict, situation)
}

/** When the rules will end it. `lookAgainAt`: nothing is known of what comes after. */
export function foresee(
  rules: Rules,
  basis: Basis,
  address: string,
  at: Instant,
  until: Instant,
): { readonly closing: Closing | null; readonly lookAgainAt: Instant } {
  const situation = situationOf(basis, address, at)
  const verdict = judgeGiven(rules, basis.policy, situation)
  if (verdict.kind !== 'allow') return { closing: { at, fault: givenFault(verdict, situation) }, lookAgainAt: until }
  const given = asGivenBy(verdict.policy, situation)
  const limited = limitRefusalOf(basis, address, at)
  if (limited !== undefined) return { closing: { at, fault: limited }, lookAgainAt: until }
  const byRules = closing({ ...rules, policies: [verdict.policy] }, given, at, until)
  const byGrant = limitCloses(basis.limits, at, until)
  const closesAt = earlier(byRules.closesAt, byGrant.closesAt)
  const fault = closesAt === null ? undefined : refusal(rules, basis, address, closesAt)
  const known = closesAt === null || fault === undefined ? null : { at: closesAt, fault }
  return { closing: known, lookAgainAt: Math.min(byRules.lookedUntil, byGrant.lookedUntil) as Instant }
}

function limitRefusalOf({ limits, resource, role }: Basis, address: string, at: Instant): Fault | undefined {
  return limitRefusal(limits, `${resource.name} as ${role}`, address, at)
}

function earlier(left: Instant | null, right: Instant | null): Instant | null {
  if (left === null || right === null) return left ?? right
  return left < right ? left : right
}

function situationOf({ person, request, risk, resource, role }: Basis, address: string, at: Instant): Situation {
  return { person, request, risk, resource, role, at, client: { address } }
}

function givenFault(verdict: Exclude<Verdict, { kind: 'allow' }>, situation: Situation): Fault {
  const isOther =
    verdict.kind === 'deny' && verdict.by === null && (verdict.misses === 'who' || verdict.misses === 'what')
  if (!isOther) return verdictFault(verdict, situation)
  const { resource, role } = situation
  return new Fault('POLICY_CHANGED', `Your groups no longer allow ${resource.name} as ${role}.`)
}
