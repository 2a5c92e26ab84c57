import type { Facts } from '../audit/facts.ts'
import type { BindingId, BrowserSessionId, PersonId, SignInId, TokenId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Person } from './person.ts'
import type { Scope } from './scopes.ts'

/** A browser that signed in, or a client by its access token. The cookie holds a random value; only its SHA-256 is kept. */
export interface BrowserSession {
  readonly id: BrowserSessionId
  readonly person: PersonId
  /** SHA-256 of the cookie's value, or what is kept of the access token; base64url. */
  readonly secretHash: string
  /** The provider's own session id (`sid` claim), for back-channel logout. */
  readonly providerSession: string | null
  /** Kept only to sign out at the provider (id_token_hint). Null: no browser's, but one that came of an access token. */
  readonly idToken: string | null
  /** The provider's refresh token, AES-256-GCM under the gateway's data key, base64url; null when the provider gave none. */
  readonly sealedRefreshToken: string | null
  readonly address: string
  readonly userAgent: string
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly endedAt: Instant | null
}

/** A program without a browser that waits until somebody signs in for it on a page. */
export interface SignIn {
  readonly id: SignInId
  /** Short and easy to compare, for example `KF7-XR2`; shown by the program and on the page. */
  readonly code: string
  readonly purpose: 'postgres' | 'ssh' | 'cli'
  /** Who asks, as far as the gateway can see. */
  readonly address: string
  readonly application: string
  /** What they want to reach; null for the CLI. */
  readonly resource: string | null
  readonly role: string | null
  /** For purpose `cli`: SHA-256 of the secret that only the waiting program holds, base64url. */
  readonly secretHash: string | null
  /** For purpose `ssh`: the fingerprint (`SHA256:…`) of the public key that the client proved to hold; null without one. */
  readonly keyFingerprint: string | null
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly state: 'waiting' | 'confirmed' | 'refused'
  /** Who answered it; null while waiting. */
  readonly person: PersonId | null
  readonly browserSession: BrowserSessionId | null
  readonly answeredAt: Instant | null
}

/** A remembered sign-in: connections that look the same need no browser for a while. */
export interface Binding {
  readonly id: BindingId
  readonly person: PersonId
  readonly browserSession: BrowserSessionId
  /** What is recognised. PostgreSQL without a certificate has only the address; SSH has a key's fingerprint. */
  readonly kind: 'address' | 'ssh-key'
  readonly value: string
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly endedAt: Instant | null
}

/** A password-like secret for programs. Only its SHA-256 is kept. */
export interface Token {
  readonly id: TokenId
  readonly person: PersonId
  /** What it is for, in its owner's words. */
  readonly label: string
  /** `access`: for a program. `cli`: the CLI's own session, which opens no sessions by itself. */
  readonly kind: 'access' | 'cli'
  /** SHA-256 of the whole token text, base64url. */
  readonly secretHash: string
  /** What it may be used for; at least one. */
  readonly scopes: readonly Scope[]
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly lastUsedAt: Instant | null
  readonly endedAt: Instant | null
}

/** What a machine's token was exchanged for. */
export interface MachineOrigin {
  /** Of the token that it came with. */
  readonly issuer: string
  readonly subject: string
  /** The machine as it was configured then; see `definitionOf`. */
  readonly definition: string
}

export interface IdentityReads {
  person(id: PersonId): Promise<Person | undefined>
  personBySubject(issuer: string, subject: string): Promise<Person | undefined>
  /** Letters' case does not matter; more than one when issuers overlap. At most 10. */
  peopleByEmail(email: string): Promise<readonly Person[]>
  /** When everything that they were known by was ended last; null: never. */
  everythingEndedAt(id: PersonId): Promise<Instant | null>
  browserSession(id: BrowserSessionId): Promise<BrowserSession | undefined>
  browserSessionBySecret(secretHash: string): Promise<BrowserSession | undefined>
  browserSessionsOf(person: PersonId): Promise<readonly BrowserSession[]>
  /** Those of `browserSessionsOf` that ended after `at`, or had neither ended nor run out then. */
  browserSessionsLivingAfter(person: PersonId, at: Instant): Promise<readonly BrowserSession[]>
  browserSessionsByProvider(issuer: string, providerSession: string): Promise<readonly BrowserSession[]>
  /** Not ended, with a refresh token, and either not over at `at` or with a live session that hangs on it. */
  browserSessionsToRefresh(at: Instant): Promise<readonly BrowserSession[]>
  signIn(id: SignInId): Promise<SignIn | undefined>
  signInByCode(code: string): Promise<SignIn | undefined>
  binding(id: BindingId): Promise<Binding | undefined>
  bindingsFor(kind: Binding['kind'], value: string, at: Instant): Promise<readonly Binding[]>
  bindingsOf(person: PersonId): Promise<readonly Binding[]>
  token(id: TokenId): Promise<Token | undefined>
  tokenBySecret(secretHash: string): Promise<Token | undefined>
  tokensOf(person: PersonId): Promise<readonly Token[]>
  /** Neither ended nor over at `at`. */
  livingTokens(person: PersonId, at: Instant): Promise<number>
  machines(): Promise<readonly Person[]>
  /** Neither ended nor over at `at`. */
  livingMachineTokens(at: Instant): Promise<readonly { readonly token: Token; readonly origin: MachineOrigin }[]>
}

export interface IdentityTx extends IdentityReads, Facts {
  /** Inserts, or updates e-mail, name, groups and seenAt of the person with this id. */
  savePerson(person: Person): Promise<void>
  noteEverythingEnded(id: PersonId, at: Instant): Promise<void>
  insertBrowserSession(session: BrowserSession): Promise<void>
  /** The provider gave a new refresh token, or took it back (null). */
  updateBrowserSessionTokens(id: BrowserSessionId, sealedRefreshToken: string | null): Promise<void>
  /** False if it had ended already. */
  endBrowserSession(id: BrowserSessionId, at: Instant): Promise<boolean>
  insertSignIn(signIn: SignIn): Promise<void>
  /** From `waiting` only; false if somebody was quicker. */
  answerSignIn(signIn: SignIn & { readonly state: 'confirmed' | 'refused' }): Promise<boolean>
  insertBinding(binding: Binding): Promise<void>
  endBinding(id: BindingId, at: Instant): Promise<boolean>
  insertToken(token: Token): Promise<void>
  insertMachineToken(token: Token, origin: MachineOrigin): Promise<void>
  endToken(id: TokenId, at: Instant): Promise<boolean>
  touchToken(id: TokenId, at: Instant): Promise<void>
}

export interface IdentityStore extends IdentityReads {
  /** All of `work` happens, durably, or nothing of it. */
  transact<T>(work: (tx: IdentityTx) => Promise<T>): Promise<T>
}
