import * as jose from 'jose'
import type { OAuthSettings } from '../config/config.ts'
import type { Instant } from '../kernel/time.ts'
import { tokenProblem } from './token-problem.ts'

/** Real ones have one or two thousand; those with hundreds of groups some more. */
export const accessTokenCharsMax: number = 16 * 1024
const skewSeconds = 30

/** Somebody for whom the provider gave an access token to psql. */
export interface VouchedByToken {
  readonly issuer: string
  readonly subject: string
  /** The provider's own session (`sid`); null when it does not say. */
  readonly providerSession: string | null
  readonly claims: Readonly<Record<string, unknown>>
  /** The last millisecond in which it may have been issued: tokens tell the second. */
  readonly issuedBy: Instant
  /** The first instant at which the token holds no longer. */
  readonly expiresAt: Instant
}

/** Why an access token was refused: `message` for whoever sent it, without anything of the token itself. */
export class AccessTokenRefused extends Error {
  override readonly name = 'AccessTokenRefused'
}

/** It is good, and lacks a scope. */
export class AccessTokenTooNarrow extends Error {
  override readonly name = 'AccessTokenTooNarrow'
}

/**
 * Checks an access token (a JWT) that a client got for the gateway. Anything that is not surely one is refused: an ID
 * token, a logout token, one for another audience or of another client, one that is bound to a key.
 * @param issuer as its metadata has it.
 * @throws AccessTokenRefused, AccessTokenTooNarrow; whatever `keys` throws when they cannot be had
 * @see RFC 9068 section 4; RFC 8725
 */
export async function verifyAccessToken(
  text: string,
  from: { readonly issuer: string; readonly keys: jose.JWTVerifyGetKey; readonly algorithms: readonly string[] },
  wanted: OAuthSettings,
  now: Instant,
): Promise<VouchedByToken> {
  if (text.length > accessTokenCharsMax) throw new AccessTokenRefused('it is too long')
  const { payload, protectedHeader } = await checked(() =>
    jose.jwtVerify(text, from.keys, {
      issuer: from.issuer,
      audience: wanted.audience,
      algorithms: [...from.algorithms],
      clockTolerance: skewSeconds,
      currentDate: new Date(now),
      requiredClaims: ['sub', 'exp', 'iat'],
    }),
  )
  const problem =
    kindProblem(payload, protectedHeader.typ) ?? clientProblem(payload, wanted) ?? timeProblem(payload, now)
  if (problem !== null) throw new AccessTokenRefused(problem)
  const missing = wanted.scopes.find((scope) => !hasScope(payload, scope))
  if (missing !== undefined) throw new AccessTokenTooNarrow(`it has not the scope ${missing}`)
  const { sub = '', exp = 0, iat = 0, sid } = payload
  return {
    ...{ issuer: from.issuer, subject: sub, providerSession: typeof sid === 'string' ? sid : null, claims: payload },
    ...{ issuedBy: (Math.floor(iat) * 1000 + 999) as Instant, expiresAt: (exp * 1000) as Instant },
  }
}

async function checked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const problem = tokenProblem(error)
    throw problem === undefined ? error : new AccessTokenRefused(problem)
  }
}

/** Claims that only other kinds of token have: ID tokens (OpenID Connect Core), and logout tokens. */
const foreignClaims = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events'] as const

/** Providers that do not follow RFC 9068 send the type `JWT` or none, and some tell kinds apart by a claim. */
function kindProblem(payload: jose.JWTPayload, typ: string | undefined): string | null {
  const { typ: kind = 'Bearer', token_use: use = 'access' } = payload
  const isAccess = typ === undefined || /^(?:application\/)?(?:at\+)?jwt$/i.test(typ)
  const isOther = foreignClaims.some((claim) => payload[claim] !== undefined)
  if (!isAccess || isOther || kind !== 'Bearer' || use !== 'access') return 'it is no access token'
  // Whoever sends a token that is bound to a key would have to prove that they have the key (RFC 7800).
  return payload['cnf'] === undefined ? null : 'it is bound to a key'
}

/** RFC 9068 has `client_id`; others are those of large providers. */
const clientClaims = ['client_id', 'azp', 'cid', 'appid'] as const

function clientProblem(payload: jose.JWTPayload, { clientId }: OAuthSettings): string | null {
  const said = clientClaims.flatMap((claim) => payload[claim] ?? [])
  if (said.length === 0) return 'it does not say which client got it'
  return said.every((one) => one === clientId) ? null : 'another client got it'
}

/** The library lets a token pass for some seconds after its end, and does not ask whether its beginning has come. */
function timeProblem({ sub = '', exp = 0, iat = Infinity }: jose.JWTPayload, now: Instant): string | null {
  if (sub === '') return 'it has no subject'
  if (iat > now / 1000 + skewSeconds) return 'it was issued in the future'
  return exp * 1000 <= now ? 'it is over' : null
}

/** They are for the ID token and the refresh token; access tokens of many providers do not name them. */
const scopesOfSignIn: readonly string[] = ['openid', 'profile', 'email', 'address', 'phone', 'groups', 'offline_access']

/** Some providers ask for `api://…/psql` and then write `psql`, for the audience says the rest. */
function hasScope(payload: jose.JWTPayload, scope: string): boolean {
  if (scopesOfSignIn.includes(scope)) return true
  const held = [payload['scope'], payload['scp']].flatMap(namesIn)
  return held.includes(scope) || (scope.includes('://') && held.includes(scope.slice(scope.lastIndexOf('/') + 1)))
}

/** @see RFC 6749 section 3.3: names between spaces; `scp` of some is a list */
function namesIn(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'string' ? value.split(' ') : []
}
