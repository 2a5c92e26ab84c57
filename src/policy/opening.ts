import { later, type Instant } from '../kernel/time.ts'
import type { Circumstances, Rules } from './rules.ts'
import { nextEdge } from './times.ts'
import { placed, weighDenial, weighPolicy, type Situation } from './weigh.ts'

const quarterMs = 15 * 60_000
const dayMs = 86_400_000
/** A weekly window can miss one week by a change of the clocks, so two are looked at, counted from the next date. */
const lookedAheadMs = 15 * dayMs
/** Whatever the rules are, looking ahead ends. */
const stepsMax = 3000

/** The first instant after `at` at which this is allowed, everything else being as it is; null: none is in sight. */
export function opening(rules: Rules, situation: Situation, at: Instant): Instant | null {
  const parts = timedParts(rules, situation)
  const next = edgeFinder(parts)
  let horizon = later(at, lookedAheadMs)
  let edge: Instant | null = at
  for (let step = 0; step < stepsMax; step++) {
    edge = deniedUntil(rules, { ...situation, at: edge }) ?? next(edge)
    if (edge === null) return null
    if (isFixed(parts, edge)) horizon = Math.max(horizon, later(edge, lookedAheadMs)) as Instant
    if (edge > horizon) return null
    if (isOpen(rules, { ...situation, at: edge })) return edge
  }
  return null
}

/** Nothing opens within the dates of a denial that knows no weekly windows; skips the days of a long freeze. */
function deniedUntil({ denials = [] }: Rules, situation: Situation): Instant | null {
  const standing = denials.filter(
    (denial) =>
      denial.when === undefined && denial.condition === undefined && weighDenial(denial, situation).misses === null,
  )
  const ends = standing.map(({ dates }) => dates?.to ?? null).filter((to) => to !== null)
  return ends.length === 0 ? null : (Math.max(...ends) as Instant)
}

/** How far ahead a session's end is looked for. */
const foreseenMsMax = 8 * dayMs

/**
 * The first instant after `at`, and before `until`, at which this is allowed no longer, everything else being as it is.
 * @param rules of policies only the one that gave it.
 * @returns `closesAt` null: not before `lookedUntil`; look again then.
 */
export function closing(
  rules: Rules,
  asked: Situation,
  at: Instant,
  until: Instant,
): { readonly closesAt: Instant | null; readonly lookedUntil: Instant } {
  const situation = placed(rules, asked)
  const end = Math.min(until, later(at, foreseenMsMax)) as Instant
  let steps = 0
  for (const edge of edgesOf(timedParts(rules, situation), at)) {
    if (edge >= end) return { closesAt: null, lookedUntil: end }
    if (!isOpen(rules, { ...situation, at: edge })) return { closesAt: edge, lookedUntil: edge }
    if (++steps === stepsMax) return { closesAt: null, lookedUntil: edge }
  }
  return { closesAt: null, lookedUntil: end }
}

/** Instants at which something may change, in order, and bounded in number. */
function* edgesOf(parts: readonly Circumstances[], from: Instant): Generator<Instant> {
  const next = edgeFinder(parts)
  let at: Instant | null = from
  for (let step = 0; step < stepsMax; step++) {
    at = next(at)
    if (at === null) return
    yield at
  }
}

/** Rules that could speak of this at some time. */
function timedParts({ policies, denials = [] }: Rules, situation: Situation): readonly Circumstances[] {
  const { at: _, ...ever } = situation
  const about = policies.filter((policy) => weighPolicy(policy, ever).misses === null)
  const against = denials.filter(
    (denial) => !['what', 'who', 'emergency'].includes(weighDenial(denial, ever).misses ?? ''),
  )
  return [...about, ...against]
}

/** Asked about later and later instants: a calendar is asked again only when the edge that it named has come. */
function edgeFinder(parts: readonly Circumstances[]): (at: Instant) => Instant | null {
  const known = new Map<Circumstances, Instant | null>()
  const edgeOf = (part: Circumstances, at: Instant) => {
    const last = known.get(part)
    if (last === null || (last !== undefined && last > at)) return last
    const edge = nextEdge(part, at)
    known.set(part, edge)
    return edge
  }
  const looksAtTime = parts.some(({ condition }) => condition?.looksAtTime === true)
  return (at) => {
    const quarter = ((Math.floor(at / quarterMs) + 1) * quarterMs) as Instant
    const edges = parts.map((part) => edgeOf(part, at)).filter((edge) => edge !== null)
    if (looksAtTime) edges.push(quarter)
    return edges.length === 0 ? null : (Math.min(...edges) as Instant)
  }
}

function isFixed(parts: readonly Circumstances[], at: Instant): boolean {
  return parts.some(({ dates }) => dates?.from === at || dates?.to === at)
}

function isOpen({ policies, denials = [] }: Rules, situation: Situation): boolean {
  return (
    policies.some((policy) => weighPolicy(policy, situation).misses === null) &&
    !denials.some((denial) => weighDenial(denial, situation).misses === null)
  )
}
