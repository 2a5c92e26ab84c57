import type { AuditEvent } from '../audit/event.ts'
import type { AuditStore } from '../audit/store.ts'
import type { Person } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { PersonId } from '../kernel/ids.ts'
import { later, type Clock } from '../kernel/time.ts'
import { reachedResources } from '../policy/reach.ts'
import type { Rules } from '../policy/rules.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import { isStaff } from './deps.ts'
import { createBreather } from './reports/breather.ts'
import type { RuleSet } from './reports/differences.ts'
import { attemptsMost, dryRun, type DryRun } from './reports/dry-run.ts'
import { eventsOf, FailureTally, refusalTypes } from './reports/failed.ts'
import type { Period, ReportReads } from './reports/reads.ts'
import { groupsNamed, RequestTally } from './reports/requests.ts'
import { daysMost, reportShapes, rowsMost, type Report, type ReportName } from './reports/shapes.ts'
import { longTokenMsMin, standing } from './reports/standing.ts'
import { unused } from './reports/unused.ts'
import { UseTally } from './reports/use.ts'
import { withoutAHuman } from './reports/without-a-human.ts'

/** What happened, and what could, summed up for reviewers and operators. */
export interface Reports {
  mayRead(person: Person): boolean
  mayDryRun(person: Person): boolean
  /** @param days how far back from now, where it is about time. @throws Fault NOT_ALLOWED, INPUT_INVALID, RATE_LIMITED */
  read<Name extends ReportName>(person: Person, name: Name, days: number): Promise<Report<Name>>
  /**
   * What other rules would have said to what was asked for, for operators.
   * @throws Fault NOT_ALLOWED, INPUT_INVALID, RATE_LIMITED
   */
  dryRun(person: Person, after: RuleSet, days: number): Promise<DryRun>
}

export interface ReportDeps {
  readonly reads: ReportReads
  readonly audit: Pick<AuditStore, 'search'>
  readonly person: (id: PersonId) => Promise<Person | undefined>
  readonly rules: Rules
  readonly catalogue: Catalogue
  readonly staff: { readonly reviewers: readonly string[]; readonly operators: readonly string[] }
  /** Groups that are told apart; null: all that policies name. */
  readonly teams: readonly string[] | null
  readonly clock: Clock
  /** Runs a task after the input and output that is ready now. */
  readonly soon: (task: () => void) => void
}

/** So many are made at a time; each reads much. */
const atATime = 2
/** Of requests, sessions and refusals; what is older is left out, and the report says so. */
const lookedAtMost = 200_000
const dayMs = 86_400_000

export function createReports(deps: ReportDeps): Reports {
  const { staff, clock } = deps
  const inTurn = createTurns()
  const mayDryRun = (person: Person) => isStaff(person, staff.operators)
  const mayRead = (person: Person) => isStaff(person, [...staff.reviewers, ...staff.operators])
  return {
    mayRead,
    mayDryRun,
    async read(person, name, days) {
      if (!mayRead(person)) throw new Fault('NOT_ALLOWED', 'Reports are for reviewers and operators.')
      const period = periodOf(clock, days)
      const made = await inTurn(() => makers[name](deps, period))
      return { name, days: reportShapes[name].isOverTime ? days : null, madeAt: period.to, ...made }
    },
    async dryRun(person, after, days) {
      if (!mayDryRun(person)) throw new Fault('NOT_ALLOWED', 'Dry runs are for operators.')
      const period = periodOf(clock, days)
      return inTurn(() => run(deps, after, days, period))
    },
  }
}

/** @throws Fault INPUT_INVALID */
function periodOf(clock: Clock, days: number): Period {
  if (!Number.isSafeInteger(days) || days < 1 || days > daysMost) {
    throw new Fault('INPUT_INVALID', `A report looks back 1 to ${daysMost} days.`)
  }
  const to = clock.now()
  return { from: later(to, -days * dayMs), to }
}

function createTurns() {
  let running = 0
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= atATime)
      throw new Fault('RATE_LIMITED', 'Other reports are being made.', { hint: 'Try again in a moment.' })
    running++
    try {
      return await work()
    } finally {
      running--
    }
  }
}

type Made<Name extends ReportName> = Pick<Report<Name>, 'rows' | 'isCut'>
type Makers = { readonly [Name in ReportName]: (deps: ReportDeps, period: Period) => Promise<Made<Name>> }

const makers: Makers = {
  'without-a-human': async ({ rules, catalogue, reads }) => {
    const rows = await withoutAHuman(rules, catalogue, reads.people())
    return { rows: rows.slice(0, rowsMost), isCut: rows.length > rowsMost }
  },
  standing: async ({ reads }, { to }) =>
    standing(reads.livingGrants(), await reads.longTokens(to, longTokenMsMin, rowsMost), to),
  unused: ({ reads, rules, catalogue }, period) => unused(reads, rules, catalogue, period),
  requests: async (deps, period) => {
    const tally = new RequestTally(deps.teams ?? groupsNamed(deps.rules))
    const isCut = await tallied(deps, deps.reads.requests(period), tally)
    return { rows: tally.rows().slice(0, rowsMost), isCut }
  },
  failed: async (deps, period) => {
    const tally = new FailureTally()
    let isCut = false
    for (const type of refusalTypes) isCut = (await tallied(deps, eventsOf(deps.audit, type, period), tally)) || isCut
    return { rows: tally.rows(), isCut: isCut || tally.isCut }
  },
  use: async (deps, period) => {
    const tally = new UseTally(period.to)
    const isCut = await tallied(deps, deps.reads.sessions(period), tally)
    return { rows: tally.rows(), isCut: isCut || tally.isCut }
  },
}

/** @returns whether there was more than is looked at. */
async function tallied<Row>(
  { clock, soon }: ReportDeps,
  pages: AsyncIterable<readonly Row[]>,
  tally: { add(row: Row): void },
): Promise<boolean> {
  const breathe = createBreather(clock, soon)
  let left = lookedAtMost
  for await (const page of pages) {
    for (const row of page.slice(0, left)) tally.add(row)
    left -= page.length
    if (left < 0) return true
    await breathe()
  }
  return false
}

function run(deps: ReportDeps, after: RuleSet, days: number, period: Period): Promise<DryRun> {
  const { rules, catalogue, reads, clock, soon } = deps
  const { onConditionFailed: _, ...quiet } = rules
  const { countryOf } = rules
  const sets = {
    before: { rules: quiet, resources: reachedResources(catalogue.resources) },
    after: { ...after, rules: { ...after.rules, ...(countryOf !== undefined && { countryOf }) } },
  }
  const sources = {
    requests: reads.requests(period),
    attempts: attempts(deps, period),
    grants: reads.livingGrants(),
    person: createPersonCache(deps.person),
  }
  return dryRun(sets, sources, { days, now: period.to, breathe: createBreather(clock, soon) })
}

async function* attempts({ audit }: ReportDeps, period: Period): AsyncGenerator<readonly AuditEvent[]> {
  for (const type of ['request.refused', 'session.refused'] as const) yield* eventsOf(audit, type, period)
}

/** One person fails often. */
function createPersonCache(person: ReportDeps['person']): ReportDeps['person'] {
  const known = new Map<PersonId, Person | undefined>()
  return async (id) => {
    if (!known.has(id) && known.size < attemptsMost) known.set(id, await person(id))
    return known.get(id)
  }
}
