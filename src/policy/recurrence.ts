import { formatDuration } from '../kernel/durations.ts'
import { Fault } from '../kernel/fault.ts'
import type { Policy, Weekly } from './rules.ts'
import { isZone } from './wall-clock.ts'

export const windowsMax = 10
const dayMinutes = 1440
const weekMinutes = 7 * dayMinutes

/**
 * Holds a wish for recurring hours against the policy: `grants.recurring` bounds the stretch, `for.most` each time.
 * @throws Fault NOT_ALLOWED where the policy does not offer it, LENGTH_REFUSED, INPUT_INVALID
 */
export function checkRecurrence(policy: Policy, lengthMs: number, windows: readonly Weekly[]): void {
  const recurringMs = policy.grants?.recurringMs ?? null
  if (recurringMs === null) {
    throw new Fault('NOT_ALLOWED', `The policy "${policy.name}" does not give access for recurring hours.`, {
      hint: 'Ask for one length of time.',
    })
  }
  if (!Number.isSafeInteger(lengthMs) || lengthMs < 1000 || lengthMs > recurringMs) {
    throw new Fault('LENGTH_REFUSED', 'The policy does not allow recurring hours for so long.', {
      hint: `Ask for at most ${formatDuration(recurringMs)}.`,
    })
  }
  const longestMs = longestMinutes(windows) * 60_000
  if (longestMs > policy.length.mostMs) {
    throw new Fault('LENGTH_REFUSED', `${formatDuration(longestMs)} at a time is longer than the policy allows.`, {
      hint: `Ask for hours of at most ${formatDuration(policy.length.mostMs)} each.`,
    })
  }
}

/** @throws Fault INPUT_INVALID for what is not hours at all */
export function checkWindows(windows: readonly Weekly[]): void {
  if (windows.length === 0 || windows.length > windowsMax) throw invalid(`Give 1 to ${windowsMax} windows.`)
  for (const { days, fromMinute, toMinute, zone } of windows) {
    if (!isZone(zone)) throw invalid('There is no such time zone.', 'Such as Europe/Berlin.')
    if (days.length === 0 || days.some((day) => !isWithin(day, 1, 7))) throw invalid('Name the days.')
    if (!isWithin(fromMinute, 0, dayMinutes - 1) || !isWithin(toMinute, 1, dayMinutes)) throw invalid('Give the hours.')
    if (fromMinute === toMinute) throw invalid('The hours end where they begin.', 'A whole day is 00:00-24:00.')
  }
  // How long windows last together can only be said on one clock.
  if (new Set(windows.map(({ zone }) => zone)).size > 1) throw invalid('Give all hours in one time zone.')
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most
}

function invalid(message: string, hint = 'Such as weekdays from 09:00 to 17:00.'): Fault {
  return new Fault('INPUT_INVALID', message, { hint })
}

/** The longest time at a stretch that is inside any of them, over the end of the week, too. */
export function longestMinutes(windows: readonly Weekly[]): number {
  const inside = new Uint8Array(weekMinutes)
  for (const { days, fromMinute, toMinute } of windows) {
    const lengthMinutes = toMinute > fromMinute ? toMinute - fromMinute : toMinute + dayMinutes - fromMinute
    for (const day of days) {
      const first = (day - 1) * dayMinutes + fromMinute
      for (let minute = 0; minute < lengthMinutes; minute++) inside[(first + minute) % weekMinutes] = 1
    }
  }
  let [longest, run] = [0, 0]
  for (let minute = 0; minute < 2 * weekMinutes; minute++) {
    run = inside[minute % weekMinutes] === 1 ? run + 1 : 0
    longest = Math.max(longest, run)
  }
  return longest
}

/** In one order, so that the same hours are the same request. */
export function plainWindows(windows: readonly Weekly[]): readonly Weekly[] {
  return windows.map(({ days, fromMinute, toMinute, zone }) => ({
    days: [...new Set(days)].toSorted((left, right) => left - right),
    ...{ fromMinute, toMinute, zone },
  }))
}

/** What people write as days: `weekdays`, `weekend`, `daily`, or `mon,wed`. Undefined for anything else. */
export function readDays(text: string): readonly number[] | undefined {
  const words = text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
  const days = words.map((word) => namedDays[word])
  if (words.length === 0 || days.includes(undefined)) return undefined
  return [...new Set(days.flatMap((one) => one ?? []))].toSorted((left, right) => left - right)
}

const namedDays: Readonly<Record<string, readonly number[]>> = {
  ...{ weekdays: [1, 2, 3, 4, 5], weekend: [6, 7], daily: [1, 2, 3, 4, 5, 6, 7] },
  ...{ mon: [1], tue: [2], wed: [3], thu: [4], fri: [5], sat: [6], sun: [7] },
}

/** `09:00-17:00` as minutes since midnight. Undefined for anything else. */
export function readHours(text: string): { readonly fromMinute: number; readonly toMinute: number } | undefined {
  const [, from, to] = /^\s*(\d\d:\d\d)\s*-\s*(\d\d:\d\d)\s*$/.exec(text) ?? []
  const [fromMinute, toMinute] = [readClock(from ?? ''), readClock(to ?? '')]
  if (fromMinute === undefined || toMinute === undefined || fromMinute === dayMinutes) return undefined
  return { fromMinute, toMinute: toMinute === 0 ? dayMinutes : toMinute }
}

/** `09:00` */
export function clockText(minute: number): string {
  const two = (number: number) => String(number).padStart(2, '0')
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}

/** `09:00` as minutes since midnight; `24:00` is the end of the day. Undefined for anything else. */
export function readClock(text: string): number | undefined {
  const [, hours = '', minutes = ''] = /^([01]\d|2[0-4]):([0-5]\d)$/.exec(text) ?? []
  const minute = Number(hours) * 60 + Number(minutes)
  return hours === '' || minute > dayMinutes ? undefined : minute
}
