import type { Access } from '../../access/access.ts'
import { appCookieName, type AppPlace, type AppVisitor } from '../../identity/apps.ts'
import type { Identity } from '../../identity/identity.ts'
import { displayName, type Person } from '../../identity/person.ts'
import { endsStanding } from '../../identity/standing.ts'
import { toOpenSessions } from '../../identity/tokens.ts'
import type { Change, ChangeFeed } from '../../kernel/change.ts'
import { readCookie } from '../../kernel/cookies.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Identified } from '../../sessions/session.ts'
import type { HttpRequest } from './front.ts'

/** Somebody who is known on one request, and as what. */
export interface Known {
  readonly identified: Identified
  readonly person: Person
  readonly role: string
  /** By the application's own cookie: this entry of it. Null: by a token, so no page of another origin can have sent it. */
  readonly entry: string | null
  /** `Authorization` carried the gateway's own token; it is not the target's business. */
  readonly ownAuthorization: boolean
}

export interface IdentifyDeps {
  readonly identity: Pick<Identity, 'apps' | 'tokens'>
  readonly access: Pick<Access, 'offers' | 'livingGrants'>
  readonly changes: ChangeFeed
  readonly clock: Clock
}

type MaybeLater<T> = T | Promise<T>

/** What a request shows of who sends it. */
export type Credential =
  | { readonly kind: 'cookie'; readonly cookie: string | undefined }
  | {
      readonly kind: 'token'
      readonly token: string
      /** The role that it asks for; empty: none. */
      readonly wanted: string
      readonly ownAuthorization: boolean
      /** Under which it is remembered. */
      readonly key: string
    }

/** How long a token's answer is believed without asking the store; what ends a token is heard of at once. */
const rememberTokenMs = 10_000
const rememberedTokensMax = 5000
const roleCharsMax = 64
const tokenPrefix = 'curfew_'
const bearer = /^bearer +/i

interface Remembered {
  readonly known: Known
  readonly untilMs: number
}

/**
 * Finds out who sends requests to applications: by the cookie of that host, or by an access token in `Authorization` or
 * `Curfew-Token`. What was found lately is answered at once, without a promise.
 */
export class Identifier implements Disposable {
  readonly #deps: IdentifyDeps
  readonly #tokens = new Map<string, Remembered>()
  /** While `AppSignIn` remembers somebody, it gives the same object. */
  readonly #visitors = new WeakMap<AppVisitor, Known>()
  /** How often something was to be forgotten. */
  #forgets = 0
  readonly #subscription: Disposable

  constructor(deps: IdentifyDeps) {
    this.#deps = deps
    this.#subscription = deps.changes.subscribe((change) => this.#forget(change))
  }

  /**
   * @returns undefined for somebody unknown.
   * @throws Fault TOKEN_REFUSED, INSUFFICIENT_SCOPE, RATE_LIMITED, ROLE_REQUIRED, ROLE_UNKNOWN; or rejects with them
   */
  identify(request: HttpRequest, place: AppPlace, address: string): MaybeLater<Known | undefined> {
    const credential = credentialOf(request, place)
    if (credential.kind === 'cookie') return this.#byCookie(credential.cookie, place)
    const known = this.#rememberedBy(credential.key)
    const { token, wanted, ownAuthorization } = credential
    if (known === undefined) return this.#byToken(token, place, wanted, address, ownAuthorization)
    return known.ownAuthorization === ownAuthorization ? known : { ...known, ownAuthorization }
  }

  /**
   * Who that is by what is remembered, without asking anybody: the same object as long as nothing changed.
   * @returns undefined also when it is time to ask again.
   */
  lately(credential: Credential, place: AppPlace): Known | undefined {
    if (credential.kind === 'cookie') return this.#knownBy(this.#deps.identity.apps.lately(place, credential.cookie))
    const known = this.#rememberedBy(credential.key)
    return known?.ownAuthorization === credential.ownAuthorization ? known : undefined
  }

  #rememberedBy(key: string): Known | undefined {
    const remembered = this.#tokens.get(key)
    if (remembered === undefined || remembered.untilMs <= this.#deps.clock.monotonicMs()) return undefined
    return remembered.known
  }

  #byCookie(cookie: string | undefined, place: AppPlace): MaybeLater<Known | undefined> {
    const visitor = this.#deps.identity.apps.visitor(place, cookie)
    return visitor instanceof Promise ? visitor.then((found) => this.#knownBy(found)) : this.#knownBy(visitor)
  }

  #knownBy(visitor: AppVisitor | undefined): Known | undefined {
    if (visitor === undefined) return undefined
    let known = this.#visitors.get(visitor)
    if (known === undefined) {
      known = { ...visitor, ownAuthorization: false }
      this.#visitors.set(visitor, known)
    }
    return known
  }

  async #byToken(
    text: string,
    place: AppPlace,
    wanted: string,
    address: string,
    ownAuthorization: boolean,
  ): Promise<Known> {
    const forgetsBefore = this.#forgets
    const { person, token } = await this.#deps.identity.tokens.verify(text, toOpenSessions, { address })
    const identified = {
      person: person.id,
      personName: displayName(person),
      credential: token.id,
      browserSession: null,
    }
    const role = await this.#roleOf(person, place.resource, wanted)
    const known: Known = { identified, person, role, entry: null, ownAuthorization }
    // No role has such a name, and whoever asks by many would fill the memory with them.
    if (wanted.length > roleCharsMax) return known
    // What ended it meanwhile is not told again.
    if (this.#forgets !== forgetsBefore) return known
    if (this.#tokens.size >= rememberedTokensMax) this.#tokens.clear()
    const { clock } = this.#deps
    const untilMs = clock.monotonicMs() + Math.min(rememberTokenMs, token.expiresAt - clock.now())
    this.#tokens.set(keyOf(text, place, wanted), { known, untilMs })
    return known
  }

  /** The one that is named; the only one that they may have; the only one that they have now. */
  async #roleOf(person: Person, resource: string, wanted: string): Promise<string> {
    if (wanted !== '') return wanted
    const { access, clock } = this.#deps
    const roles = access.offers(person, undefined, resource)
    if (roles.length === 1) return roles[0]!.role.name
    const now = clock.now()
    const grants = (await access.livingGrants(person.id)).filter(
      (grant) => grant.resource === resource && grant.state === 'active' && now < grant.expiresAt,
    )
    if (grants.length === 1) return grants[0]!.role
    if (roles.length === 0) throw new Fault('NOT_ALLOWED', 'No policy lets you use this application.')
    const names = roles.map(({ role }) => role.name).join(', ')
    throw new Fault('ROLE_REQUIRED', 'You may use this application as more than one role.', {
      hint: `Say which with the header Curfew-Role: ${names}.`,
    })
  }

  #forget(change: Change): void {
    this.#forgets += 1
    if (change.kind === 'person-changed') {
      this.#forgetWhere(({ person }) => person.id === change.person)
    } else if (change.kind === 'signed-out' || change.kind === 'credential-revoked') {
      this.#forgetWhere(({ identified }) => endsStanding(change, identified))
    } else if (change.kind === 'grant-started' || change.kind === 'grant-ended') {
      // Which role is meant may depend on it.
      this.#tokens.clear()
    }
  }

  #forgetWhere(isMeant: (known: Known) => boolean): void {
    for (const [key, { known }] of this.#tokens) if (isMeant(known)) this.#tokens.delete(key)
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]()
    this.#tokens.clear()
  }
}

export function credentialOf({ headers }: Pick<HttpRequest, 'headers'>, place: AppPlace): Credential {
  const own = ownToken(headers.authorization)
  const token = own ?? headerText(headers['curfew-token'])
  if (token === undefined) return { kind: 'cookie', cookie: readCookie(headers.cookie, appCookieName) }
  const wanted = headerText(headers['curfew-role']) ?? ''
  return { kind: 'token', token, wanted, ownAuthorization: own !== undefined, key: keyOf(token, place, wanted) }
}

function keyOf(token: string, { resource }: AppPlace, wanted: string): string {
  return `${resource} ${wanted} ${token}`
}

/** The gateway's own token in an `Authorization` header; undefined for what is meant for the application. */
function ownToken(header: string | undefined): string | undefined {
  if (header === undefined || !bearer.test(header)) return undefined
  const token = header.replace(bearer, '').trim()
  return token.startsWith(tokenPrefix) ? token : undefined
}

function headerText(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
