import * as z from 'zod'

/**
 * The API under `/api/v1`. Bodies are JSON both ways; instants are ISO 8601 in UTC; failures are
 * `application/problem+json` (RFC 9457). All but the two login calls want `Authorization: Bearer <CLI token>`.
 *
 * | call | asks | answers |
 * |---|---|---|
 * | POST /login | loginAsk | 201 loginStarted |
 * | POST /login/poll | loginPoll | 202 loginWaiting, then once 200 loginDone; 403 SIGN_IN_REFUSED, 410 SIGN_IN_TIMED_OUT, 404 |
 * | POST /logout | | 204 |
 * | GET /me | | 200 me |
 * | GET /tokens | | 200 tokenList |
 * | POST /tokens | tokenWish | 201 tokenMade |
 * | DELETE /tokens/:id | | 204 |
 * | GET /audit?after=0&limit=500 | | 200 auditPage (reviewers) |
 * | GET /audit/checkpoints | | 200 checkpointList (reviewers) |
 * | GET /keys | | 200 keySet |
 */
export const apiPath = '/api/v1'

const instant = z.iso.datetime().meta({ description: 'ISO 8601, UTC' })
const line = (charsMax: number) => z.string().trim().min(1).max(charsMax)

export const loginAsk = z.strictObject({
  /** Shown on the confirmation page: `curfew CLI on laptop-7`. */
  application: line(64),
})
export const loginStarted = z.object({
  id: z.string(),
  /** Only the waiting program holds it; polling needs it. */
  secret: z.string(),
  /** For the person to compare with the page. */
  code: z.string(),
  link: z.url(),
  expiresAt: instant,
  /** Poll no more often than this. */
  intervalMs: z.int(),
})

export const loginPoll = z.strictObject({ id: z.string().max(64), secret: z.string().max(128) })
export const loginWaiting = z.object({ state: z.literal('waiting') })
const person = z.object({
  id: z.string(),
  /** As people write them: e-mail, name or subject. */
  displayName: z.string(),
  email: z.string().nullable(),
  name: z.string().nullable(),
  groups: z.array(z.string()),
})
export const loginDone = z.object({ token: z.string(), person, expiresAt: instant })

export const token = z.object({
  id: z.string(),
  label: z.string(),
  kind: z.enum(['access', 'cli']),
  createdAt: instant,
  expiresAt: instant,
  lastUsedAt: instant.nullable(),
})
export const me = z.object({
  person,
  gateway: z.string(),
  reviewer: z.boolean(),
  operator: z.boolean(),
  /** The token that this call was made with. */
  token,
  /** Longest life of a token. */
  tokenMsMax: z.int(),
})

/** Those that still work; newest first. */
export const tokenList = z.object({ tokens: z.array(token) })
/** Makes a token of kind `access`. Without `lengthMs`: 8 hours, or the longest that is allowed if that is less. */
export const tokenWish = z.strictObject({ label: line(80), lengthMs: z.int().min(60_000).optional() })
/** `text` is shown this once. */
export const tokenMade = z.object({ text: z.string(), token })

export const auditPage = z.object({
  /** In order; empty at the end. See audit/chain.ts for how `hash` is made. */
  events: z.array(z.object({ sequence: z.int(), json: z.string(), previous: z.string(), hash: z.string() })),
  head: z.object({ sequence: z.int(), hash: z.string() }),
})
/** `after` is exclusive. */
export const auditQuery = z.object({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(500),
})
export const checkpointList = z.object({ checkpoints: z.array(z.object({ sequence: z.int(), jws: z.string() })) })

/** RFC 7517. */
export const keySet = z.object({ keys: z.array(z.record(z.string(), z.unknown())) })

/** RFC 9457. `code` is a FaultCode, or INTERNAL for a bug. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  hint: z.string(),
  requestId: z.string(),
})
