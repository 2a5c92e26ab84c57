import type { Instant } from '../kernel/time.ts'
import type { Circumstances, Dates, Weekly } from './rules.ts'
import { wallClock, zonedTime } from './wall-clock.ts'

type Times = Pick<Circumstances, 'when' | 'dates'>

const minutesPerDay = 1440

/** Whether a moment is inside the dates, and inside any of the weekly windows. Absent: always. */
export function isInside({ when, dates }: Times, at: Instant): boolean {
  return insideDates(dates, at) && (when === undefined || when.some((weekly) => insideWeekly(weekly, at)))
}

function insideDates(dates: Dates | undefined, at: Instant): boolean {
  if (dates === undefined) return true
  return (dates.from === null || at >= dates.from) && (dates.to === null || at < dates.to)
}

/** By what the clock on the wall shows: an hour that comes twice is inside twice, one that is skipped never. */
function insideWeekly({ days, fromMinute, toMinute, zone }: Weekly, at: Instant): boolean {
  const { day, minute } = wallClock(at, zone)
  if (fromMinute < toMinute) return days.includes(day) && minute >= fromMinute && minute < toMinute
  const dayBefore = day === 1 ? 7 : day - 1
  return (days.includes(day) && minute >= fromMinute) || (days.includes(dayBefore) && minute < toMinute)
}

/** Until its edge has come, no other one is next. */
const found = new WeakMap<Times, { readonly from: Instant; readonly edge: Instant }>()

/** An instant after `at` before which `isInside` stays as it is, at most two days on; null: it stays for ever. */
export function nextEdge(times: Times, at: Instant): Instant | null {
  const last = found.get(times)
  if (last !== undefined && last.from <= at && at < last.edge) return last.edge
  const edge = findEdge(times, at)
  if (edge !== null) found.set(times, { from: at, edge })
  return edge
}

function findEdge({ when = [], dates }: Times, at: Instant): Instant | null {
  if (dates !== undefined && dates.from !== null && at < dates.from) return dates.from
  if (dates !== undefined && dates.to !== null && at >= dates.to) return null
  const end = dates?.to ?? null
  const weekly = when.flatMap((one) => weeklyEdges(one, at)).filter((edge) => edge > at)
  const edges = end === null ? weekly : [...weekly, end]
  return edges.length === 0 ? null : (Math.min(...edges) as Instant)
}

/** Both edges of each day, twice where the clock shows them twice, and the changes of the clocks themselves. */
function weeklyEdges({ fromMinute, toMinute, zone }: Weekly, at: Instant): Instant[] {
  const now = zonedTime(at, zone)
  const ownEdges = [-1, 0, 1].flatMap((ahead) => {
    const day = now.toPlainDate().add({ days: ahead })
    return [...instantsOf(day, fromMinute, zone), ...instantsOf(day, toMinute, zone)]
  })
  const change = now.getTimeZoneTransition('next')
  return change === null ? ownEdges : [...ownEdges, change.epochMilliseconds as Instant]
}

function instantsOf(day: Temporal.PlainDate, minute: number, zone: string): Instant[] {
  const onDay = minute === minutesPerDay ? day.add({ days: 1 }) : day
  const local = onDay.toPlainDateTime(Temporal.PlainTime.from({ hour: 0 })).add({ minutes: minute % minutesPerDay })
  return (['earlier', 'later'] as const).map(
    (disambiguation) => local.toZonedDateTime(zone, { disambiguation }).epochMilliseconds as Instant,
  )
}
