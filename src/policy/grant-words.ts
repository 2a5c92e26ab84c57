import { formatDuration } from '../kernel/durations.ts'
import { weeklyWords } from './circumstance-words.ts'
import type { Policy, Weekly } from './rules.ts'

/** What grants are like where that is not usual: `from the first use`, `for one session`. */
export function grantWords(grants: Policy['grants']): readonly string[] {
  if (grants === undefined) return []
  const { clock, uses, unusedMs, totalMs, recurringMs } = grants
  const words = [
    clock === 'first-use' && 'from the first use',
    uses === 'once' && 'for one session',
    unusedMs !== null && `unused at most ${formatDuration(unusedMs)}`,
    totalMs !== null && `with extensions ${formatDuration(totalMs)}`,
    recurringMs !== null && `recurring for up to ${formatDuration(recurringMs)}`,
  ]
  return words.filter((word) => word !== false)
}

/** Such as `Mon-Fri 09:00-17:00 (Europe/Berlin)`. */
export function windowsWords(windows: readonly Weekly[]): string {
  return windows.map(weeklyWords).join(', ')
}
