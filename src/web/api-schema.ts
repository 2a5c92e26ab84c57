import * as z from 'zod'
import { scopes } from '../identity/scopes.ts'

/**
 * The API under `/api/v1`. Bodies are JSON both ways; instants are ISO 8601 in UTC; failures are
 * `application/problem+json` (RFC 9457). All but the two login calls want `Authorization: Bearer <token>`, with the scope that
 * openapi.ts names; without it: 403 INSUFFICIENT_SCOPE.
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
 * | GET /ssh | | 200 sshDirectory; 404 where there is no SSH listener |
 * | POST /ssh/certificate | sshCertificateAsk | 201 sshCertificate; 404 likewise |
 * | GET /postgres | | 200 postgresDirectory; 404 where there is no PostgreSQL listener |
 * | POST /postgres/certificate | clientCertificateAsk | 201 clientCertificate; 404 likewise |
 * | GET /audit?after=0&limit=500 | | 200 auditPage (reviewers) |
 * | GET /audit/checkpoints | | 200 checkpointList (reviewers) |
 * | GET /keys | | 200 keySet |
 *
 * Workflows are in api-schema-access.ts, reports in api-schema-reports.ts. All calls with their shapes: `GET /openapi.json`, made in openapi.ts.
 */
export const apiPath = '/api/v1'
export * from './api-schema-access.ts'
export { bundleList, bundleWish, extensionWish, hours, hoursWish } from './api-schema-life.ts'
export { approving } from './api-schema-approval.ts'
export * from './api-schema-campaigns.ts'
export * from './api-schema-postgres.ts'
export * from './api-schema-reviews.ts'
export * from './api-schema-statements.ts'
export * from './api-schema-evidence.ts'
export * from './api-schema-notify.ts'
export * from './api-schema-reports.ts'

/** For everybody, without a token; plain text. */
export const publicPaths = {
  /** For `TrustedUserCAKeys` of targets: one line. */
  sshAuthority: '/.well-known/curfew/ssh-ca.pub',
  /** For `UserKnownHostsFile` of clients. */
  sshKnownHosts: '/.well-known/curfew/ssh-known-hosts',
} as const

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
  kind: z.enum(['person', 'machine']),
  /** As people write them: e-mail, name or subject. */
  displayName: z.string(),
  email: z.string().nullable(),
  name: z.string().nullable(),
  groups: z.array(z.string()),
})
export const loginDone = z.object({ token: z.string(), person, expiresAt: instant })

const scope = z.enum(scopes)
export const token = z.object({
  id: z.string(),
  label: z.string(),
  kind: z.enum(['access', 'cli']),
  /** What it may be used for. */
  scopes: z.array(scope),
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

/** Where machines exchange tokens of their issuers: a form, answered as RFC 8693 section 2.2 says. */
export const tokenPath = '/oauth/token'
export const tokenExchanged = z.object({
  access_token: z.string().regex(/^[\w.~+/-]{1,200}$/),
  issued_token_type: z.literal('urn:ietf:params:oauth:token-type:access_token'),
  token_type: z.literal('Bearer'),
  expires_in: z.int().min(0),
  scope: z.string(),
})
/** RFC 6749 section 5.2. */
export const oauthProblem = z.object({ error: z.string(), error_description: z.string().default('') })

/** Those that still work; newest first. */
export const tokenList = z.object({ tokens: z.array(token) })
/**
 * Makes a token of kind `access`. Without `lengthMs`: 8 hours, or the longest that is allowed if that is less. Without
 * `scopes`: `sessions`; never more than the token of this call has.
 */
export const tokenWish = z.strictObject({
  label: line(80),
  lengthMs: z.int().min(60_000).optional(),
  scopes: z.array(scope).min(1).max(scopes.length).optional(),
})
/** `text` is shown this once. */
export const tokenMade = z.object({ text: z.string(), token })

// What is written into files that ssh reads must not be able to say more than a name, a number or a key.
const name = z.string().regex(/^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/)
const hostName = z.string().regex(/^(?!-)[A-Za-z0-9._:-]{1,253}$/)
const publicKey = z.string().regex(/^[a-z0-9@.-]{1,80} [A-Za-z0-9+/]{16,16384}={0,2}$/)

/** What a person has of an SSH role, or may ask for. Both instants are of the grant. */
export const sshRole = z.object({
  name,
  description: z.string(),
  state: z.enum(['active', 'scheduled', 'requested', 'available']),
  startsAt: instant.nullable(),
  until: instant.nullable(),
})
/** What `ssh` needs to reach the gateway, and what it leads to. */
export const sshDirectory = z.object({
  /** A name or an address, an IPv6 one without brackets. */
  host: hostName,
  port: z.int().min(1).max(65_535),
  /** Of the gateway: type and base64, without a comment. */
  hostKeys: z.array(publicKey).min(1).max(8),
  resources: z.array(z.object({ name, description: z.string(), roles: z.array(sshRole).min(1) })),
})
/** One line as in `id_ed25519.pub`. The gateway looks at it closely; this only bounds it. */
export const sshCertificateAsk = z.strictObject({ publicKey: line(8192) })
/** One line as in `id_ed25519-cert.pub`. */
export const sshCertificate = z.object({
  certificate: z.string().regex(/^[a-z0-9@.-]{1,80} [A-Za-z0-9+/]{16,32768}={0,2}(?: [\x20-\x7e]{0,200})?$/),
  expiresAt: instant,
})
/** The key that signs what targets believe, as published at `publicPaths.sshAuthority`: type, base64, comment. */
export const sshAuthority = z
  .string()
  .regex(/^[a-z0-9@.-]{1,80} [A-Za-z0-9+/]{16,16384}={0,2}(?: [\x20-\x7e]{0,200})?$/)

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
