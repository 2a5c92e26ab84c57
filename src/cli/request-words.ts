import type * as z from 'zod'
import { termsWords } from '../access/terms-words.ts'
import { formatDuration } from '../kernel/durations.ts'
import { timeForPeople, type Instant } from '../kernel/time.ts'
import type { request as requestShape } from '../web/api-schema.ts'
import { forPeople } from './print.ts'
import { terminalLine } from './terminal-text.ts'

export type Request = z.output<typeof requestShape>

/** How it stands: a sentence, and below it whom it waits for and what was made of it. */
export function outcome(request: Request): string {
  const what = terminalLine(`${request.resource} as ${request.role}`)
  const id = terminalLine(request.id)
  switch (request.state) {
    case 'requested':
      return [
        `${id}: ${what} waits for ${waitsWords(request)}. ${terminalLine(request.link)}`,
        ...others(request),
      ].join('\n')
    case 'approved':
      return [
        `${id}: ${what} is ${request.kind === 'extension' ? 'extended' : 'approved'}${grantWords(request)}.`,
        ...madeOfIt(request),
      ].join('\n')
    case 'denied':
      return `${id}: ${what} was refused${saying(request, 'deny')}`
    case 'cancelled':
      return `${id}: ${what} was called off.`
    case 'lapsed':
      return `${id}: ${what} lapsed: not enough people decided in time.`
  }
}

/** `one more of dba or leads (step 2 of 3)`; empty when it is closed. */
export function waitsWords({ waitsFor, steps }: Request): string {
  if (waitsFor === null) return ''
  const { missing, words, step } = waitsFor
  const place = steps.length === 1 ? '' : ` (step ${step} of ${steps.length})`
  return `${missing === 1 ? 'one more' : `${missing} more`} of ${terminalLine(words)}${place}`
}

function others({ waitsFor }: Request): readonly string[] {
  if (waitsFor === null) return []
  const { refused, refusals, since, others: called } = waitsFor
  const words = called && terminalLine(called.words)
  return [
    `  It has waited for them since ${forPeople(since)}.`,
    ...(refusals === 1 ? [] : [`  ${refused} of ${refusals} refusals that refuse it.`]),
    ...(called === null
      ? []
      : called.called
        ? [`  Nobody answered, so ${words} may decide as well, since ${forPeople(called.at)}.`]
        : [`  If nobody answers, ${words} may decide as well from ${forPeople(called.at)} on.`]),
  ]
}

/** What approvers changed. */
function madeOfIt({ decisions }: Request): readonly string[] {
  return decisions.flatMap(({ person, terms }) => {
    if (terms === null) return []
    const startsAt = terms.startsAt === null ? null : (Date.parse(terms.startsAt) as Instant)
    const words = termsWords({ ...terms, startsAt }, timeForPeople)
    return [`  ${terminalLine(person.displayName)} approved it ${terminalLine(words)}.`]
  })
}

function grantWords({ grant, lengthMs, agreed }: Request): string {
  if (grant === null) return ''
  const shorter = agreed.lengthMs < lengthMs ? ` for ${formatDuration(agreed.lengthMs)}` : ''
  if (grant.state === 'scheduled')
    return `${shorter}, from ${forPeople(grant.startsAt)} until ${forPeople(grant.expiresAt)}`
  if (grant.state !== 'active') return ', and the access is over'
  return ` until ${forPeople(grant.expiresAt)} (${terminalLine(grant.id)})`
}

function saying({ decisions }: Request, verdict: 'approve' | 'deny'): string {
  const last = decisions.findLast((decision) => decision.verdict === verdict)
  if (last === undefined) return '.'
  const by = ` by ${terminalLine(last.person.displayName)}`
  return last.comment === '' ? `${by}.` : `${by}: ${terminalLine(last.comment)}`
}
