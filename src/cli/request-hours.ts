import type * as z from 'zod'
import { formatDuration } from '../kernel/durations.ts'
import { readDays, readHours } from '../policy/recurrence.ts'
import { weekdays } from '../policy/wall-clock.ts'
import type { grantList, hours as hoursShape } from '../web/api-schema.ts'
import { asUsage } from './options.ts'
import { forPeople } from './print.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'

type Hours = z.output<typeof hoursShape>
type Grant = z.output<typeof grantList>['grants'][number]

/** Recurring hours, as they are typed. */
export interface HourOptions {
  readonly hours?: Pick<Hours, 'from' | 'to'>
  readonly days?: Hours['days']
  readonly zone?: string
}

export const hoursOption = asUsage((text): Pick<Hours, 'from' | 'to'> => {
  if (readHours(text) === undefined) throw new Error('expected hours such as 09:00-17:00')
  const [from = '', to = ''] = text.split('-').map((part) => part.trim())
  return { from, to }
})

export const daysOption = asUsage((text): Hours['days'] => {
  const days = readDays(text)
  if (days === undefined) throw new Error('expected weekdays, weekend, daily, or days such as mon,wed')
  return days.map((day) => weekdays[day - 1]!)
})

/** @throws CliProblem for days or a zone without hours */
export function hoursOf({ hours, days, zone }: HourOptions): readonly Hours[] | undefined {
  if (hours === undefined) {
    if (days === undefined && zone === undefined) return undefined
    throw new CliProblem('--days and --zone go with --hours', { hint: 'Such as --hours 09:00-17:00.', exitCode: 2 })
  }
  return [{ days: days ?? weekdays.slice(0, 5), ...hours, zone: zone ?? Temporal.Now.timeZoneId() }]
}

/** What there is to know of living access besides its end; mostly nothing. */
export function lifeWords(
  grant: Pick<Grant, 'hours' | 'useBy' | 'firstUsedAt' | 'uses' | 'clock' | 'lengthMs'>,
): string {
  const { hours, useBy, firstUsedAt, uses, clock, lengthMs } = grant
  const parts = [
    hours !== null && `only ${hours.map(hourWords).join(', ')}`,
    uses === 'once' && 'for one session',
    clock === 'first-use' && firstUsedAt === null && `${formatDuration(lengthMs)} from the first use`,
    firstUsedAt === null && useBy !== null && `use it by ${forPeople(useBy)}`,
  ]
  return terminalLine(parts.filter((part) => part !== false).join(', '))
}

function hourWords({ days, from, to, zone }: Hours): string {
  return `${days.join(',')} ${from}-${to} (${zone})`
}
