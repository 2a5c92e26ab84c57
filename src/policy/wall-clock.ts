import type { Instant } from '../kernel/time.ts'

/** IANA name, such as `Europe/Berlin`. */
export interface Zoned {
  readonly zone: string
}

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

export interface WallClock {
  /** 1 is Monday. */
  readonly day: number
  /** Since midnight. */
  readonly minute: number
}

/** Asked lately: whoever lists what may be had asks about a few instants and zones again and again, and a calendar takes its time. */
const asked = new Map<string, WallClock>()
const askedMax = 500

/** What a clock on the wall in that zone shows. */
export function wallClock(at: Instant, zone: string): WallClock {
  const key = `${at} ${zone}`
  const known = asked.get(key)
  if (known !== undefined) return known
  const local = zonedTime(at, zone)
  const shown = { day: local.dayOfWeek, minute: local.hour * 60 + local.minute }
  if (asked.size >= askedMax) asked.clear()
  asked.set(key, shown)
  return shown
}

export function zonedTime(at: Instant, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone)
}

export function isZone(zone: string): boolean {
  try {
    zonedTime(0 as Instant, zone)
    return /^[A-Za-z]/.test(zone) // not an offset: those know no summer
  } catch {
    return false // RangeError: nobody knows a zone of that name
  }
}

/** For people, in the zone that they wrote: `Mon 2026-11-23 09:00 (Europe/Berlin)`. */
export function momentIn(at: Instant, zone: string): string {
  const local = zonedTime(at, zone)
  const day = weekdays[local.dayOfWeek - 1]!
  const time = local.toPlainTime().toString({ smallestUnit: 'minute' })
  return `${day[0]!.toUpperCase()}${day.slice(1)} ${local.toPlainDate().toString()} ${time} (${zone})`
}
