/**
 * Every failure that Curfew foresees, with the one sentence that tells the person what to do next.
 * Each edge (PostgreSQL, HTTP, CLI) translates the code in a table of its own that does not compile until
 * a new code has a line there. docs/faults.md lists them; a test compares the two.
 */
const hints = {
  // how a session may be ended by the gate
  GRANT_EXPIRED: 'Ask again on your access page.',
  GRANT_REVOKED: 'Ask the person who revoked it, or ask for access again.',
  GRANT_HANDED_BACK: 'You handed this access back. Ask again on your access page when you need it.',
  LOCKED: 'Talk to your security or operations people; they can lift the lock.',
  SIGNED_OUT: 'Sign in again and reconnect.',
  POLICY_CHANGED: 'Your groups or the policy changed. Ask again on your access page.',
  OUTSIDE_WINDOW: 'Come back when it is open, or ask on your access page for a time when it is.',
  POLICY_DENIES: 'Your operations people can tell what the policy is for.',
  FROM_ELSEWHERE: 'Connect from a place that the policy names. Your operations people know which.',
  RECORDING_FAILED: 'Nothing may pass unrecorded here. Tell your operations people; reconnect when it is mended.',
  KILLED: 'Ask the person who ended the session before you reconnect.',
  SESSION_IDLE: 'Connect again; your access still stands.',
  SHUTTING_DOWN: 'The gateway is restarting. Reconnect in a moment.',
  // who is this?
  SIGN_IN_REQUIRED: 'Open the link and sign in.',
  SIGN_IN_REFUSED: 'The sign-in was refused on the page. Connect again if that was a mistake.',
  SIGN_IN_TIMED_OUT: 'Connect again and open the link within the time it says.',
  SIGN_IN_FAILED: 'Try again; if it keeps failing, tell your operations people what the log says.',
  SIGN_IN_OTHER_ADDRESS: 'Open the link on the machine (address) that the connection comes from.',
  TOKEN_REFUSED: 'Make a new token on the page "Sign-ins", or with: curfew token create',
  INSUFFICIENT_SCOPE: 'Make a token with the scope that it names, with: curfew token create --scope SCOPE',
  KEY_TAKEN: 'Use a key of your own, or let its owner end the other sign-in on the page "Sign-ins".',
  CERTIFICATE_REFUSED: 'Get a new certificate with: curfew login',
  PROVIDER_UNREACHABLE: 'The identity provider does not answer. Try again in a moment.',
  // what do they want?
  RESOURCE_UNKNOWN: 'See what you may use on your access page.',
  ROLE_UNKNOWN: 'See what you may use on your access page.',
  DATABASE_REFUSED: 'Use a database that this role may open.',
  ROLE_REQUIRED: 'Say which role you mean with the header Curfew-Role.',
  REQUEST_NOT_COVERED: 'Ask for a role that covers it.',
  // may they?
  NO_GRANT: 'Ask for access with the link, then connect again.',
  GRANT_USED_UP: 'Ask again on your access page.',
  NOT_ALLOWED: 'No policy lets you do this. Your operations people can tell which groups may.',
  APPROVER_UNKNOWN: 'Ask your operations people to have your manager set at the identity provider.',
  REQUEST_DENIED: 'Read the comment on the request page, or ask again with another reason.',
  REQUEST_CLOSED: 'The request is no longer open; look at its page for what happened.',
  REQUEST_LAPSED: 'Nobody decided in time. Ask again.',
  REQUEST_WAIT_OVER: 'What you asked for stays open. Connect again once it is approved.',
  REQUEST_UNKNOWN: 'Check the link.',
  REASON_REQUIRED: 'Say in a sentence why you need it.',
  TICKET_REQUIRED: 'Give a ticket in the form that the policy asks for.',
  LENGTH_REFUSED: 'Ask for a shorter time.',
  SELF_APPROVAL: 'Ask another approver.',
  ALREADY_DECIDED: 'You have decided on this request already.',
  REVIEW_CLOSED: 'Its page says who decided, and what.',
  QUESTION_CLOSED: 'Its page says what became of it.',
  GRANT_UNKNOWN: 'Check the link.',
  GRANT_IN_WRONG_STATE: 'It has ended already.',
  // the way to the target
  UPSTREAM_UNREACHABLE: 'The target does not answer. Tell your operations people.',
  UPSTREAM_REFUSED: 'The target refused the login that this role uses. Tell your operations people.',
  UPSTREAM_TLS: 'The target could not prove who it is. Tell your operations people.',
  HOST_KEY_UNKNOWN: 'Tell your operations people the fingerprint; only they can say whether it is the right machine.',
  // the connection itself
  PROTOCOL_VIOLATION: 'The client sent something that the protocol does not allow.',
  PROTOCOL_UNSUPPORTED: 'Use a client that speaks the current protocol version.',
  TLS_REQUIRED: 'Connect with TLS, for example sslmode=require.',
  TOO_MANY_CONNECTIONS: 'Wait a moment and connect again.',
  DEADLINE_PASSED: 'Connect again and finish signing in faster.',
  DISK_FULL: 'There is no room for recordings. Tell your operations people.',
  // files and forms
  INPUT_INVALID: 'Correct the marked field.',
  ORIGIN_REFUSED: 'Open the page on the gateway itself and try again.',
  TOO_LARGE: 'Send less at once.',
  RATE_LIMITED: 'Wait a minute and try again.',
  NOT_FOUND: 'Check the address.',
  CONFIG_INVALID: 'Correct the file; curfew config check FILE lists every problem.',
  RECORDING_UNREADABLE: 'Check that the file is a whole Curfew recording.',
  RECORDING_TAMPERED: 'The recording is not what the gateway wrote. Keep the file and tell your security people.',
  STORE_FAILED: 'The state could not be read or written. Tell your operations people.',
} as const

export type FaultCode = keyof typeof hints
export const faultCodes: readonly FaultCode[] = Object.keys(hints) as FaultCode[]

/** A failure we foresaw, safe to show to the person it stopped. Anything else is a bug: log it, show "internal error". */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: FaultCode
  readonly hint: string
  /**
   * @param message One sentence for the person it stopped; never a secret.
   * @param options `hint` replaces the code's own hint when a better one is known (a link, a name).
   */
  constructor(code: FaultCode, message: string, options?: ErrorOptions & { hint?: string }) {
    super(message, options)
    this.code = code
    this.hint = options?.hint ?? hints[code]
  }
}

/** The fault that `error` is, or wraps as its cause; undefined for a bug. */
export function asFault(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error
  return error instanceof Error && error.cause instanceof Fault ? error.cause : undefined
}
