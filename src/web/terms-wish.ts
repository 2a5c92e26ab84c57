import { noTerms } from '../access/terms.ts'
import type { Terms } from '../access/states.ts'
import { parseDurationMs } from '../kernel/durations.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import type { Fields } from './forms.ts'

/** What an approver typed to make less of a request, as it was typed. */
export interface TypedTerms {
  /** Chosen from the list; empty: as asked for. */
  readonly length: string
  /** Typed; goes before what is chosen. */
  readonly otherLength: string
  readonly startsAt: string
  readonly zone: string
  readonly role: string
  /** Those that are ticked; null: nobody was asked. */
  readonly databases: readonly string[] | null
  readonly networks: string
}

const charsMax = { length: 10, time: 64, name: 64, networks: 1000 } as const

/** @param offered databases that could be ticked. @throws Fault INPUT_INVALID */
export function readTypedTerms(fields: Fields, offered: readonly string[]): TypedTerms {
  return {
    length: fields.text('for', charsMax.length),
    otherLength: fields.text('forOther', charsMax.length),
    startsAt: fields.text('startsAt', charsMax.time),
    zone: fields.text('zone', charsMax.time),
    role: fields.text('role', charsMax.name),
    databases: fields.flag('choosesDatabases') ? offered.filter((name) => fields.flag(databaseField(name))) : null,
    networks: fields.text('networks', charsMax.networks),
  }
}

/** A form sends each tick under a name of its own. */
export function databaseField(name: string): string {
  return `database ${name}`
}

/** Null: as it was asked for. @throws Fault INPUT_INVALID, LENGTH_REFUSED */
export function termsOf(typed: TypedTerms, offered: readonly string[]): Terms | null {
  const terms: Terms = {
    lengthMs: lengthOf(typed),
    startsAt: typed.startsAt === '' ? null : instantIn(typed.startsAt, typed.zone),
    role: typed.role === '' ? null : typed.role,
    databases: typed.databases === null || typed.databases.length === offered.length ? null : typed.databases,
    networks: typed.networks === '' ? null : typed.networks.split(/[\s,;]+/).filter(Boolean),
  }
  return Object.entries(noTerms).every(([name]) => terms[name as keyof Terms] === null) ? null : terms
}

function lengthOf({ length, otherLength }: TypedTerms): number | null {
  const text = otherLength === '' ? length : otherLength.replaceAll(' ', '').toLowerCase()
  if (text === '') return null
  const lengthMs = parseDurationMs(text.replace(/min$/, 'm'))
  if (lengthMs !== undefined) return lengthMs
  throw new Fault('LENGTH_REFUSED', `“${otherLength}” is no length of time.`, { hint: 'Such as 45m or 2h.' })
}

/** `2026-11-22T14:30`, as a `datetime-local` input sends it, in an IANA zone. */
function instantIn(local: string, zone: string): Instant {
  try {
    return Temporal.PlainDateTime.from(local).toZonedDateTime(zone).epochMilliseconds as Instant
  } catch (cause) {
    throw new Fault('INPUT_INVALID', 'That start is not a date and time.', { cause, hint: 'Such as 2026-11-22 14:30.' })
  }
}
