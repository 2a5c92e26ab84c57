import { timeForPeople } from '../kernel/time.ts'
import type { Circumstances, Dates, Weekly } from './rules.ts'

/** When, from where and on what condition, one part each; none: always, from anywhere. */
export function circumstanceWords(rule: Circumstances): readonly string[] {
  const { when, dates, networks, countries, condition } = rule
  return [
    ...(when === undefined ? [] : [when.map(weeklyWords).join(' or ')]),
    ...(dates === undefined ? [] : [datesWords(dates)]),
    ...(networks === undefined ? [] : [`from ${networks.texts.join(', ')}`]),
    ...(countries === undefined ? [] : [`from ${countries.join(', ')}`]),
    ...(condition === undefined ? [] : [`if ${condition.text.replaceAll(/\s+/g, ' ').trim()}`]),
  ]
}

/** Whether it only sometimes matches those whom it is for. */
export function isConditional({ when, dates, networks, countries, condition }: Circumstances): boolean {
  return [when, dates, networks, countries, condition].some((one) => one !== undefined)
}

const dayNames = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const

/** Such as `Mon-Fri 09:00-17:00 (Europe/Berlin)`. */
export function weeklyWords({ days, fromMinute, toMinute, zone }: Weekly): string {
  return `${daysWords(days)} ${clock(fromMinute)}-${clock(toMinute)} (${zone})`
}

function daysWords(days: readonly number[]): string {
  if (days.length === dayNames.length) return 'daily'
  const runs: number[][] = []
  for (const day of days) {
    const last = runs.at(-1)
    if (last?.at(-1) === day - 1) last.push(day)
    else runs.push([day])
  }
  return runs.map((run) => runWords(run)).join(', ')
}

function runWords(run: readonly number[]): string {
  const names = run.map((day) => dayNames[day - 1]!)
  return names.length > 2 ? `${names[0]}-${names.at(-1)}` : names.join(', ')
}

function clock(minute: number): string {
  const two = (number: number) => String(number).padStart(2, '0')
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}

function datesWords({ from, to }: Dates): string {
  const parts = [from !== null && `from ${timeForPeople(from)}`, to !== null && `until ${timeForPeople(to)}`]
  return parts.filter(Boolean).join(' ')
}
