import { formatDuration } from '../kernel/durations.ts'
import { Fault } from '../kernel/fault.ts'
import { checkRecurrence } from './recurrence.ts'
import type { Policy, Weekly } from './rules.ts'

export { covers, inAny } from './weigh.ts'

export const reasonLengthMax = 1000
export const ticketLengthMax = 100

/**
 * Holds a wish against the policy that would allow it.
 * @throws Fault LENGTH_REFUSED, NOT_ALLOWED (recurring hours), REASON_REQUIRED, TICKET_REQUIRED, INPUT_INVALID
 */
export function checkWish(
  policy: Policy,
  wish: {
    readonly lengthMs: number
    readonly reason: string
    readonly ticket: string | null
    readonly windows?: readonly Weekly[] | null
  },
): void {
  if (wish.windows === null || wish.windows === undefined) checkLength(policy, wish.lengthMs)
  else checkRecurrence(policy, wish.lengthMs, wish.windows)
  if (wish.reason.length > reasonLengthMax) {
    throw new Fault('INPUT_INVALID', `The reason is longer than ${reasonLengthMax} characters.`)
  }
  if (policy.reason === 'required' && wish.reason.trim() === '') {
    throw new Fault('REASON_REQUIRED', 'A reason is needed for this.')
  }
  checkTicket(policy, wish.ticket)
}

function checkLength(policy: Policy, lengthMs: number): void {
  if (!Number.isSafeInteger(lengthMs) || lengthMs < 1000) {
    throw new Fault('LENGTH_REFUSED', 'The length must be at least one second.', {
      hint: `Ask for up to ${formatDuration(policy.length.mostMs)}.`,
    })
  }
  if (lengthMs > policy.length.mostMs) {
    throw new Fault('LENGTH_REFUSED', `${formatDuration(lengthMs)} is longer than the policy allows.`, {
      hint: `Ask for at most ${formatDuration(policy.length.mostMs)}.`,
    })
  }
}

function checkTicket({ ticket: rule }: Policy, ticket: string | null): void {
  if (ticket === null || ticket === '') {
    if (rule?.required === true) throw new Fault('TICKET_REQUIRED', 'A ticket is needed for this.', ticketHint(rule))
    return
  }
  if (ticket.length > ticketLengthMax) {
    throw new Fault('INPUT_INVALID', `The ticket is longer than ${ticketLengthMax} characters.`)
  }
  if (rule !== null && !rule.pattern.test(ticket)) {
    throw new Fault('TICKET_REQUIRED', 'The ticket does not have the form that the policy asks for.', ticketHint(rule))
  }
}

function ticketHint({ pattern }: NonNullable<Policy['ticket']>): { hint: string } {
  return { hint: `It must match ${pattern.source}` }
}

/** The address of a ticket, if the policy knows how to make one. */
export function ticketLink(policy: Policy | undefined, ticket: string | null): string | null {
  const template = policy?.ticket?.link
  if (template === null || template === undefined || ticket === null) return null
  return template.replaceAll('{ticket}', encodeURIComponent(ticket))
}
