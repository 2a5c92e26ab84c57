import { approvalWords } from '../../policy/approval.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { Fault } from '../../kernel/fault.ts'
import { timeForPeople, type Instant } from '../../kernel/time.ts'
import type { Approval } from '../../policy/approval.ts'
import type { Policy } from '../../policy/rules.ts'
import type { Wanted } from './conversation.ts'

/** What people read over SSH. Plain ASCII: terminals and programs differ, and anything else could move a cursor. */

const lookalikes: Readonly<Record<string, string>> = {
  '\u{2018}': "'",
  '\u{2019}': "'",
  '\u{201c}': '"',
  '\u{201d}': '"',
  '\u{2013}': '-',
  '\u{2014}': '-',
}

/** Printable ASCII and line feeds; accents are dropped, the rest becomes `?`. */
export function asciiText(text: string): string {
  return text
    .normalize('NFKD')
    .replaceAll(/[\u{2013}\u{2014}\u{2018}\u{2019}\u{201c}\u{201d}]/gu, (mark) => lookalikes[mark]!)
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^\x20-\x7e\n]/gu, '?')
}

/** The same in one line. */
export function asciiLine(text: string): string {
  return asciiText(text.replaceAll(/\s+/g, ' '))
}

export function refusalText({ message, hint }: Fault): string {
  return `curfew: ${message}\ncurfew: ${hint}`
}

export interface SignInAsk {
  readonly link: URL
  readonly code: string
  readonly address: string
  readonly wanted: Wanted
  readonly keyFingerprint: string | null
  readonly waitMs: number
}

export function signInTitle({ wanted }: SignInAsk): string {
  return `Sign in to reach ${wanted.kind === 'session' ? whatText(wanted.resource, wanted.role) : 'the gateway'}`
}

export function signInText({ link, code, address, keyFingerprint, waitMs }: SignInAsk): string {
  const key = keyFingerprint === null ? [] : [`  and the key ${keyFingerprint}.`]
  return [
    '',
    `    ${link.href}`,
    '',
    `  The page must show the code ${code}${key.length > 0 ? ', ' : ' and '}the address ${address}${key.length > 0 ? '' : '.'}`,
    ...key,
    ...(keyFingerprint === null ? ['  You offered no key to remember, so the next connection asks again.'] : []),
    `  This connection waits for ${formatDuration(waitMs)} and goes on by itself.`,
    '',
  ].join('\n')
}

export function signedInText(personName: string): string {
  return `curfew: signed in as ${personName}`
}

/** Stands above the link in a terminal, and is the last that a program reads which cannot show one. */
export function keyUnknownText(fingerprint: string): string {
  return `curfew: no sign-in for key ${fingerprint}\ncurfew: ssh in a terminal shows a link to sign in with`
}

export function whatText(resource: string, role: string): string {
  return `${resource} as ${role}`
}

export function noAccessText(what: string, link: URL): string {
  return `curfew: you have no access to ${what} now; ask for it:\n\n    ${link.href}\n`
}

export function askTitle(what: string): string {
  return `Ask for access to ${what}`
}

export function takesText(approval: Approval): string {
  if (approval.kind === 'none') return 'Nobody needs to approve it.'
  return `It takes ${approvalWords(approval)}.`
}

/** @param link null when the person has just read it. */
export function askText(ask: {
  readonly link: URL | null
  readonly policy: Policy
  readonly complaint: Fault | null
}): string {
  const { link, policy, complaint } = ask
  const { approval, length, reason } = policy
  if (complaint !== null) return `  ${complaint.message} ${complaint.hint}`
  const where = link === null ? [] : ['', `    ${link.href}`]
  const instead = reason === 'required' ? ['  To ask on the page instead, press Enter at each question.'] : []
  return [...where, '', `  ${takesText(approval)} At most ${formatDuration(length.mostMs)}.`, ...instead, ''].join('\n')
}

export function waitTitle(what: string): string {
  return `Waiting for access to ${what}`
}

export interface WaitFacts {
  readonly link: URL
  readonly approval: Approval
  /** A request is open; otherwise it is to be asked on the page. */
  readonly isFiled: boolean
  readonly waitMs: number
}

export function waitText({ link, approval, isFiled, waitMs }: WaitFacts): string {
  return [
    '',
    `    ${link.href}`,
    '',
    isFiled ? `  Your request is open. ${takesText(approval)}` : `  Ask with the link. ${takesText(approval)}`,
    `  This connection waits for ${formatDuration(waitMs)} and goes on by itself once it is approved.`,
    '',
  ].join('\n')
}

export function grantedText(what: string, until: Instant, now: Instant): string {
  return `curfew: access to ${what} until ${timeForPeople(until)} (${formatDuration(until - now)})`
}
