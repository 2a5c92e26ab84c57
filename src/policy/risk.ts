import type { Instant } from '../kernel/time.ts'

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

/** What is known of a person from before the request. Counts and lists are bounded by who reads them. */
export interface History {
  /** Instants at which grants on the resource began, whichever role. */
  readonly grantsThere: readonly { readonly startedAt: Instant; readonly lengthMs: number }[]
  /** When their sessions began, on any resource. */
  readonly sessionsAt: readonly Instant[]
  /** Addresses that they worked or asked from. */
  readonly addresses: readonly string[]
  /** Requests of theirs that somebody refused, of the last 30 days. */
  readonly refusals: number
  /** Sign-ins and connections of theirs that were refused, of the last 24 hours. */
  readonly failures: number
}
