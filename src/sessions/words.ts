import { formatDuration } from '../kernel/durations.ts'
import type { Fault } from '../kernel/fault.ts'
import type { WarningCause } from './admission.ts'

/** What people read in their terminal while they work. Plain ASCII: terminals and drivers differ. */

/** @param extendLink where more time is asked for; undefined: nobody can extend it. */
export function warningText(what: string, leftMs: number, cause: WarningCause, extendLink?: URL): string {
  const left = formatDuration(leftMs)
  if (cause === 'shutdown') return `the gateway stops in ${left}; this session ends with it`
  const more = cause === 'deadline' && extendLink !== undefined ? `. For more time: ${extendLink.href}` : ''
  return `your access to ${what} ends in ${left}; this session ends with it${more}`
}

export function longerText(what: string, until: string): string {
  return `your access to ${what} now lasts until ${until}`
}

export function cutText({ message, hint }: Fault): string {
  return `${message} ${hint}`
}
