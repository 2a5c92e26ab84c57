import { Fault, type FaultCode } from '../../kernel/fault.ts'
import type { Refusal } from './messages.ts'

/** What the triggers raise as `curfew:CODE`, as a person reads it. */
const sentences: Partial<Record<FaultCode, string>> = {
  SELF_APPROVAL: 'Nobody decides on their own request.',
  ALREADY_DECIDED: 'You have decided on this request already.',
  REQUEST_CLOSED: 'The request is no longer open.',
  REVIEW_CLOSED: 'Somebody closed this review already.',
  QUESTION_CLOSED: 'Somebody was quicker, or its time is over.',
  GRANT_IN_WRONG_STATE: 'The grant is not in a state that allows this.',
  KEY_TAKEN: 'Somebody else is signed in with this key.',
  NOT_ALLOWED: 'The request has not been approved by enough people.',
}

/** The message of SQLite (tables and columns, never values) stays in the cause, for the log. */
export function refusalFault({ message, code }: Refusal): Fault {
  const named = /^curfew:([A-Z_]+)$/.exec(message)?.[1] as FaultCode | undefined
  const sentence = named === undefined ? undefined : sentences[named]
  if (named !== undefined && sentence !== undefined) return new Fault(named, sentence)
  return new Fault('STORE_FAILED', 'The state could not be read or written.', {
    cause: new Error(code === null ? message : `SQLite ${code}: ${message}`),
  })
}
