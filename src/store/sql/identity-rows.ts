import type { Person } from '../../identity/person.ts'
import { writeScopes, type Scope } from '../../identity/scopes.ts'
import type { Binding, BrowserSession, SignIn, Token } from '../../identity/store.ts'
import type { BindingId, BrowserSessionId, PersonId, SignInId, TokenId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { BindingRow, BrowserSessionRow, PersonRow, SignInRow, TokenRow } from './tables.ts'

// Between the values of the identity room and their rows. The database's own checks vouch for what the casts say.

export function fromPerson({
  id,
  issuer,
  subject,
  email,
  name,
  groups,
  claims = {},
  seenAt,
  kind = 'person',
}: Person): Omit<PersonRow, 'everything_ended_at'> {
  const lists = { groups: JSON.stringify(groups), claims: JSON.stringify(claims) }
  return { id, issuer, subject, email, name, ...lists, seen_at: seenAt, kind }
}

export function toPerson(row: PersonRow): Person {
  return {
    id: row.id as PersonId,
    issuer: row.issuer,
    subject: row.subject,
    email: row.email,
    name: row.name,
    groups: JSON.parse(row.groups) as string[],
    ...(row.claims !== '{}' && { claims: JSON.parse(row.claims) as Record<string, string[]> }),
    seenAt: row.seen_at as Instant,
    ...(row.kind === 'machine' && { kind: 'machine' }),
  }
}

export function fromBrowserSession(session: BrowserSession): BrowserSessionRow {
  return {
    id: session.id,
    person_id: session.person,
    secret_hash: session.secretHash,
    provider_session: session.providerSession,
    id_token: session.idToken,
    sealed_refresh_token: session.sealedRefreshToken,
    address: session.address,
    user_agent: session.userAgent,
    created_at: session.createdAt,
    expires_at: session.expiresAt,
    ended_at: session.endedAt,
  }
}

export function toBrowserSession(row: BrowserSessionRow): BrowserSession {
  return {
    id: row.id as BrowserSessionId,
    person: row.person_id as PersonId,
    secretHash: row.secret_hash,
    providerSession: row.provider_session,
    idToken: row.id_token,
    sealedRefreshToken: row.sealed_refresh_token,
    address: row.address,
    userAgent: row.user_agent,
    createdAt: row.created_at as Instant,
    expiresAt: row.expires_at as Instant,
    endedAt: row.ended_at as Instant | null,
  }
}

export function fromSignIn(signIn: SignIn): SignInRow {
  return {
    id: signIn.id,
    code: signIn.code,
    purpose: signIn.purpose,
    address: signIn.address,
    application: signIn.application,
    resource: signIn.resource,
    role: signIn.role,
    secret_hash: signIn.secretHash,
    key_fingerprint: signIn.keyFingerprint,
    created_at: signIn.createdAt,
    expires_at: signIn.expiresAt,
    state: signIn.state,
    person_id: signIn.person,
    browser_session_id: signIn.browserSession,
    answered_at: signIn.answeredAt,
  }
}

export function toSignIn(row: SignInRow): SignIn {
  return {
    id: row.id as SignInId,
    code: row.code,
    purpose: row.purpose as SignIn['purpose'],
    address: row.address,
    application: row.application,
    resource: row.resource,
    role: row.role,
    secretHash: row.secret_hash,
    keyFingerprint: row.key_fingerprint,
    createdAt: row.created_at as Instant,
    expiresAt: row.expires_at as Instant,
    state: row.state as SignIn['state'],
    person: row.person_id as PersonId | null,
    browserSession: row.browser_session_id as BrowserSessionId | null,
    answeredAt: row.answered_at as Instant | null,
  }
}

export function fromBinding(binding: Binding): BindingRow {
  return {
    id: binding.id,
    person_id: binding.person,
    browser_session_id: binding.browserSession,
    kind: binding.kind,
    value: binding.value,
    created_at: binding.createdAt,
    expires_at: binding.expiresAt,
    ended_at: binding.endedAt,
  }
}

export function toBinding(row: BindingRow): Binding {
  return {
    id: row.id as BindingId,
    person: row.person_id as PersonId,
    browserSession: row.browser_session_id as BrowserSessionId,
    kind: row.kind as Binding['kind'],
    value: row.value,
    createdAt: row.created_at as Instant,
    expiresAt: row.expires_at as Instant,
    endedAt: row.ended_at as Instant | null,
  }
}

export function fromToken(token: Token): TokenRow {
  return {
    id: token.id,
    person_id: token.person,
    label: token.label,
    kind: token.kind,
    secret_hash: token.secretHash,
    scopes: writeScopes(token.scopes),
    created_at: token.createdAt,
    expires_at: token.expiresAt,
    last_used_at: token.lastUsedAt,
    ended_at: token.endedAt,
  }
}

export function toToken(row: TokenRow): Token {
  return {
    id: row.id as TokenId,
    person: row.person_id as PersonId,
    label: row.label,
    kind: row.kind as Token['kind'],
    secretHash: row.secret_hash,
    scopes: row.scopes.split(' ') as Scope[],
    createdAt: row.created_at as Instant,
    expiresAt: row.expires_at as Instant,
    lastUsedAt: row.last_used_at as Instant | null,
    endedAt: row.ended_at as Instant | null,
  }
}
