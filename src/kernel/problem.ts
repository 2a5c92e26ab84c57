import type { Fault } from './fault.ts'
import { faultStatus } from './fault-status.ts'

/** A failure as programs read it: `application/problem+json` (RFC 9457), with our code and hint beside its own members. */
export interface Problem {
  readonly type: `urn:curfew:${string}`
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly hint: string
  readonly requestId: string
  /** Where to ask for what is missing. */
  readonly link?: string
}

export const problemType = 'application/problem+json'

export function problemOf({ code, message, hint }: Fault, requestId: string, link?: URL): Problem {
  const status = faultStatus[code]
  const problem = {
    type: `urn:curfew:${code}`,
    title: message,
    status,
    detail: message,
    code,
    hint,
    requestId,
  } as const
  return link === undefined ? problem : { ...problem, link: link.href }
}

/**
 * The value of `WWW-Authenticate` for what was refused for want of a (good) token; undefined for all else.
 * @param scope the one that the token lacks.
 * @see RFC 6750, section 3
 */
export function challengeOf(code: string, status: number, scope: string | undefined): string | undefined {
  const base = 'Bearer realm="curfew"'
  if (code === 'TOKEN_REFUSED') return `${base}, error="invalid_token"`
  if (code !== 'INSUFFICIENT_SCOPE') return status === 401 ? base : undefined
  return `${base}, error="insufficient_scope"${scope === undefined ? '' : `, scope="${scope}"`}`
}
