import { auditEvent, refusalData, theGateway } from '../audit/event.ts'
import type { OAuthSettings } from '../config/config.ts'
import { Fault } from '../kernel/fault.ts'
import type { Instant } from '../kernel/time.ts'
import { later } from '../kernel/time.ts'
import type { Identified } from '../sessions/session.ts'
import { AccessTokenRefused, AccessTokenTooNarrow, type VouchedByToken } from './access-token.ts'
import { plainAddress } from './address.ts'
import type { IdentityDeps } from './deps.ts'
import { actorOf, isBrowsers, isLive } from './endings.ts'
import { FailureLimit } from './failure-limit.ts'
import { secretHash } from './hash.ts'
import type { OAuthSignIn } from './identity.ts'
import { updatePerson } from './people.ts'
import { displayName, type Person } from './person.ts'
import { profileOf, type Profile } from './profile.ts'
import type { OidcClient } from './provider.ts'
import { SeenOnce } from './seen-once.ts'
import type { IdentityTx } from './store.ts'

const failuresPerMinuteMax = 10
const minuteMs = 60_000
const applicationCharsMax = 64

/**
 * Of a name that ends in a slash there are two then: libpq takes the issuer to be what stands before this, and compares it.
 * @see OpenID Connect Discovery 1.0, section 4
 */
const configurationPath = '/.well-known/openid-configuration'

interface From {
  readonly address: string
  readonly application: string
}

/** Sign-in by a client that gets its access token from the provider itself, as psql 18 does. */
export function createOAuthSignIn(deps: IdentityDeps, provider: OidcClient, oauth: OAuthSettings): OAuthSignIn {
  const { settings, store, clock, random, metrics, publicUrl } = deps
  const failures = new FailureLimit(clock, failuresPerMinuteMax, minuteMs)
  // A program that goes on with a dead token guesses nothing: it must not lock its neighbours out.
  const refused = new SeenOnce(clock, minuteMs)

  // People are told its name before anybody signs in.
  void provider.meet()

  return {
    get discovery() {
      return { configuration: `${provider.issuer}${configurationPath}`, scope: oauth.scopes.join(' ') }
    },
    client: {
      get issuer() {
        return provider.issuer
      },
      clientId: oauth.clientId,
    },

    async verify(text, { address: from, application }) {
      const address = plainAddress(from)
      try {
        if (failures.reached(address)) throw new Fault('RATE_LIMITED', 'Too many tokens were refused for this address')
        const identified = await enter(text, { address, application })
        metrics.add('curfew_sign_ins_total', { way: 'oauth', outcome: 'ok' })
        return identified
      } catch (error) {
        throw await noted(error, text, address)
      }
    },
  }

  async function enter(text: string, from: From): Promise<Identified> {
    const at = clock.now()
    const vouched = await provider.accessToken(text, oauth)
    const known = await store.personBySubject(vouched.issuer, vouched.subject)
    if (known === undefined) throw neverSignedIn(publicUrl)
    const mark = markOf(text)
    const isNew = (await store.browserSessionBySecret(mark)) === undefined
    const profile = isNew ? await profileFrom(vouched, text, known, at) : null
    return store.transact((tx) => admit(tx, { vouched, mark, profile, from, at }))
  }

  interface Arrival {
    readonly vouched: VouchedByToken
    readonly mark: string
    readonly profile: Profile | null
    readonly from: From
    readonly at: Instant
  }

  /** One sign-in for each token, however often it comes. Once that has ended, the token opens nothing any more. */
  async function admit(tx: IdentityTx, { vouched, mark, profile, from, at }: Arrival): Promise<Identified> {
    const known = await tx.personBySubject(vouched.issuer, vouched.subject)
    if (known === undefined) throw neverSignedIn(publicUrl)
    const before = await tx.browserSessionBySecret(mark)
    if (before !== undefined && !isLive(before, at)) throw new AccessTokenRefused('its sign-in has ended')
    if (before === undefined && (await isSignedOut(tx, known, vouched, at))) {
      throw new AccessTokenRefused('its person has signed out since it was issued')
    }
    const isNews = profile !== null && !isOlder(vouched, known)
    const toldAt = Math.min(at, vouched.issuedBy) as Instant
    const person = isNews ? await updatePerson(tx, known, profile, toldAt) : known
    const id = before?.id ?? (await begin(tx, person, { vouched, mark, profile, from, at }))
    return { person: person.id, personName: displayName(person), credential: id, browserSession: id }
  }

  async function begin(tx: IdentityTx, person: Person, { vouched, mark, from, at }: Arrival) {
    const id = random.id('browser')
    await tx.insertBrowserSession({
      ...{ id, person: person.id, secretHash: mark, providerSession: vouched.providerSession },
      // No ID token: this is what tells it from a browser's sign-in.
      ...{ idToken: null, sealedRefreshToken: null, address: from.address },
      userAgent: `${from.application.slice(0, applicationCharsMax)} (OAuth)`.trim(),
      createdAt: at,
      expiresAt: Math.min(vouched.expiresAt, later(at, settings.sessionMs)) as Instant,
      endedAt: null,
    })
    const data = { way: 'oauth', browserSession: id, address: from.address, groups: person.groups }
    await tx.record(auditEvent('person.signed-in', at, actorOf(person), data))
    return id
  }

  /**
   * What policies look at, by the token itself, or by the userinfo endpoint. Where neither says, or the provider has said
   * something since the token was issued, that counts, for as long as a browser's sign-in lasts.
   * @returns null: as the person is known.
   */
  async function profileFrom(
    vouched: VouchedByToken,
    text: string,
    person: Person,
    at: Instant,
  ): Promise<Profile | null> {
    const told = isOlder(vouched, person) ? null : await profileNow(vouched, text, person)
    if (told !== null || at < later(person.seenAt, settings.sessionMs)) return told
    throw neverSignedIn(publicUrl)
  }

  async function profileNow({ claims }: VouchedByToken, text: string, person: Person): Promise<Profile | null> {
    const { groupsClaim, policyClaims = [] } = settings.oidc
    const isWhole = [groupsClaim, ...policyClaims].every((claim) => claims[claim] !== undefined)
    const more = isWhole ? {} : await provider.userInfo(text, person.subject)
    if (more === undefined) return null
    const said = profileOf({ ...more, ...claims }, groupsClaim, policyClaims)
    return { ...said, email: emailFrom(more, claims, person), name: said.name ?? person.name }
  }

  /** Counts and records why somebody did not get in, and makes a Fault of it. */
  async function noted(error: unknown, text: string, address: string): Promise<unknown> {
    const fault = faultOf(error)
    if (!(fault instanceof Fault)) return fault
    metrics.add('curfew_sign_ins_total', { way: 'oauth', outcome: fault.code })
    const isTheirs = fault.code !== 'RATE_LIMITED' && fault.code !== 'PROVIDER_UNREACHABLE'
    if (isTheirs && refused.first(`${address} ${secretHash(text)}`) && failures.count(address)) {
      const data = { way: 'oauth', address, ...refusalData(fault.code, fault.message) }
      await store.transact((tx) => tx.record(auditEvent('person.sign-in-refused', clock.now(), theGateway, data)))
    }
    return fault
  }
}

type Claims = VouchedByToken['claims']

/** Whether the provider has told of the person since it issued the token: that holds the groups of then. */
function isOlder({ issuedBy }: VouchedByToken, { seenAt }: Person): boolean {
  return issuedBy < seenAt
}

/**
 * Whether a token that nobody has shown yet was issued before a sign-out that ends it: of a browser in its own session at
 * the provider, or in one that cannot be told from that, also after it had run out; of the last sign-in that the person
 * had; or of everything.
 */
async function isSignedOut(tx: IdentityTx, { id }: Person, vouched: VouchedByToken, at: Instant): Promise<boolean> {
  if (vouched.issuedBy < ((await tx.everythingEndedAt(id)) ?? 0)) return true
  const sessions = await tx.browserSessionsLivingAfter(id, vouched.issuedBy)
  const ended = sessions.filter(({ endedAt }) => endedAt !== null)
  if (ended.length > 0 && !sessions.some((session) => isLive(session, at))) return true
  const own = vouched.providerSession
  const browsers = ended.filter(isBrowsers).map(({ providerSession }) => providerSession)
  return browsers.some((other) => own === null || other === null || own === other)
}

/** Few access tokens say whether the address is verified, and one of which that is not known must not come in by them. */
function emailFrom(more: Claims, claims: Claims, { email }: Person): string | null {
  if (more['email'] !== undefined) return profileOf(more, '').email
  const isSaid = claims['email'] !== undefined && claims['email_verified'] !== undefined
  return isSaid ? profileOf(claims, '').email : email
}

/**
 * What is kept of a token: of what is signed, as the same signature can be written in several ways, and some have a twin.
 * The NUL keeps it apart from every cookie and every token of our own.
 * @param text was verified.
 */
function markOf(text: string): string {
  return secretHash(`\0oauth ${text.slice(0, text.lastIndexOf('.'))}`)
}

/**
 * Only somebody who has signed in by a browser is known: their subject is the same then for both clients of the provider.
 * Otherwise one person could be two, and approve what they asked for themselves.
 */
function neverSignedIn(publicUrl: URL): Fault {
  return new Fault('SIGN_IN_REQUIRED', 'The gateway does not know you well enough yet.', {
    hint: `Sign in once at ${publicUrl.href} and connect again.`,
  })
}

function faultOf(error: unknown): unknown {
  if (error instanceof AccessTokenRefused) {
    const hint =
      'Connect again and sign in once more. If it stays, your operations people can read why in the audit log.'
    return new Fault('TOKEN_REFUSED', `The access token was refused: ${error.message}.`, { hint })
  }
  if (error instanceof AccessTokenTooNarrow) {
    const hint = 'Your operations people can let this client have it at the identity provider.'
    return new Fault('INSUFFICIENT_SCOPE', `The access token is too narrow: ${error.message}.`, { hint })
  }
  return error
}
