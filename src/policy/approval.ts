import { sameHuman, type Subject } from './subject.ts'

/** Whose word counts: whoever is meant by any of these. */
export interface Approvers {
  /** Who is in any of these groups. */
  readonly from: readonly string[]
  /** Who is in all of these groups; empty: nobody by this. */
  readonly allOf: readonly string[]
  /** E-mail addresses in lower case. */
  readonly named: readonly string[]
  /** The requester's manager. */
  readonly manager: boolean
  /** Who that is, in a request that was filed; `named` has it, too. */
  readonly managerAddress?: string
}

/** One step of an approval: this many distinct people. */
export interface Step extends Approvers {
  readonly people: number
  /** So many refusals decide. */
  readonly refusals: number
  /** Whose word counts as well after so long without the step being done. */
  readonly escalate: { readonly afterMs: number; readonly to: Approvers } | null
}

/** What a request takes: nobody, or steps, one after the other. There is at least one. */
export type Approval = { readonly kind: 'none' } | { readonly kind: 'people'; readonly steps: readonly Step[] }

/** Where an approval stands. `step` counts from 0; the number of steps when all are done. */
export interface ApprovalPlace {
  readonly approval: Approval
  readonly step: number
  readonly isEscalated: boolean
}

/** Machines decide nothing, whatever groups they are in. */
export function isAmong({ from, allOf, named }: Approvers, person: Subject): boolean {
  if (person.kind === 'machine') return false
  return (
    from.some((group) => person.groups.includes(group)) ||
    (allOf.length > 0 && allOf.every((group) => person.groups.includes(group))) ||
    (person.email !== null && named.includes(person.email.toLowerCase()))
  )
}

/** Whether this person's word counts in the step that is waited for. Nobody decides for themselves. */
export function mayDecideNow(place: ApprovalPlace, approver: Subject, requesters: readonly Subject[]): boolean {
  const step = currentStep(place)
  if (step === undefined || requesters.some((requester) => sameHuman(approver, requester))) return false
  return isAmong(step, approver) || (place.isEscalated && step.escalate !== null && isAmong(step.escalate.to, approver))
}

/** Whether their word counts in any step, now or after an escalation. */
export function isApprover(approval: Approval, person: Subject): boolean {
  if (approval.kind === 'none') return false
  return approval.steps.some(
    (step) => isAmong(step, person) || (step.escalate !== null && isAmong(step.escalate.to, person)),
  )
}

/** The step that is waited for; undefined when nobody is. */
export function currentStep({ approval, step }: Pick<ApprovalPlace, 'approval' | 'step'>): Step | undefined {
  return approval.kind === 'none' ? undefined : approval.steps[step]
}

/** How many more distinct people the step needs. Counts people, never groups, accounts or clicks. */
export function missingInStep(step: Step, approvers: readonly Subject[]): number {
  const distinct = approvers.filter((one, index) => !approvers.slice(0, index).some((other) => sameHuman(one, other)))
  return Math.max(0, step.people - distinct.length)
}

/** Everybody who may ever decide in a step, where that is a list; undefined where it is a group: who is in it changes. */
export function listedIn({ escalate, ...step }: Step): readonly string[] | undefined {
  const all: readonly Approvers[] = escalate === null ? [step] : [step, escalate.to]
  if (all.some(({ from, allOf }) => from.length + allOf.length > 0)) return undefined
  return [...new Set(all.flatMap(({ named }) => named))]
}

/** Whether some steps need more people than they list together: nobody decides in two. @param besides who cannot decide */
export function asksTooMany(steps: readonly Step[], besides: readonly string[]): boolean {
  const listed = steps.flatMap((step) => {
    const addresses = listedIn(step)?.filter((address) => !besides.includes(address))
    return addresses === undefined ? [] : [{ people: step.people, addresses }]
  })
  const subsets = listed.reduce<(typeof listed)[]>((sets, one) => [...sets, ...sets.map((set) => [...set, one])], [[]])
  return subsets.some(
    (set) => new Set(set.flatMap(({ addresses }) => addresses)).size < set.reduce((sum, { people }) => sum + people, 0),
  )
}

/** A step that asks for some of these groups, as most do. */
export function stepOf(people: number, from: readonly string[]): Step {
  return { people, from, allOf: [], named: [], manager: false, refusals: 1, escalate: null }
}

/** Such as `two of dba or leads, then one of security`. */
export function approvalWords(approval: Approval): string {
  return approval.kind === 'none' ? 'nobody' : approval.steps.map(stepWords).join(', then ')
}

const numbers = ['no one', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']

export function stepWords(step: Step): string {
  return `${numbers[step.people] ?? step.people} of ${approversWords(step)}`
}

export function approversWords({ from, allOf, named, manager, managerAddress }: Approvers): string {
  const addresses = named.filter((address) => address !== managerAddress)
  return [
    ...from,
    ...(allOf.length === 0 ? [] : [`all of ${allOf.join(' and ')}`]),
    ...addresses,
    ...(manager ? [managerAddress === undefined ? 'the manager' : `the manager (${managerAddress})`] : []),
  ].join(' or ')
}
