import { formatDuration } from '../../kernel/durations.ts'
import { timeForPeople, type Instant } from '../../kernel/time.ts'

/** What people read in psql before and while they work. Plain ASCII: terminals and drivers differ. */

export function signInNotice(ask: {
  readonly link: URL
  readonly code: string
  readonly address: string
  readonly what: string
  readonly waitMs: number
}): string {
  return [
    `sign in to reach ${ask.what}`,
    '',
    `    ${ask.link.href}`,
    '',
    `  The page must show the code ${ask.code} and the address ${ask.address}.`,
    `  This connection waits for ${formatDuration(ask.waitMs)} and goes on by itself.`,
    '',
  ].join('\n')
}

export function signedInNotice(personName: string): string {
  return `signed in as ${personName}`
}

export function waitForGrantNotice(ask: {
  readonly link: URL
  readonly what: string
  readonly waitMs: number
}): string {
  return [
    `you have no access to ${ask.what} now; ask for it`,
    '',
    `    ${ask.link.href}`,
    '',
    `  This connection waits for ${formatDuration(ask.waitMs)} and goes on by itself once it is approved.`,
    `  Or connect with options='-c curfew.reason=WHY -c curfew.for=30m'.`,
    '',
  ].join('\n')
}

export function requestFiledNotice(ask: {
  readonly link: URL
  readonly what: string
  readonly waitMs: number
}): string {
  return [
    `your request for ${ask.what} is filed, and waits to be decided`,
    '',
    `    ${ask.link.href}`,
    '',
    `  This connection waits for ${formatDuration(ask.waitMs)} and goes on by itself once it is approved.`,
    '',
  ].join('\n')
}

export function grantedNotice(what: string, until: Instant, now: Instant): string {
  return `access to ${what} until ${timeForPeople(until)} (${formatDuration(until - now)})`
}
