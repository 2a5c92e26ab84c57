import { html } from 'hono/html'
import type { Terms } from '../../access/states.ts'
import { formatDuration } from '../../kernel/durations.ts'
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
