import { html } from 'hono/html'
import type { Terms } from '../../access/states.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { Weekly } from '../../policy/rules.ts'
import type { Html } from '../context.ts'
import type { Show } from './show.ts'

/** What is left of what was asked for: `for 30 min, only shop, only from 10.0.0.0/8`. Nothing when all of it is. */
export function termsWords(show: Show, { lengthMs, startsAt, role, databases, networks }: Terms): Html | false {
  const parts: readonly (Html | string)[] = [
    ...(lengthMs === null ? [] : [`for ${formatDuration(lengthMs)}`]),
    ...(startsAt === null ? [] : [html`not before ${show.moment(startsAt)}`]),
    ...(role === null ? [] : [`as ${role}`]),
    ...(databases === null ? [] : [`only ${databases.join(', ')}`]),
    ...(networks === null ? [] : [`only from ${networks.join(', ')}`]),
  ]
  return parts.length > 0 && html`${parts.map((part, index) => html`${index > 0 && ', '}${part}`)}`
}

const dayNames = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

/** `Mon to Fri 09:00–17:00 (Europe/Berlin)` */
export function windowsWords(windows: readonly Weekly[]): string {
  return windows
    .map(
      ({ days, fromMinute, toMinute, zone }) => `${daysWords(days)} ${clock(fromMinute)}–${clock(toMinute)} (${zone})`,
    )
    .join('; ')
}

function daysWords(days: readonly number[]): string {
  const inOrder = [...new Set(days)].toSorted((left, right) => left - right)
  const [first, last] = [inOrder[0] ?? 1, inOrder.at(-1) ?? 7]
  if (inOrder.length === 7) return 'daily'
  const isRow = inOrder.length > 2 && last - first === inOrder.length - 1
  if (isRow) return `${nameOf(first)} to ${nameOf(last)}`
  return inOrder.map(nameOf).join(', ')
}

function nameOf(day: number): string {
  return dayNames[day - 1] ?? ''
}

function clock(minute: number): string {
  const two = (number: number) => String(number).padStart(2, '0')
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}
