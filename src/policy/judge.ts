import { Fault, type FaultCode } from '../kernel/fault.ts'
import { timeForPeople, type Instant } from '../kernel/time.ts'
import { rulesAbout } from './about.ts'
import { opening } from './opening.ts'
import type { Denial, Policy, Rules } from './rules.ts'
import { placed, weighDenial, weighPolicy, type Situation, type Weighed } from './weigh.ts'

/**
 * What the rules say. `deny` with a denial: that one says no; with a policy: it would allow, but not like this;
 * with neither: no policy is about it. `opensAt` null: not within the time that is looked ahead.
 */
export type Verdict =
  | { readonly kind: 'allow'; readonly policy: Policy }
  | { readonly kind: 'not-now'; readonly policy: Policy; readonly opensAt: Instant | null }
  | {
      readonly kind: 'deny'
      readonly by: Denial | null
      readonly policy: Policy | null
      readonly misses: Exclude<Weighed['misses'], 'when' | null> | 'denied'
      /** When a denial with an end is over and a policy allows it; null when that is not in sight. */
      readonly opensAt: Instant | null
    }

/** The one place that decides whether somebody may ask for something now. Pure, and total. */
export function judge(all: Rules, asked: Situation): Verdict {
  const rules = rulesAbout(all, asked.resource)
  const situation = placed(rules, asked)
  const denial = denying(rules, situation)
  if (denial !== undefined) return denied(rules, situation, denial)
  const weighed = rules.policies.map((policy) => ({
    policy,
    ...reported(rules, policy, weighPolicy(policy, situation)),
  }))
  const first = (misses: Weighed['misses']) => weighed.find((one) => one.misses === misses)?.policy
  const allowing = first(null)
  if (allowing !== undefined) return { kind: 'allow', policy: allowing }
  if (first('when') !== undefined) {
    // A condition that looks at the time may come to hold before a window opens.
    const notYet = weighed.filter(
      ({ misses, policy }) => misses === 'when' || (misses === 'if' && policy.condition?.looksAtTime === true),
    )
    return earliest(notYet.map(({ policy }) => notNow(rules, policy, situation)))
  }
  const elsewhere = first('from')
  return { ...no, policy: elsewhere ?? null, misses: elsewhere === undefined ? nearest(weighed) : 'from' }
}

/** Whether what a policy once gave may be used now. The policy itself decides as long as the file has it. */
export function judgeGiven(all: Rules, name: string, asked: Situation): Verdict {
  const policy = all.policies.find((one) => one.name === name)
  if (policy === undefined) return judge(all, asked)
  const rules = rulesAbout(all, asked.resource)
  const situation = placed(rules, asGivenBy(policy, asked))
  const denial = denying(rules, situation)
  if (denial !== undefined) return denied(rules, situation, denial)
  const { misses } = reported(rules, policy, weighPolicy(policy, situation))
  if (misses === null) return { kind: 'allow', policy }
  return misses === 'when' ? notNow(rules, policy, situation) : { ...no, policy, misses }
}

/** What a policy for emergencies gave is an emergency as long as it is used. */
export function asGivenBy({ breakGlass }: Pick<Policy, 'breakGlass'>, situation: Situation): Situation {
  return { ...situation, emergency: breakGlass !== undefined }
}

/**
 * Whether somebody may know that it is there: a policy is for them, and nothing denies it without a word.
 * `emergency` absent: in the usual way, or in an emergency.
 */
export function isVisible(all: Rules, { person, resource, role, emergency }: Situation): boolean {
  const rules = rulesAbout(all, resource)
  const ways = emergency === undefined ? [false, true] : [emergency]
  return ways.some((way) => {
    const ever = { person, resource, role, emergency: way }
    const denial = denying(rules, ever)
    return denial?.message !== null && rules.policies.some((policy) => weighPolicy(policy, ever).misses === null)
  })
}

const no = { kind: 'deny', by: null, opensAt: null } as const
const nearness = ['if', 'who', 'what'] as const

/** For explanations: how close the closest policy came. */
function nearest(weighed: readonly Weighed[]): 'if' | 'who' | 'what' {
  return nearness.find((miss) => weighed.some(({ misses }) => misses === miss)) ?? 'what'
}

/** One without a message hides what it is about, and so comes first. */
function denying(rules: Rules, situation: Situation): Denial | undefined {
  const speaking = (rules.denials ?? []).filter(
    (denial) => reported(rules, denial, weighDenial(denial, situation)).misses === null,
  )
  return speaking.find(({ message }) => message === null) ?? speaking[0]
}

function denied(rules: Rules, situation: Situation, by: Denial): Verdict {
  const isTimed = by.dates !== undefined || by.when !== undefined
  const opensAt = isTimed && situation.at !== undefined ? opening(rules, situation, situation.at) : null
  return { kind: 'deny', by, policy: null, misses: 'denied', opensAt }
}

function notNow(rules: Rules, policy: Policy, situation: Situation): Verdict & { kind: 'not-now' } {
  const { at } = situation
  const only = { ...rules, policies: [policy] }
  return { kind: 'not-now', policy, opensAt: at === undefined ? null : opening(only, situation, at) }
}

function earliest(verdicts: readonly (Verdict & { kind: 'not-now' })[]): Verdict {
  const opensAt = (verdict: (typeof verdicts)[number]) => verdict.opensAt ?? Infinity
  return verdicts.toSorted((left, right) => opensAt(left) - opensAt(right))[0]!
}

function reported(rules: Rules, { name }: { readonly name: string }, weighed: Weighed): Weighed {
  if (weighed.failed !== undefined) rules.onConditionFailed?.(name, weighed.failed)
  return weighed
}

type Refusal = Exclude<Verdict, { kind: 'allow' }>

/** What a verdict other than `allow` says to the person it stops. */
export function verdictFault(verdict: Refusal, situation: Situation): Fault {
  const { code, why } = verdictWords(verdict, situation)
  const opens = verdict.opensAt === null ? '' : ` It opens at ${timeForPeople(verdict.opensAt)}.`
  return new Fault(code, `${why}${opens}`)
}

/** Why, in one sentence, without when it opens. */
export function verdictWords(
  verdict: Refusal,
  { resource, role }: Situation,
): { readonly code: FaultCode; readonly why: string } {
  const what = `${resource.name} as ${role}`
  if (verdict.kind === 'not-now') return { code: 'OUTSIDE_WINDOW', why: `${what} is not open now.` }
  const { by, policy, misses } = verdict
  if (by !== null) {
    return { code: 'POLICY_DENIES', why: by.message ?? `The policy "${by.name}" does not allow ${what}.` }
  }
  if (misses === 'from') return { code: 'FROM_ELSEWHERE', why: `${what} may not be used from ${placesOf(policy)}.` }
  if (misses === 'if' && policy !== null) {
    return { code: 'NOT_ALLOWED', why: `The condition of the policy "${policy.name}" does not hold for ${what} now.` }
  }
  return { code: 'NOT_ALLOWED', why: `No policy lets you have ${what}.` }
}

function placesOf(policy: Policy | null): string {
  if (policy?.countries === undefined) return 'your network'
  return policy.networks === undefined ? 'your country' : 'your network or country'
}
