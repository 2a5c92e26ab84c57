import { formatDuration } from '../kernel/durations.ts'
import type { Instant } from '../kernel/time.ts'
import type { Terms } from './states.ts'

/** What an approver made of a request: `for at most 30 min, as readonly, only the database shop`. Empty: as it was asked for. */
export function termsWords(terms: Terms | null, moment: (at: Instant) => string): string {
  if (terms === null) return ''
  const { lengthMs, startsAt, role, databases, networks } = terms
  return [
    ...(lengthMs === null ? [] : [`for at most ${formatDuration(lengthMs)}`]),
    ...(startsAt === null ? [] : [`not before ${moment(startsAt)}`]),
    ...(role === null ? [] : [`as ${role}`]),
    ...(databases === null
      ? []
      : [`only the ${databases.length === 1 ? 'database' : 'databases'} ${listed(databases)}`]),
    ...(networks === null ? [] : [`only from ${listed(networks)}`]),
  ].join(', ')
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
