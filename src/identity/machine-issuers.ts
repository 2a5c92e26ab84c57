import * as jose from 'jose'
import { asFault, Fault } from '../kernel/fault.ts'
import { later } from '../kernel/time.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { MachineIssuer } from './machine.ts'
import { isLoopback, providerDeadlineMs } from './provider-fetch.ts'
import type { ProviderFetch } from './provider-fetch.ts'
import { tokenProblem } from './token-problem.ts'

/** Of a token that is exchanged. Real ones have one or two thousand. */
export const subjectTokenCharsMax: number = 16 * 1024
const skewSeconds = 30
const metadataKeepMs = 60 * 60_000
/** A key that is not among those known makes us look again, but not more often. */
const lookAgainMs = 30_000

/** What an issuer vouches for. */
export interface VouchedMachine {
  readonly issuer: MachineIssuer
  readonly subject: string
  readonly claims: Readonly<Record<string, unknown>>
  /** The first instant at which the token holds no longer. */
  readonly expiresAt: Instant
}

/** Why a token was refused: `why` for whoever sent it, without anything of the token itself. */
export class SubjectTokenRefused extends Error {
  override readonly name = 'SubjectTokenRefused'
}

/** Checks the tokens of the issuers that the configuration trusts. */
export class MachineIssuers {
  readonly #clock: Clock
  readonly #byIssuer: ReadonlyMap<
    string,
    { readonly issuer: MachineIssuer; readonly keys: () => Promise<jose.JWTVerifyGetKey> }
  >

  /** @param fetchFor how each issuer is reached; bounded in time and size. */
  constructor(issuers: readonly MachineIssuer[], clock: Clock, fetchFor: (issuer: MachineIssuer) => ProviderFetch) {
    this.#clock = clock
    this.#byIssuer = new Map(
      issuers.map((issuer) => [issuer.issuer, { issuer, keys: keysOf(issuer, clock, fetchFor(issuer)) }]),
    )
  }

  /**
   * @throws SubjectTokenRefused; Fault PROVIDER_UNREACHABLE when the issuer's keys cannot be had
   * @see RFC 7519 section 7.2; RFC 8725
   */
  async verify(token: string): Promise<VouchedMachine> {
    if (token.length > subjectTokenCharsMax) throw new SubjectTokenRefused('it is too long')
    const known = this.#byIssuer.get(issuerOf(token))
    if (known === undefined) throw new SubjectTokenRefused('its issuer is not trusted here')
    const { issuer } = known
    const { payload, protectedHeader } = await checked(issuer, async () =>
      jose.jwtVerify(token, await known.keys(), {
        issuer: issuer.issuer,
        audience: issuer.audience,
        algorithms: [...issuer.algorithms],
        clockTolerance: skewSeconds,
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ['sub', 'exp', 'iat'],
      }),
    )
    return this.#timely(issuer, payload, protectedHeader.typ)
  }

  /** The library lets a token pass for some seconds after its end, and does not ask whether its beginning has come. */
  #timely(
    issuer: MachineIssuer,
    { sub, exp, iat, ...claims }: jose.JWTPayload,
    typ: string | undefined,
  ): VouchedMachine {
    const now = this.#clock.now()
    const expiresAt = ((exp ?? 0) * 1000) as Instant
    if (sub === undefined || sub === '') throw new SubjectTokenRefused('it has no subject')
    if ((iat ?? Infinity) > now / 1000 + skewSeconds) throw new SubjectTokenRefused('it was issued in the future')
    if (expiresAt <= now) throw new SubjectTokenRefused('it is over')
    if (typ !== undefined && !/^(?:application\/)?(?:at\+)?jwt$/i.test(typ)) {
      throw new SubjectTokenRefused('it is of another type')
    }
    return { issuer, subject: sub, claims: { ...claims, sub }, expiresAt }
  }
}

/** Not believed: it only says whose keys to look among. */
function issuerOf(token: string): string {
  try {
    return jose.decodeJwt(token).iss ?? ''
  } catch {
    throw new SubjectTokenRefused('it is no JWT')
  }
}

async function checked<T>(issuer: MachineIssuer, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof SubjectTokenRefused) throw error
    const why = tokenProblem(error)
    if (why !== undefined) throw new SubjectTokenRefused(why)
    throw new Fault('PROVIDER_UNREACHABLE', `The keys of the issuer ${issuer.name} cannot be fetched`, {
      cause: asFault(error) ?? error,
      hint: 'Try again in a moment.',
    })
  }
}

/** Found when first needed, so that the gateway starts while an issuer is down. */
function keysOf(issuer: MachineIssuer, clock: Clock, fetch: ProviderFetch): () => Promise<jose.JWTVerifyGetKey> {
  const { keys } = issuer
  if (keys instanceof URL) return always(remoteKeys(keys, fetch))
  if (keys !== null) return always(jose.createLocalJWKSet(keys))
  return discovered(issuer, clock, fetch)
}

function always(keys: jose.JWTVerifyGetKey): () => Promise<jose.JWTVerifyGetKey> {
  return () => Promise.resolve(keys)
}

function remoteKeys(uri: URL, fetch: ProviderFetch): jose.JWTVerifyGetKey {
  return jose.createRemoteJWKSet(uri, {
    timeoutDuration: providerDeadlineMs,
    cooldownDuration: lookAgainMs,
    [jose.customFetch]: fetch,
  })
}

/** @see OpenID Connect Discovery 1.0, section 4 */
function discovered(issuer: MachineIssuer, clock: Clock, fetch: ProviderFetch): () => Promise<jose.JWTVerifyGetKey> {
  let known: { readonly uri: string; readonly keys: jose.JWTVerifyGetKey; readonly staleAt: Instant } | undefined
  let looking: Promise<NonNullable<typeof known>> | undefined

  async function look() {
    const uri = await keysAddress(issuer, fetch)
    const keys = known?.uri === uri.href ? known.keys : remoteKeys(uri, fetch)
    return { uri: uri.href, keys, staleAt: later(clock.now(), metadataKeepMs) }
  }

  return async () => {
    if (known !== undefined && known.staleAt > clock.now()) return known.keys
    looking ??= look().finally(() => (looking = undefined))
    try {
      known = await looking
    } catch (error) {
      // The keys that it named before are still its keys.
      if (known === undefined) throw error
    }
    return known.keys
  }
}

async function keysAddress({ name, issuer }: MachineIssuer, fetch: ProviderFetch): Promise<URL> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetch(address, { redirect: 'error', headers: { accept: 'application/json' } })
  const metadata: unknown = response.ok ? await response.json() : undefined
  if (!isMetadata(metadata) || metadata.issuer !== issuer || !URL.canParse(metadata.jwks_uri)) {
    throw new Error(`the metadata of ${name} does not name its keys`)
  }
  const uri = new URL(metadata.jwks_uri)
  // Plain http is for an issuer on this machine itself; one elsewhere must not send us to what listens here.
  const isLocal = isLoopback(uri) && isLoopback(new URL(issuer))
  if (uri.protocol !== 'https:' && !isLocal) throw new Error(`the keys of ${name} are not behind https`)
  return uri
}

function isMetadata(value: unknown): value is { readonly issuer: string; readonly jwks_uri: string } {
  if (typeof value !== 'object' || value === null) return false
  return 'issuer' in value && 'jwks_uri' in value && typeof value.jwks_uri === 'string'
}
