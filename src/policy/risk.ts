import { formatDuration } from '../kernel/durations.ts'
import type { Instant } from '../kernel/time.ts'
import type { Country } from './countries.ts'
import { networkAround } from './networks.ts'
import { wallClock, type Zoned } from './wall-clock.ts'

/** Every kind of factor, in the order in which they are shown. Names are for good: policies and programs use them. */
export const riskFactorCodes = [
  'first-time',
  'new-country',
  'new-network',
  'unusual-hour',
  'longer-than-usual',
  'sensitive',
  'refused-lately',
  'failed-lately',
] as const
export type RiskFactorCode = (typeof riskFactorCodes)[number]

/** One fact about a request that makes it riskier, and how much. */
export interface RiskFactor {
  readonly code: RiskFactorCode
  /** One sentence with the facts, without a full stop: `First time on prod-db`. */
  readonly label: string
  /** 1 to 100. */
  readonly weight: number
}

export const riskLevels = ['low', 'medium', 'high'] as const
export type RiskLevel = (typeof riskLevels)[number]

/** What speaks for looking twice at a request. Worked out once, when it is filed. */
export interface Risk {
  /** 0 to 100: the factors' weights together, at most 100. */
  readonly score: number
  readonly level: RiskLevel
  readonly factors: readonly RiskFactor[]
}

/** What is known of a person from before the request. Whoever reads it bounds how far back, and how many. */
export interface History {
  /** Lengths of grants on the resource that began, whichever role. */
  readonly lengthsThereMs: readonly number[]
  /** When their sessions began, on any resource. */
  readonly sessionsAt: readonly Instant[]
  /** From which they asked or worked. */
  readonly addresses: readonly string[]
  /** Requests of theirs that somebody refused lately. */
  readonly refusals: number
  /** Sign-ins, tokens, requests and connections of theirs that were turned away lately. */
  readonly failures: number
}

/** What is asked for, as far as risk hangs on it. */
export interface RiskyWish {
  readonly resource: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly lengthMs: number
  /** When it would begin. */
  readonly at: Instant
  /** Undefined: nobody knows from where. */
  readonly address: string | undefined
}

export interface RiskSettings extends Zoned {
  /** Label -> values that make a resource sensitive. */
  readonly sensitive: Readonly<Record<string, readonly string[]>>
  /** The least scores of these levels. */
  readonly levels: { readonly medium: number; readonly high: number }
  /** 0: does not count, and is not told. */
  readonly weights: Readonly<Record<RiskFactorCode, number>>
}

export const riskDefaults: RiskSettings = {
  zone: 'UTC',
  sensitive: { sensitivity: ['high'] },
  levels: { medium: 30, high: 60 },
  weights: {
    'first-time': 20,
    'new-country': 25,
    'new-network': 15,
    'unusual-hour': 15,
    'longer-than-usual': 10,
    sensitive: 20,
    'refused-lately': 10,
    'failed-lately': 5,
  },
}

/** So many refusals or failures count, each with its weight. */
const countedMax = 3
/** With fewer sessions than this nobody knows somebody's hours. */
const habitSessionsMin = 5
/** With fewer grants than this nobody knows how long is usual. */
const habitGrantsMin = 3
const hourMinutes = 60
const dayMinutes = 1440

/**
 * How risky a wish is, and why. Pure: the same history and wish give the same risk, in whatever order things happened.
 * @param countryOf absent: countries are not looked at.
 */
export function riskOf(
  wish: RiskyWish,
  history: History,
  settings: RiskSettings,
  countryOf?: (address: string) => Country,
): Risk {
  const found = factsOf(wish, history, settings, countryOf)
  const factors = riskFactorCodes.flatMap((code) => {
    const fact = found[code]
    const weight = fact === undefined ? 0 : Math.min(scoreMax, settings.weights[code] * (fact.times ?? 1))
    return fact === undefined || weight === 0 ? [] : [{ code, label: fact.label, weight }]
  })
  const score = Math.min(
    scoreMax,
    factors.reduce((sum, { weight }) => sum + weight, 0),
  )
  return { score, level: levelOf(score, settings), factors }
}

const scoreMax = 100

export function levelOf(score: number, { levels }: Pick<RiskSettings, 'levels'>): RiskLevel {
  if (score >= levels.high) return 'high'
  return score >= levels.medium ? 'medium' : 'low'
}

/** `times`: how often it counts; once when absent. */
type Fact = { readonly label: string; readonly times?: number } | undefined

function factsOf(
  wish: RiskyWish,
  history: History,
  settings: RiskSettings,
  countryOf: ((address: string) => Country) | undefined,
): Record<RiskFactorCode, Fact> {
  return {
    'first-time': firstTime(wish, history),
    'new-country': countryOf && newCountry(wish, history, countryOf),
    'new-network': newNetwork(wish, history),
    'unusual-hour': unusualHour(wish, history, settings),
    'longer-than-usual': longerThanUsual(wish, history),
    sensitive: sensitive(wish, settings),
    'refused-lately': counted(history.refusals, 'request was refused', 'requests were refused', '30 days'),
    'failed-lately': counted(history.failures, 'attempt was turned away', 'attempts were turned away', '24 hours'),
  }
}

function firstTime({ resource }: RiskyWish, { lengthsThereMs }: History): Fact {
  return lengthsThereMs.length === 0 ? { label: `First time on ${resource.name}` } : undefined
}

/** An address inside has no country, and is not looked at. */
function newCountry(wish: RiskyWish, history: History, countryOf: (address: string) => Country): Fact {
  const { address } = wish
  const country = address === undefined ? 'none' : countryOf(address)
  if (country === 'none') return undefined
  // Nobody can say whether that country is new to them, but the network may be known.
  if (country === 'unknown')
    return newNetwork(wish, history) && { label: `Nobody can say in which country ${address} is` }
  return history.addresses.some((one) => countryOf(one) === country)
    ? undefined
    : { label: `First time from ${country}` }
}

function newNetwork({ address }: RiskyWish, { addresses }: History): Fact {
  if (address === undefined) return undefined
  const network = networkAround(address)
  return addresses.some((one) => networkAround(one) === network)
    ? undefined
    : { label: `First time from the network ${network}` }
}

function unusualHour({ at }: RiskyWish, { sessionsAt }: History, { zone }: RiskSettings): Fact {
  if (sessionsAt.length < habitSessionsMin) return undefined
  const minute = wallClock(at, zone).minute
  const isNear = (one: Instant) => apart(wallClock(one, zone).minute, minute) <= hourMinutes
  if (sessionsAt.some(isNear)) return undefined
  return { label: `Begins at ${clock(minute)} (${zone}); of ${sessionsAt.length} sessions none began near that hour` }
}

/** Minutes between two times on the face of a clock, the short way round. */
function apart(left: number, right: number): number {
  const minutes = Math.abs(left - right)
  return Math.min(minutes, dayMinutes - minutes)
}

function clock(minute: number): string {
  const two = (number: number) => String(number).padStart(2, '0')
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}

/** More than twice the middle of what they had there. */
function longerThanUsual({ lengthMs, resource }: RiskyWish, { lengthsThereMs }: History): Fact {
  if (lengthsThereMs.length < habitGrantsMin) return undefined
  const inOrder = lengthsThereMs.toSorted((left, right) => left - right)
  const usualMs = inOrder[Math.floor(inOrder.length / 2)]!
  if (lengthMs <= 2 * usualMs) return undefined
  return { label: `For ${formatDuration(lengthMs)}; usual for them on ${resource.name} is ${formatDuration(usualMs)}` }
}

function sensitive({ resource }: RiskyWish, settings: RiskSettings): Fact {
  const marks = Object.entries(settings.sensitive)
    .filter(([label, values]) => Object.hasOwn(resource.labels, label) && values.includes(resource.labels[label]!))
    .map(([label]) => `${label}: ${resource.labels[label]}`)
    .toSorted()
  return marks.length === 0 ? undefined : { label: `${resource.name} is sensitive (${marks.join(', ')})` }
}

function counted(count: number, one: string, many: string, within: string): Fact {
  if (count === 0) return undefined
  return { label: `${count} ${count === 1 ? one : many} within ${within}`, times: Math.min(count, countedMax) }
}
