import type { X509Certificate } from 'node:crypto'
import type { BindingId, BrowserSessionId, PersonId, SignInId, TokenId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Identified } from '../sessions/session.ts'
import type { AppSignIn } from './apps.ts'
import type { Person } from './person.ts'
import type { Scope } from './scopes.ts'
import type { Binding, BrowserSession, SignIn, Token } from './store.ts'

/** Somebody at a browser, signed in. */
export interface Visitor {
  readonly person: Person
  readonly browserSession: BrowserSession
}

/** Sign-in by OIDC in the browser: code flow with PKCE, state and nonce. */
export interface BrowserSignIn {
  /**
   * Starts a sign-in.
   * @param returnTo a path of the gateway's own pages (`/…`), to go on to; anything else becomes `/`.
   * @returns where to send the browser, and the value of a short-lived cookie that ties the answer to this browser.
   * @throws Fault PROVIDER_UNREACHABLE
   */
  begin(returnTo: string): Promise<{ readonly redirect: URL; readonly flowCookie: string }>
  /**
   * @returns where the sign-in of this cookie was to lead, if it is ours and took too long (within half a day): it is to be
   * begun anew. undefined for all others.
   */
  placeOfLate(flowCookie: string | undefined): string | undefined
  /**
   * Takes the provider's answer. A browser that is signed in already keeps its session if it is the same person by the same
   * sign-in at the provider (another tab was quicker); somebody else's ends, as nobody could sign it out any more.
   * @param from `sessionCookie`: what the browser holds now.
   * @returns the session's cookie value and the path to go on to.
   * @throws Fault SIGN_IN_FAILED for everything that is not as it must be: signature, issuer, audience, nonce, times, state, subject.
   */
  complete(
    callback: URL,
    flowCookie: string | undefined,
    from: { readonly address: string; readonly userAgent: string; readonly sessionCookie?: string | undefined },
  ): Promise<{ readonly sessionCookie: string; readonly expiresInMs: number; readonly returnTo: string }>
  /** Who holds this cookie; undefined when it is unknown, ended or over. */
  visitor(sessionCookie: string | undefined): Promise<Visitor | undefined>
  /**
   * Ends this browser's session, the sign-ins that hang on it, and their live sessions.
   * @returns where to send the browser to sign out at the provider too.
   */
  signOut(visitor: Visitor): Promise<URL>
  /** OIDC Back-Channel Logout 1.0: checks the logout token and ends what it names. @throws Fault SIGN_IN_FAILED */
  backChannelLogout(logoutToken: string): Promise<void>
}

/** Sign-in for programs without a browser: a link with a short code, answered on a page. */
export interface InBandSignIn {
  /** A remembered sign-in for a connection that looks like this; undefined when none, or when more than one person matches. */
  recognise(client: { readonly address: string }): Promise<Identified | undefined>
  begin(
    ask: Pick<SignIn, 'purpose' | 'address' | 'application' | 'resource' | 'role' | 'secretHash'> &
      Partial<Pick<SignIn, 'keyFingerprint'>>,
  ): Promise<SignIn>
  /** The page that answers it, `https://…/s/KF7-XR2`. */
  link(signIn: SignIn): URL
  /**
   * Waits for the answer. One with an SSH key is also answered when another with the same key is confirmed and remembered:
   * tools connect several times at once.
   * @throws Fault SIGN_IN_REFUSED, SIGN_IN_TIMED_OUT; rejects with `signal.reason` when it aborts.
   */
  answered(signIn: SignIn, signal: AbortSignal): Promise<Identified>
  /** For the page. Undefined when there is none with this code, or it is over. */
  byCode(code: string): Promise<SignIn | undefined>
  byId(id: SignInId): Promise<SignIn | undefined>
  /**
   * @param remember makes a binding for the program's address, or for its SSH key, up to `identity.rememberFor`.
   * @throws Fault SIGN_IN_OTHER_ADDRESS, SIGN_IN_TIMED_OUT, ALREADY_DECIDED, KEY_TAKEN (the SSH key is bound to somebody else)
   */
  confirm(signIn: SignIn, visitor: Visitor, from: { readonly address: string }, remember: boolean): Promise<void>
  refuse(signIn: SignIn, visitor: Visitor): Promise<void>
  /** What the page says about remembering: for how long, and whether both addresses are the same. */
  rememberMs: number
}

/** What somebody wants to do with a token. */
export interface TokenUse {
  /** `session`: a client shows it to open a session, which is not for the CLI's own. */
  readonly way: 'session' | 'api'
  /** Null: any will do. */
  readonly scope: Scope | null
}

export interface Tokens {
  /**
   * @param wish without `scopes`: `all` for the CLI's own session, `sessions` for the others.
   * @returns the token's text, shown once and never again. `curfew_` and 43 characters of base64url.
   * @throws Fault INPUT_INVALID, SIGNED_OUT
   */
  make(
    person: Person,
    wish: {
      readonly label: string
      readonly kind: Token['kind']
      readonly lengthMs: number
      readonly scopes?: readonly Scope[] | undefined
      /** What the person came in by; it must hold at the moment the token is made. */
      readonly by?: Pick<Identified, 'credential' | 'browserSession'>
    },
  ): Promise<{ readonly text: string; readonly token: Token }>
  /**
   * Whose it is.
   * @throws Fault TOKEN_REFUSED (unknown, revoked, over, or of the other kind), INSUFFICIENT_SCOPE; both are recorded in the
   *   audit log. RATE_LIMITED
   */
  verify(
    text: string,
    use: TokenUse,
    from: { readonly address: string },
  ): Promise<{ readonly person: Person; readonly token: Token }>
  readonly lengthMsMax: number
}

/** Machines that come with tokens of trusted issuers. */
export interface Machines {
  /** Those of the configuration. */
  readonly names: readonly string[]
  /**
   * A token for a machine, in exchange for one of an issuer that the configuration trusts (RFC 8693). It holds no longer
   * than that one.
   * @param wish `machine` null: the only one that the token is good for. `scopes` null: all that machines may.
   * @throws Fault TOKEN_REFUSED, INPUT_INVALID (good for several machines), PROVIDER_UNREACHABLE (the issuer's keys),
   *   RATE_LIMITED; all are recorded in the audit log
   */
  exchange(
    wish: {
      readonly subjectToken: string
      readonly machine: string | null
      readonly scopes: readonly Scope[] | null
    },
    from: { readonly address: string },
  ): Promise<{ readonly text: string; readonly token: Token; readonly person: Person }>
  /** Also one that is not configured any more. */
  byName(name: string): Promise<Person | undefined>
  /** Names of the machines that this person may ask for access for. */
  askedForBy(person: Pick<Person, 'groups'>): readonly string[]
}

/** What a person sees and ends of their own. */
export interface OwnSignIns {
  list(person: PersonId): Promise<{
    readonly browserSessions: readonly BrowserSession[]
    readonly bindings: readonly Binding[]
    readonly tokens: readonly Token[]
  }>
  /** Each ends the live sessions that came in by it. @throws Fault NOT_FOUND when it is not this person's. */
  revoke(person: Person, id: BrowserSessionId | BindingId | TokenId): Promise<void>
}

/** Who holds an SSH key: by a remembered sign-in, or by a certificate that `curfew login` got. */
export interface SshIdentity {
  /** Whose key this is now; undefined when it is not remembered. The caller has checked that the client holds it. */
  recogniseKey(fingerprint: string): Promise<Identified | undefined>
  /**
   * Makes a user certificate for a key on the person's machine (OpenSSH PROTOCOL.certkeys). It holds no longer than the
   * token, nor than `sshCertificateMsMax`; ending the token ends it.
   * @param publicKey one line as in `id_ed25519.pub`.
   * @throws Fault INPUT_INVALID (not a public key, or a weak one), TOKEN_REFUSED (ended since, or not the CLI's),
   *   RATE_LIMITED
   */
  issueCertificate(
    owner: { readonly person: Person; readonly token: Token },
    publicKey: string,
  ): Promise<{ readonly certificate: string; readonly expiresAt: Instant }>
  /**
   * Whose certificate this is. The caller has checked that the client holds its key.
   * @param blob the whole certificate.
   * @throws Fault CERTIFICATE_REFUSED (another authority, over, ended, for another purpose), recorded in the audit log.
   */
  verifyCertificate(blob: Uint8Array, from: { readonly address: string }): Promise<Identified>
}

/** Who holds a client certificate (X.509) that `curfew login` got. */
export interface ClientCertificates {
  /** The authority's certificate, PEM: what a listener tells its clients that it knows. */
  readonly authority: string
  /**
   * Makes a client certificate for a key on the person's machine. It holds no longer than the token, nor than
   * `clientCertificateMsMax`; ending the token ends it.
   * @param publicKey SubjectPublicKeyInfo, DER; of curve P-256.
   * @returns PEM
   * @throws Fault INPUT_INVALID (not a public key, or of another kind), TOKEN_REFUSED (ended since, or not the CLI's),
   *   RATE_LIMITED
   */
  issue(
    owner: { readonly person: Person; readonly token: Token },
    publicKey: Uint8Array,
  ): Promise<{ readonly certificate: string; readonly expiresAt: Instant }>
  /**
   * Whose certificate this is; undefined when another authority made it, by its own words. The caller has checked that the
   * client holds its key, and nothing else.
   * @throws Fault CERTIFICATE_REFUSED (over, ended, not signed by this gateway's key), recorded in the audit log.
   */
  verify(certificate: X509Certificate, from: { readonly address: string }): Promise<Identified | undefined>
}

/** Sign-in by a client that gets an access token from the provider by itself, as psql 18 does. */
export interface OAuthSignIn {
  /** What a client has to know first: where the provider's metadata is, and the scopes to ask for, between spaces. */
  readonly discovery: { readonly configuration: string; readonly scope: string }
  /** What people tell psql; right to the letter once the provider has answered. */
  readonly client: { readonly issuer: string; readonly clientId: string }
  /**
   * Whose access token this is. The sign-in that comes of it ends with the token, at the latest.
   * @throws Fault TOKEN_REFUSED, INSUFFICIENT_SCOPE, SIGN_IN_REQUIRED (never seen in a browser), SIGN_IN_FAILED; these are
   *   recorded in the audit log. RATE_LIMITED, PROVIDER_UNREACHABLE
   */
  verify(text: string, from: { readonly address: string; readonly application: string }): Promise<Identified>
}

export interface Identity {
  readonly browser: BrowserSignIn
  readonly inBand: InBandSignIn
  readonly tokens: Tokens
  readonly machines: Machines
  readonly own: OwnSignIns
  readonly ssh: SshIdentity
  readonly certificates: ClientCertificates
  /** Null: the configuration says nothing of it. */
  readonly oauth: OAuthSignIn | null
  readonly apps: AppSignIn
  person(id: PersonId): Promise<Person | undefined>
  /** Whether they are signed in now, in whichever browser. */
  isSignedIn(person: Pick<Person, 'id'>): Promise<boolean>
  /** Whether what somebody was known by has neither ended nor run out since. */
  stands(identified: Identified): Promise<boolean>
  /** For operators who name somebody in a lock. Letters' case does not matter; at most 10. */
  peopleByEmail(email: string): Promise<readonly Person[]>
}
