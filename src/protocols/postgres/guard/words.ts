import { formatDuration } from '../../../kernel/durations.ts'
import type { Fault } from '../../../kernel/fault.ts'
import { sqlstate } from '../fault-sqlstate.ts'
import type { Report } from '../messages.ts'
import type { Reading } from './facts.ts'
import type { Verdict } from './rules.ts'

/** How a question about a statement ended. */
export interface Answer {
  readonly answer: 'approved' | 'refused' | 'lapsed' | 'given-up' | 'failed'
  /** Who answered, as the person may read it. */
  readonly by?: string
  readonly comment?: string
}

/** `delete on t without WHERE (rule no-full-tables)` */
export function aboutWords({ about, rule }: Verdict): string {
  return rule === null ? about : `${about} (rule ${rule})`
}

/** What a client reads of a refused statement: an error that leaves its session usable. */
export function refusalReport(verdict: Verdict, reading: Reading): Report {
  if ('unparsable' in reading && reading.isSyntax && verdict.rule === null) {
    const hint = 'The guard of this role reads statements as the server does, and did not pass this one on.'
    return { severity: 'ERROR', sqlstate: '42601', message: reading.unparsable, hint }
  }
  return errorOf(
    '42501',
    `refused by the guard of this role: ${aboutWords(verdict)}`,
    verdict.message ?? 'The guard keeps accidents away. If this is none, ask for a role that may do it.',
  )
}

export function warningText(verdict: Verdict): string {
  const why = verdict.message === null ? '' : `\n${verdict.message}`
  return `the guard of this role warns: ${aboutWords(verdict)}${why}`
}

export function askedText(verdict: Verdict, link: URL, waitMs: number): string {
  return [
    `this statement waits until somebody agrees: ${aboutWords(verdict)}`,
    ...(verdict.message === null ? [] : [`  ${verdict.message}`]),
    '',
    `    ${link.href}`,
    '',
    `  It waits for ${formatDuration(waitMs)}, and goes on by itself. Cancel it (Ctrl-C) to give it up.`,
    '',
  ].join('\n')
}

/**
 * Of a statement that was asked about, or could not be, and may not go on.
 * @param fault why it could not, where that was foreseen.
 */
export function unansweredReport(
  verdict: Verdict,
  { answer, by, comment }: Answer,
  waitMs: number,
  fault?: Fault,
): Report {
  const what = aboutWords(verdict)
  switch (answer) {
    case 'given-up':
      return errorOf('57014', 'canceling statement due to user request', 'It was waiting for somebody to agree.')
    case 'lapsed':
      return errorOf('57014', `nobody agreed within ${formatDuration(waitMs)}: ${what}`, 'Send it again to ask again.')
    case 'refused': {
      const said =
        comment === undefined || comment === '' ? 'Talk to them before you send it again.' : `They say: ${comment}`
      return errorOf('42501', `${by ?? 'somebody'} refused this statement: ${what}`, said)
    }
    default:
      if (fault !== undefined) {
        return errorOf(
          sqlstate[fault.code],
          `this statement was not asked about: ${fault.message} (${what})`,
          fault.hint,
        )
      }
      return errorOf('42501', `nobody could be asked about this statement: ${what}`, 'Tell your operations people.')
  }
}

function errorOf(code: string, message: string, hint: string): Report {
  return { severity: 'ERROR', sqlstate: code, message, hint }
}
