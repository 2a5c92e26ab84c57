import { formatDuration } from '../kernel/durations.ts'
import type { Fault } from '../kernel/fault.ts'
import type { WarningCause } from './admission.ts'

/** What people read in their terminal while they work. Plain ASCII: terminals and drivers differ. */

export function warningText(what: string, leftMs: number, cause: WarningCause): string {
  const left = formatDuration(leftMs)
  return cause === 'deadline'
    ? `your access to ${what} ends in ${left}; this session ends with it`
    : `the gateway stops in ${left}; this session ends with it`
}

export function cutText({ message, hint }: Fault): string {
  return `${message} ${hint}`
}
