import { formatDuration } from '../../kernel/durations.ts'
import { asFault } from '../../kernel/fault.ts'
import { approvalWords, type Approval, type Step } from '../../policy/approval.ts'
import { checkWish } from '../../policy/decide.ts'
import { judge, judgeGiven, verdictFault, type Verdict } from '../../policy/judge.ts'
import type { ReachedResource } from '../../policy/reach.ts'
import type { Policy, Rules, Weekly } from '../../policy/rules.ts'
import type { Situation } from '../../policy/weigh.ts'

/** Policies, and the resources that they are about. */
export interface RuleSet {
  readonly rules: Rules
  readonly resources: readonly ReachedResource[]
}

/** In the order in which they matter. Names are for good. */
export const differenceWords = {
  'now-allowed': 'would be allowed',
  'now-refused': 'would be refused',
  'grant-stopped': 'living access that would stop',
  'other-approval': 'would take another approval',
  'other-approvers': 'would take other approvers',
  'other-length': 'could last for another time',
  'other-policy': 'another policy would decide',
} as const
export type DifferenceKind = keyof typeof differenceWords
export const differenceKinds: readonly DifferenceKind[] = Object.keys(differenceWords) as DifferenceKind[]

/** How two sets of rules judge the same, in words. There is at least one kind. */
export interface Difference {
  readonly kinds: readonly DifferenceKind[]
  readonly before: string
  readonly after: string
}

/** Facts that both sets are asked about. `request` absent: nobody knows what was asked for exactly. */
export type Facts = Omit<Situation, 'resource'> & {
  readonly resource: string
  /** The policy that gave what is to last longer; it decides about that. */
  readonly givenBy?: string | undefined
  /** Hours that were asked for. */
  readonly windows?: readonly Weekly[] | null
}

interface Judged {
  /** Null: refused. */
  readonly policy: Policy | null
  readonly words: string
}

/** What would become of a request; undefined: the same. Two refusals are the same, whatever they say. */
export function requestDifference(before: RuleSet, after: RuleSet, facts: Facts): Difference | undefined {
  const [was, is] = [judged(before, facts), judged(after, facts)]
  const kinds = kindsOf(was.policy, is.policy)
  return kinds.length === 0 ? undefined : { kinds, before: was.words, after: is.words }
}

/** What would become of access that somebody has by that policy. */
export function grantDifference(before: RuleSet, after: RuleSet, policy: string, facts: Facts): Difference | undefined {
  const [was, is] = [standing(before, policy, facts), standing(after, policy, facts)]
  return was.stands && !is.stands ? { kinds: ['grant-stopped'], before: was.words, after: is.words } : undefined
}

function kindsOf(was: Policy | null, is: Policy | null): readonly DifferenceKind[] {
  if (was === null) return is === null ? [] : ['now-allowed']
  if (is === null) return ['now-refused']
  const sameShape = alike(shapeOf(was.approval), shapeOf(is.approval))
  const found: Readonly<Partial<Record<DifferenceKind, boolean>>> = {
    'other-approval': !sameShape,
    'other-approvers': sameShape && !alike(whoOf(was.approval), whoOf(is.approval)),
    'other-length': was.length.mostMs !== is.length.mostMs,
    'other-policy': was.name !== is.name,
  }
  return differenceKinds.filter((kind) => found[kind] === true)
}

/** How many must agree, and how, whoever they are. */
function shapeOf(approval: Approval): unknown {
  if (approval.kind === 'none') return null
  return approval.steps.map(({ people, refusals, escalate }) => [people, refusals, escalate?.afterMs ?? null])
}

function whoOf(approval: Approval): unknown {
  if (approval.kind === 'none') return null
  const whose = ({ from, allOf, named, manager }: Pick<Step, 'from' | 'allOf' | 'named' | 'manager'>) => [
    ...[from, allOf, named].map((all) => [...new Set(all)].toSorted()),
    manager,
  ]
  return approval.steps.map((step) => [whose(step), step.escalate === null ? null : whose(step.escalate.to)])
}

function alike(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}

function judged(set: RuleSet, facts: Facts): Judged {
  const situation = situationIn(set, facts)
  if (typeof situation === 'string') return { policy: null, words: situation }
  const { givenBy } = facts
  const verdict = givenBy === undefined ? judge(set.rules, situation) : judgeGiven(set.rules, givenBy, situation)
  if (verdict.kind !== 'allow') return { policy: null, words: refusalWords(verdict, situation) }
  const problem = wishProblem(verdict.policy, facts)
  return problem === undefined
    ? { policy: verdict.policy, words: policyWords(verdict.policy) }
    : { policy: null, words: `${problem} (by “${verdict.policy.name}”)` }
}

/** @returns a sentence where the set knows no such resource or role. */
function situationIn({ resources }: RuleSet, facts: Facts): Situation | string {
  const resource = resources.find(({ name }) => name === facts.resource)
  if (resource === undefined) return `There is no resource “${facts.resource}”.`
  if (!resource.roles.includes(facts.role)) return `${resource.name} has no role “${facts.role}”.`
  return { ...facts, resource }
}

function wishProblem(policy: Policy, { request, windows = null }: Facts): string | undefined {
  try {
    if (request !== undefined) checkWish(policy, { ...request, windows })
    return undefined
  } catch (error) {
    const fault = asFault(error)
    if (fault === undefined) throw error
    return fault.message
  }
}

function refusalWords(verdict: Exclude<Verdict, { kind: 'allow' }>, situation: Situation): string {
  const { message } = verdictFault(verdict, situation)
  const by = verdict.kind === 'deny' ? (verdict.by ?? verdict.policy) : verdict.policy
  return by === null || message.includes(by.name) ? message : `${message} (by “${by.name}”)`
}

/** Such as `“office hours”: two of leads, at most 1 h`. */
export function policyWords({ name, approval, length, breakGlass }: Policy): string {
  const takes = breakGlass === undefined ? approvalWords(approval) : 'break-glass'
  return `“${name}”: ${takes}, at most ${formatDuration(length.mostMs)}`
}

/** Outside of a window it stands: it opens again. */
function standing(set: RuleSet, policy: string, facts: Facts): { readonly stands: boolean; readonly words: string } {
  const situation = situationIn(set, facts)
  if (typeof situation === 'string') return { stands: false, words: situation }
  const verdict = judgeGiven(set.rules, policy, situation)
  if (verdict.kind === 'allow') return { stands: true, words: policyWords(verdict.policy) }
  return { stands: verdict.kind === 'not-now', words: refusalWords(verdict, situation) }
}
