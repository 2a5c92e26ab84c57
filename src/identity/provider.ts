import * as jose from 'jose'
import * as oidc from 'openid-client'
import type { OAuthSettings, OidcSettings } from '../config/config.ts'
import { Fault } from '../kernel/fault.ts'
import { later } from '../kernel/time.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import { verifyAccessToken, type VouchedByToken } from './access-token.ts'
import { logoutTokenProblem } from './logout-token.ts'
import { identityPaths } from './paths.ts'
import { needsUserInfo, profileOf } from './profile.ts'
import type { Profile } from './profile.ts'
import { isRefusal, takenBack, translated } from './provider-answers.ts'
import { isLoopback, providerDeadlineMs } from './provider-fetch.ts'
import type { ProviderFetch } from './provider-fetch.ts'

const skewSeconds = 30
const metadataKeepMs = 60 * 60_000
const logoutTokenAgeSecondsMax = 300
const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** What only this browser's sign-in knows. */
export interface FlowSecrets {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** Somebody whom the provider has just vouched for. */
export interface Vouched {
  readonly issuer: string
  readonly subject: string
  readonly profile: Profile
  readonly providerSession: string | null
  readonly idToken: string
  readonly refreshToken: string | null
}

/** The provider took a refresh token. The one that it gives instead is to be kept before anything else: the old one may be good no longer. */
export interface Refreshed {
  readonly refreshToken: string | null
  /**
   * What it says of the person; null: only that they are still welcome.
   * @throws Fault PROVIDER_UNREACHABLE, SIGN_IN_FAILED (the answer cannot be trusted)
   */
  profile(): Promise<Profile | null>
}

export interface LogoutToken {
  readonly issuer: string
  readonly subject: string | null
  readonly providerSession: string | null
  readonly jti: string
}

interface Discovered {
  readonly metadata: oidc.ServerMetadata
  readonly shared: oidc.Configuration
  /** Does not look at the signature of an ID token. */
  readonly unproven: oidc.Configuration
  readonly keys: jose.JWTVerifyGetKey
  readonly staleAt: Instant
}

/** The one file that speaks OpenID Connect. Every call is bounded in time and size by `fetch`. */
export class OidcClient {
  readonly #settings: OidcSettings
  readonly #redirectUri: string
  readonly #signedOutUri: string
  readonly #clock: Clock
  readonly #fetch: ProviderFetch
  #discovered: Discovered | undefined
  #discovering: Promise<Discovered> | undefined

  /** @throws Fault CONFIG_INVALID when the issuer is plain http and not on loopback. */
  constructor(settings: OidcSettings, publicUrl: URL, clock: Clock, fetch: ProviderFetch) {
    if (settings.issuer.protocol !== 'https:' && !isLoopback(settings.issuer)) {
      throw new Fault('CONFIG_INVALID', `identity.issuer: ${settings.issuer.href} is not https, and not on loopback`)
    }
    this.#settings = settings
    this.#redirectUri = new URL(identityPaths.callback, publicUrl).href
    this.#signedOutUri = new URL(identityPaths.signedOut, publicUrl).href
    this.#clock = clock
    this.#fetch = fetch
  }

  /** Where to send the browser. @throws Fault PROVIDER_UNREACHABLE */
  async authorizationUrl(secrets: FlowSecrets): Promise<URL> {
    const { shared } = await this.#provider()
    return oidc.buildAuthorizationUrl(shared, {
      redirect_uri: this.#redirectUri,
      scope: this.#settings.scopes.join(' '),
      code_challenge: await oidc.calculatePKCECodeChallenge(secrets.verifier),
      code_challenge_method: 'S256',
      state: secrets.state,
      nonce: secrets.nonce,
    })
  }

  /**
   * Exchanges the code for an ID token and checks everything about it.
   * @param answer the query of the callback.
   * @throws Fault SIGN_IN_FAILED, PROVIDER_UNREACHABLE
   */
  async redeem(answer: URLSearchParams, secrets: FlowSecrets): Promise<Vouched> {
    const { metadata } = await this.#provider()
    // A configuration of its own fetches the keys anew, so a rotation a moment ago does not refuse anybody.
    const configuration = this.#configuration(metadata)
    const callback = new URL(`${this.#redirectUri}?${answer.toString()}`)
    const tokens = await translated(() =>
      oidc.authorizationCodeGrant(configuration, callback, {
        pkceCodeVerifier: secrets.verifier,
        expectedState: secrets.state,
        expectedNonce: secrets.nonce,
        idTokenExpected: true,
      }),
    )
    const claims = this.#timely(tokens.claims())
    return {
      issuer: claims.iss,
      subject: claims.sub,
      profile: await this.#profile(configuration, claims, tokens.access_token),
      providerSession: typeof claims['sid'] === 'string' ? claims['sid'] : null,
      idToken: tokens.id_token ?? '',
      refreshToken: tokens.refresh_token ?? null,
    }
  }

  /**
   * Asks again about somebody who signed in before.
   * @throws NoLongerWelcome; Fault PROVIDER_UNREACHABLE, SIGN_IN_FAILED (the answer cannot be trusted)
   */
  async refresh(refreshToken: string, subject: string): Promise<Refreshed> {
    const { shared, unproven, metadata } = await this.#provider()
    // The old refresh token may be good no longer now: the new one must not be lost where keys cannot be had.
    const tokens = await translated(() => oidc.refreshTokenGrant(unproven, refreshToken).catch(takenBack))
    const claims = tokens.claims()
    if (claims !== undefined && claims.sub !== subject) {
      throw new Fault('SIGN_IN_FAILED', 'The refreshed ID token is about somebody else')
    }
    const silent = claims === undefined && metadata.userinfo_endpoint === undefined
    const profile = async () => {
      if (tokens.id_token !== undefined) await this.#prove(tokens.id_token)
      const known = claims === undefined ? { sub: subject } : this.#timely(claims)
      return silent ? null : this.#profile(shared, known, tokens.access_token)
    }
    return { refreshToken: tokens.refresh_token ?? null, profile }
  }

  /** That the provider signed an ID token of which everything else was checked. */
  async #prove(idToken: string): Promise<void> {
    const { keys } = await this.#provider()
    await translated(() => jose.compactVerify(idToken, keys, { algorithms: asymmetric }))
  }

  /** Where to sign out at the provider; the gateway's own page when it has no such endpoint or does not answer. */
  async endSessionUrl(idToken: string | null): Promise<URL> {
    const own = new URL(this.#signedOutUri)
    const discovered = await this.#provider().catch(() => undefined) // signing out here must not need the provider
    if (discovered?.metadata.end_session_endpoint === undefined) return own
    return oidc.buildEndSessionUrl(discovered.shared, {
      post_logout_redirect_uri: own.href,
      ...(idToken !== null && { id_token_hint: idToken }),
    })
  }

  /**
   * Checks a logout token.
   * @throws Fault SIGN_IN_FAILED, PROVIDER_UNREACHABLE
   * @see OpenID Connect Back-Channel Logout 1.0, section 2.6
   */
  async logoutToken(token: string): Promise<LogoutToken> {
    const { keys, metadata } = await this.#provider()
    const { payload, protectedHeader } = await translated(() =>
      jose.jwtVerify(token, keys, {
        issuer: metadata.issuer,
        audience: this.#settings.clientId,
        algorithms: asymmetric,
        clockTolerance: skewSeconds,
        maxTokenAge: logoutTokenAgeSecondsMax,
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ['jti', 'events'],
      }),
    )
    const problem = logoutTokenProblem(payload, protectedHeader.typ)
    if (problem !== null) throw new Fault('SIGN_IN_FAILED', `The logout token was refused: ${problem}`)
    return {
      issuer: metadata.issuer,
      subject: payload.sub ?? null,
      providerSession: typeof payload['sid'] === 'string' ? payload['sid'] : null,
      jti: payload.jti ?? '',
    }
  }

  /**
   * Its name to the letter, as clients compare it. While nothing is known of the provider: as most of them write it,
   * without the slash that a URL without a path ends with.
   */
  get issuer(): string {
    const { href, pathname } = this.#settings.issuer
    return this.#discovered?.metadata.issuer ?? (pathname === '/' ? href.replace(/\/$/, '') : href)
  }

  /** Asks who it is, where that is not known yet; a provider that is down is asked again when it is needed. */
  async meet(): Promise<void> {
    await this.#provider().catch(() => undefined) // asked again when it is needed
  }

  /** @throws AccessTokenRefused, AccessTokenTooNarrow; Fault PROVIDER_UNREACHABLE, SIGN_IN_FAILED (its keys cannot be read) */
  async accessToken(text: string, wanted: OAuthSettings): Promise<VouchedByToken> {
    const { keys, metadata } = await this.#provider()
    const from = { issuer: metadata.issuer, keys, algorithms: asymmetric }
    return translated(() => verifyAccessToken(text, from, wanted, this.#clock.now()))
  }

  /**
   * What the userinfo endpoint says to whoever has this access token.
   * @returns undefined when there is no such endpoint, or it takes no token for another audience.
   * @throws Fault PROVIDER_UNREACHABLE, SIGN_IN_FAILED (about somebody else, or not to be read)
   */
  async userInfo(accessToken: string, subject: string): Promise<Claims | undefined> {
    const { shared, metadata } = await this.#provider()
    if (metadata.userinfo_endpoint === undefined) return undefined
    return translated(async () => {
      try {
        return await oidc.fetchUserInfo(shared, accessToken, subject)
      } catch (error) {
        if (isRefusal(error)) return undefined
        throw error
      }
    })
  }

  async #profile(configuration: oidc.Configuration, claims: Claims, accessToken: string): Promise<Profile> {
    const { groupsClaim, policyClaims } = this.#settings
    const endpoint = configuration.serverMetadata().userinfo_endpoint
    if (endpoint === undefined || !needsUserInfo(claims, groupsClaim, policyClaims)) {
      return profileOf(claims, groupsClaim, policyClaims)
    }
    const more = await translated(() => oidc.fetchUserInfo(configuration, accessToken, claims.sub))
    return profileOf({ ...more, ...claims }, groupsClaim, policyClaims)
  }

  /** openid-client checks `exp`, but not that `iat` has come. */
  #timely<T extends { readonly iat: number }>(claims: T | undefined): T {
    if (claims === undefined) throw new Fault('SIGN_IN_FAILED', 'The identity provider gave no ID token')
    if (claims.iat > this.#clock.now() / 1000 + skewSeconds) {
      throw new Fault('SIGN_IN_FAILED', 'The ID token was refused: issued in the future')
    }
    return claims
  }

  /** Lazily, so that the gateway starts while the provider is down; an old answer serves when a new one cannot be had. */
  async #provider(): Promise<Discovered> {
    const known = this.#discovered
    if (known !== undefined && known.staleAt > this.#clock.now()) return known
    this.#discovering ??= this.#discover().finally(() => (this.#discovering = undefined))
    try {
      return (this.#discovered = await this.#discovering)
    } catch (error) {
      if (known !== undefined) return known
      throw error
    }
  }

  async #discover(): Promise<Discovered> {
    const { issuer, clientId } = this.#settings
    const found = await translated(() =>
      oidc.discovery(issuer, clientId, undefined, oidc.None(), {
        timeout: providerDeadlineMs / 1000,
        execute: this.#insecure(),
        [oidc.customFetch]: this.#fetch as oidc.CustomFetch,
      }),
    )
    const metadata = found.serverMetadata()
    return {
      metadata,
      shared: this.#configuration(metadata),
      unproven: this.#bareConfiguration(metadata),
      keys: this.#remoteKeys(metadata),
      staleAt: later(this.#clock.now(), metadataKeepMs),
    }
  }

  #configuration(metadata: oidc.ServerMetadata): oidc.Configuration {
    const configuration = this.#bareConfiguration(metadata)
    // Without this the library trusts the channel and does not look at the ID token's signature.
    oidc.enableNonRepudiationChecks(configuration)
    return configuration
  }

  #bareConfiguration(metadata: oidc.ServerMetadata): oidc.Configuration {
    const secret = this.#settings.clientSecret.reveal()
    // RFC 8414 section 2: client_secret_basic where the provider names no methods.
    const basic = metadata.token_endpoint_auth_methods_supported?.includes('client_secret_basic') ?? true
    const authentication = basic ? oidc.ClientSecretBasic(secret) : oidc.ClientSecretPost(secret)
    const client = { [oidc.clockTolerance]: skewSeconds }
    const configuration = new oidc.Configuration(metadata, this.#settings.clientId, client, authentication)
    configuration.timeout = providerDeadlineMs / 1000
    configuration[oidc.customFetch] = this.#fetch as oidc.CustomFetch
    for (const apply of this.#insecure()) apply(configuration)
    return configuration
  }

  #insecure(): ((configuration: oidc.Configuration) => void)[] {
    return this.#settings.issuer.protocol === 'https:' ? [] : [oidc.allowInsecureRequests]
  }

  /** Also for logout tokens, which anybody may send: unknown keys make it look again, but at most every 30 s. */
  #remoteKeys(metadata: oidc.ServerMetadata): jose.JWTVerifyGetKey {
    if (metadata.jwks_uri === undefined) throw new Fault('SIGN_IN_FAILED', 'The identity provider names no jwks_uri')
    return jose.createRemoteJWKSet(new URL(metadata.jwks_uri), {
      timeoutDuration: providerDeadlineMs,
      cooldownDuration: 30_000,
      [jose.customFetch]: this.#fetch,
    })
  }
}

type Claims = Readonly<Record<string, unknown>> & { readonly sub: string }
