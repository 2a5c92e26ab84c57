import type { Approval, Approvers } from '../../policy/approval.ts'
import type { Rules } from '../../policy/rules.ts'
import type { Request } from '../states.ts'
import type { KnownRequest } from './reads.ts'
import type { RowOf } from './shapes.ts'
import { Waits } from './waits.ts'

type Row = RowOf<'requests'>
type Count = 'open' | 'approved' | 'atOnce' | 'refused' | 'calledOff' | 'lapsed'

/** Sums up requests one by one: all of them, by resource, by team and by who was asked to approve. */
export class RequestTally {
  readonly #teams: ReadonlySet<string>
  readonly #lines = new Map<string, Line>()

  /** @param teams groups that are told apart; a person counts in each of theirs. */
  constructor(teams: readonly string[]) {
    this.#teams = new Set(teams)
  }

  add({ request, person }: KnownRequest): void {
    const own = person.groups.filter((group) => this.#teams.has(group))
    this.#line('all', 'all requests').add(request)
    this.#line('resource', request.resource).add(request)
    for (const team of own.length === 0 ? [noTeam] : new Set(own)) this.#line('team', team).add(request)
    for (const group of approverGroups(request.approval)) this.#line('approvers', group).add(request)
  }

  /** Of each kind the most asked first. */
  rows(): readonly Row[] {
    const kinds = ['all', 'resource', 'team', 'approvers']
    return [...this.#lines.values()]
      .map((line) => line.row())
      .toSorted(
        (left, right) =>
          kinds.indexOf(left.by ?? '') - kinds.indexOf(right.by ?? '') ||
          (right.requests ?? 0) - (left.requests ?? 0) ||
          (left.name ?? '').localeCompare(right.name ?? ''),
      )
  }

  #line(by: string, name: string): Line {
    const key = `${by} ${name}`
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    const line = new Line(by, name)
    this.#lines.set(key, line)
    return line
  }
}

const noTeam = '(no team)'

class Line {
  readonly #by: string
  readonly #name: string
  readonly #counts: Record<Count, number> = { open: 0, approved: 0, atOnce: 0, refused: 0, calledOff: 0, lapsed: 0 }
  readonly #waits = new Waits()

  constructor(by: string, name: string) {
    this.#by = by
    this.#name = name
  }

  add(request: Request): void {
    const count = countOf(request)
    this.#counts[count]++
    if (request.state !== 'requested' && (count === 'approved' || count === 'refused')) {
      this.#waits.add(request.closedAt - request.askedAt)
    }
  }

  row(): Row {
    const { approved, refused } = this.#counts
    const requests = Object.values(this.#counts).reduce((sum, one) => sum + one, 0)
    const decided = approved + refused
    return {
      ...{ by: this.#by, name: this.#name, requests, ...this.#counts },
      refusedShare: decided === 0 ? null : refused / decided,
      waitHalfMs: this.#waits.quantile(0.5),
      waitMostMs: this.#waits.quantile(0.9),
      waitLongestMs: this.#waits.quantile(1),
    }
  }
}

/** What needed nobody was approved by nobody, and nobody waited for it. */
function countOf(request: Request): Count {
  if (request.state === 'approved') return isAtOnce(request) ? 'atOnce' : 'approved'
  return ({ requested: 'open', denied: 'refused', cancelled: 'calledOff', lapsed: 'lapsed' } as const)[request.state]
}

function isAtOnce({ approval, kind }: Request): boolean {
  return approval.kind === 'none' || kind === 'break-glass'
}

/** Groups whose word could count, whichever step; also those that are called later. */
function approverGroups(approval: Approval): ReadonlySet<string> {
  if (approval.kind === 'none') return new Set()
  return new Set(
    approval.steps.flatMap((step) => [...groupsOf(step), ...(step.escalate ? groupsOf(step.escalate.to) : [])]),
  )
}

function groupsOf({ from, allOf, named, manager, managerAddress }: Approvers): readonly string[] {
  const isNamed = named.some((address) => address !== managerAddress)
  return [...from, ...allOf, ...(isNamed ? [namedPeople] : []), ...(manager ? [theManager] : [])]
}

const namedPeople = '(named people)'
const theManager = '(the manager)'

/** Every group that a policy names, for those who do not say which groups are teams. */
export function groupsNamed({ policies, denials = [] }: Rules): readonly string[] {
  const named = [
    ...policies.flatMap(({ who, approval }) => [...(who.groups ?? []), ...approverGroups(approval)]),
    ...denials.flatMap(({ who, except }) => [...(who?.groups ?? []), ...except]),
  ]
  return [...new Set(named)].filter((name) => name !== namedPeople && name !== theManager)
}
