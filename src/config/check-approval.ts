import { formatDuration } from '../kernel/durations.ts'
import { asksTooMany, listedIn, type Approvers, type Step } from '../policy/approval.ts'
import type { ConfigPath, Finding } from './problems.ts'
import { resolveApprovers, resolveStep } from './resolve-approval.ts'
import type { Salvaged } from './salvage.ts'
import { stepsIn, type PeopleEntry, type StepEntry } from './schema-approval.ts'

type Access = Salvaged['access']

/** Approvals that nobody can give, or that cannot be read in one way only. */
export function approvalFindings({ entries, access }: Pick<Salvaged, 'entries' | 'access'>): readonly Finding[] {
  return entries.flatMap(({ index, policy: { approval } }) => {
    if (approval === undefined || approval === 'none') return []
    const path = ['policies', index, 'approval']
    const ofSteps = stepsIn(approval).flatMap(({ step, path: at }) => [
      ...stepFindings([...path, ...at], step),
      ...escalationFindings([...path, ...at, 'escalate'], step, approval, access),
    ])
    return [
      ...formFindings(path, approval),
      ...lapseFindings(path, approval),
      ...ofSteps,
      ...togetherFindings(path, approval, ofSteps),
    ]
  })
}

/** What can be given, but not always. */
export function approvalNotices({ entries }: Pick<Salvaged, 'entries'>): readonly Finding[] {
  return entries.flatMap(({ index, policy: { approval } }) => {
    if (approval === undefined || approval === 'none') return []
    const path = ['policies', index, 'approval']
    return stepsIn(approval).flatMap(({ step, path: at }) => [
      ...onlyTheManager([...path, ...at, 'manager'], step),
      ...sameAgain([...path, ...at, 'escalate', 'to'], step),
    ])
  })
}

function formFindings(path: ConfigPath, approval: PeopleEntry): readonly Finding[] {
  const [key] = Object.keys(approval).filter((name) => name !== 'steps' && name !== 'lapseAfter')
  if (approval.steps === undefined || key === undefined) return []
  const hint = 'Put it into one of the steps.'
  return [{ path: [...path, key], message: 'it stands beside `steps`', at: 'key', hint }]
}

function lapseFindings(path: ConfigPath, { lapseAfter }: PeopleEntry): readonly Finding[] {
  return lapseAfter === 0
    ? [{ path: [...path, 'lapseAfter'], expected: 'a length of time above 0', message: 'got 0' }]
    : []
}

function stepFindings(path: ConfigPath, step: StepEntry): readonly Finding[] {
  const { people = 1, refusals = 1 } = step
  const own = resolveApprovers(step)
  if (meansNobody(own)) {
    const hint = 'Say whose word counts: groups (`from`, `allOf`), people (`named`) or `manager: true`.'
    return [{ path, message: 'it names nobody', at: 'key', hint }]
  }
  const most = mostPeople(resolveStep(step))
  const few = most === 1 ? 'only one person can' : `only ${most} people can`
  return [
    ...(people > most ? [{ path: [...path, 'people'], message: `${people} must approve, but ${few}` }] : []),
    ...(refusals > most ? [{ path: [...path, 'refusals'], message: `${refusals} must refuse, but ${few}` }] : []),
    ...(people <= most && refusals <= most && refusals > most - people + 1
      ? [tooManyRefusals([...path, 'refusals'], most - people + 1)]
      : []),
  ]
}

/** Nobody here knows how many are in a group. */
function mostPeople(step: Step): number {
  return listedIn(withTheManager(step))?.length ?? Infinity
}

function tooManyRefusals(path: ConfigPath, enough: number): Finding {
  const message = `after ${enough === 1 ? 'one refusal' : `${enough} refusals`} too few are left to approve`
  return { path, message, hint: 'It would neither be approved nor refused. Lower it, or name more people.' }
}

function meansNobody({ from, allOf, named, manager }: Approvers): boolean {
  return from.length + allOf.length + named.length === 0 && !manager
}

/** Whoever that is, it is one more person. */
function withTheManager(step: Step): Step {
  const { escalate } = step
  const named = step.manager || escalate?.to.manager === true ? [...step.named, 'the manager'] : step.named
  return { ...step, named }
}

/** Steps of which each could be done, but not all of them. */
function togetherFindings(path: ConfigPath, { steps }: PeopleEntry, others: readonly Finding[]): readonly Finding[] {
  if (steps === undefined || others.length > 0) return []
  if (
    !asksTooMany(
      steps.map((step) => withTheManager(resolveStep(step))),
      [],
    )
  )
    return []
  const hint = 'Nobody decides twice on one request. Name more people, or a group.'
  return [{ path: [...path, 'steps'], message: 'its steps need more people than they name', at: 'key', hint }]
}

function escalationFindings(
  path: ConfigPath,
  { escalate }: StepEntry,
  { lapseAfter }: PeopleEntry,
  access: Access,
): readonly Finding[] {
  if (escalate === undefined) return []
  const lapseMs = lapseAfter ?? access?.requestFor
  const isLate = lapseMs !== undefined && lapseMs > 0 && escalate.after >= lapseMs
  return [
    ...(meansNobody(resolveApprovers(escalate.to))
      ? [
          {
            path: [...path, 'to'],
            message: 'it names nobody',
            hint: 'Say who is called: groups, people or the manager.',
          },
        ]
      : []),
    ...(escalate.after === 0
      ? [
          {
            ...{ path: [...path, 'after'], expected: 'a length of time above 0', message: 'got 0' },
            hint: 'Whoever decides from the beginning stands in the step itself.',
          },
        ]
      : []),
    ...(isLate ? [tooLate([...path, 'after'], lapseMs, lapseAfter === undefined)] : []),
  ]
}

function tooLate(path: ConfigPath, lapseMs: number, isUsual: boolean): Finding {
  const hint = `Make it shorter, or ${isUsual ? 'set `approval.lapseAfter`' : 'make `lapseAfter` longer'}.`
  return { path, message: `the request lapses before, after ${formatDuration(lapseMs)}`, hint }
}

function onlyTheManager(path: ConfigPath, step: StepEntry): readonly Finding[] {
  const { from, allOf, named, manager } = resolveApprovers(step)
  if (!manager || from.length + allOf.length + named.length > 0) return []
  const hint = 'Name somebody else beside the manager, such as a group in `from`.'
  return [{ path, message: 'whoever has no known manager cannot ask for it', hint }]
}

function sameAgain(path: ConfigPath, step: StepEntry): readonly Finding[] {
  if (step.escalate === undefined) return []
  const [own, to] = [resolveApprovers(step), resolveApprovers(step.escalate.to)]
  const isNew =
    to.from.some((group) => !own.from.includes(group)) ||
    (to.allOf.length > 0 && to.allOf.join('\n') !== own.allOf.join('\n')) ||
    to.named.some((address) => !own.named.includes(address)) ||
    (to.manager && !own.manager)
  return isNew || meansNobody(to) ? [] : [{ path, message: 'it calls only those who are asked already' }]
}
