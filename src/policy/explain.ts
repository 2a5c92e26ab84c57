import { judge, type Verdict } from './judge.ts'
import type { Rules } from './rules.ts'
import { placed, weighDenial, weighPolicy, type Miss, type Situation, type Weighed } from './weigh.ts'

/** What one rule has to say to a situation. */
export interface Opinion {
  readonly name: string
  readonly kind: 'allow' | 'deny' | 'freeze'
  /** `decides`: the verdict is its own. `matches`: another decides before it. Else the first part that does not match. */
  readonly says: 'decides' | 'matches' | Miss
  readonly why: string
}

/** The verdict, and what each rule had to say: first those that deny, then those that allow, in the file's order. */
export function explain(
  rules: Rules,
  asked: Situation,
): { readonly verdict: Verdict; readonly opinions: readonly Opinion[] } {
  const situation = placed(rules, asked)
  const verdict = judge(rules, situation)
  const by = verdict.kind === 'deny' ? (verdict.by ?? verdict.policy) : verdict.policy
  const opinion = (rule: { readonly name: string }, kind: Opinion['kind'], weighed: Weighed): Opinion => ({
    ...{ name: rule.name, kind },
    says: rule === by ? 'decides' : (weighed.misses ?? 'matches'),
    why: whyOf(weighed, kind, situation, rule === by),
  })
  return {
    verdict,
    opinions: [
      ...(rules.denials ?? []).map((denial) =>
        opinion(denial, denial.kind === 'freeze' ? 'freeze' : 'deny', weighDenial(denial, situation)),
      ),
      ...rules.policies.map((policy) => opinion(policy, 'allow', weighPolicy(policy, situation))),
    ],
  }
}

function whyOf({ misses, failed }: Weighed, kind: Opinion['kind'], situation: Situation, decides: boolean): string {
  const { resource, role, client } = situation
  if (failed !== undefined) return `its condition cannot be worked out: ${failed}`
  switch (misses) {
    case 'what':
      return `is not about ${resource.name} as ${role}`
    case 'emergency':
      return situation.emergency === true ? 'is not for emergencies' : 'is only for emergencies'
    case 'who':
      return 'is not for this person'
    case 'if':
      return kind === 'allow' ? 'its condition does not hold' : 'its condition does not hold, or is not known to'
    case 'from':
      return client === undefined ? 'where they come from is not known' : `${whereOf(client)} is not where it is for`
    case 'when':
      return 'is not open then'
    case null:
      return decides ? 'matches' : 'matches, but another decides before it'
  }
}

function whereOf({ address, country = 'unknown' }: NonNullable<Situation['client']>): string {
  if (country === 'none') return `${address} (in no country)`
  return country === 'unknown' ? address : `${address} (${country})`
}
