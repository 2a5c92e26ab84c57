import type { BlockList } from 'node:net'
import type { Instant } from '../kernel/time.ts'
import type { Approval, Approvers } from './approval.ts'
import type { Condition } from './condition.ts'
import type { Country } from './countries.ts'
import type { Zoned } from './wall-clock.ts'

/** Whom a rule is for. All that are present must match; of each list any one. */
export interface Who {
  readonly groups?: readonly string[]
  /** E-mail addresses in lower case. */
  readonly people?: readonly string[]
  /** Name of a claim -> values of which the person has one. */
  readonly claims?: Readonly<Record<string, readonly string[]>>
  /** Names of machines; `*` stands for any characters. */
  readonly machines?: readonly string[]
}

/** Absent fields match everything; all that are present must match. */
export interface What {
  /** Names; `*` stands for any characters. */
  readonly resources: readonly string[] | null
  readonly labels: Readonly<Record<string, string>>
  readonly roles: readonly string[] | null
}

/** Part of a week, by the clock on the wall in `zone`. */
export interface Weekly extends Zoned {
  /** 1 is Monday, 7 Sunday: the day on which it begins. */
  readonly days: readonly number[]
  /** Minutes since midnight; the first inside, 0 to 1439. */
  readonly fromMinute: number
  /** The first outside, 1 to 1440. Not above `fromMinute`: on the day after. */
  readonly toMinute: number
}

/** A stretch of time. Null is open. `to` is the first instant outside. */
export interface Dates {
  readonly from: Instant | null
  readonly to: Instant | null
}

/** From where; the address must be in one of them. */
export interface Networks {
  /** As written, for people. */
  readonly texts: readonly string[]
  readonly list: { readonly v4: BlockList; readonly v6: BlockList }
}

/** When, from where and on what condition something matches. Absent: always, anywhere, unconditionally. */
export interface Circumstances {
  readonly when?: readonly Weekly[]
  readonly dates?: Dates
  readonly networks?: Networks
  /** Codes; the address must be in one of these countries. */
  readonly countries?: readonly string[]
  readonly condition?: Condition
}

/** One policy of the configuration file that allows, checked. */
export interface Policy extends Circumstances {
  readonly name: string
  readonly who: Who
  readonly what: What
  readonly length: { readonly defaultMs: number; readonly mostMs: number }
  readonly reason: 'required' | 'optional'
  /** `pattern` is anchored at both ends. */
  readonly ticket: { readonly pattern: RegExp; readonly link: string | null; readonly required: boolean } | null
  readonly approval: Approval
  /** How long a request waits to be decided; absent: as long as the gateway's settings say. */
  readonly requestMs?: number
  /** What its grants are like; absent: used at any time until they end, and extended as often as somebody approves. */
  readonly grants?: {
    readonly clock: 'start' | 'first-use'
    readonly uses: 'many' | 'once'
    /** Unused for so long after it may be used, a grant is over; null: it may stay unused. */
    readonly unusedMs: number | null
    /** From the start, with all extensions; null: as long as each is approved. */
    readonly totalMs: number | null
    /** The longest stretch of windows that one request may ask for; null: none. */
    readonly recurringMs: number | null
  }
  /** At once, loud, and looked at afterwards by these. Only for whoever asks for that. */
  readonly breakGlass?: { readonly review: Approvers }
}

/** One policy that denies, or a freeze. */
export interface Denial extends Circumstances {
  readonly kind: 'policy' | 'freeze'
  readonly name: string
  /** Null: everybody. */
  readonly who: Who | null
  readonly what: What
  /** Groups that it is not for. */
  readonly except: readonly string[]
  /** Whether it leaves alone what is asked for, or was given, as an emergency. */
  readonly exceptEmergencies?: boolean
  /** What people read. Null: they are not even told that it is there. */
  readonly message: string | null
}

/** Everything that decides. Deny wins, whatever the order; of `policies` the first that matches decides. */
export interface Rules {
  readonly policies: readonly Policy[]
  readonly denials?: readonly Denial[]
  /** Absent: nobody can say where an address is. */
  readonly countryOf?: ((address: string) => Country) | undefined
  /** A condition could not be worked out: it counted as no for a policy that allows, as yes for one that denies. */
  readonly onConditionFailed?: (rule: string, reason: string) => void
}
