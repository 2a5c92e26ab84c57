import type { Instant } from '../kernel/time.ts'

/** IANA name, such as `Europe/Berlin`. */
export interface Zoned {
  readonly zone: string
}

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

/** What a clock on the wall in that zone shows. `day`: 1 is Monday. */
export function wallClock(at: Instant, zone: string): { readonly day: number; readonly minute: number } {
  const local = zonedTime(at, zone)
  return { day: local.dayOfWeek, minute: local.hour * 60 + local.minute }
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
