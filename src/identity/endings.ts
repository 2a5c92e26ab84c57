import { auditEvent } from '../audit/event.ts'
import type { Actor } from '../audit/event.ts'
import type { Instant } from '../kernel/time.ts'
import { displayName } from './person.ts'
import type { Person } from './person.ts'
import type { Binding, BrowserSession, IdentityTx, Token } from './store.ts'

/** Why a sign-in ended, as the audit log says it. */
export type EndCause =
  | 'sign-out'
  | 'sign-in as somebody else'
  | 'revoked by its owner'
  | 'provider sign-out'
  | 'provider refused the refresh'
  | 'machine changed'

interface Lasting {
  readonly expiresAt: Instant
  readonly endedAt: Instant | null
}

/** Neither ended nor over. The end instant itself is already outside. */
export function isLive(thing: Lasting, at: Instant): boolean {
  return thing.endedAt === null && at < thing.expiresAt
}

/** A browser's own sign-in, and not one by an access token. */
export function isBrowsers({ idToken }: Pick<BrowserSession, 'idToken'>): boolean {
  return idToken !== null
}

export function actorOf(person: Person): Actor {
  return { id: person.id, name: displayName(person) }
}

/** Ends one browser's sign-in and the bindings that hang on it. False if it had ended already. */
export async function endBrowserSession(
  tx: IdentityTx,
  person: Person,
  session: BrowserSession,
  at: Instant,
  cause: EndCause,
): Promise<boolean> {
  if (!(await tx.endBrowserSession(session.id, at))) return false
  if (session.sealedRefreshToken !== null) await tx.updateBrowserSessionTokens(session.id, null)
  for (const binding of await tx.bindingsOf(person.id)) {
    if (binding.browserSession === session.id && isLive(binding, at)) await endBinding(tx, person, binding, at, cause)
  }
  await tx.record(auditEvent('person.signed-out', at, actorOf(person), { browserSession: session.id, cause }))
  await tx.announce({ kind: 'signed-out', person: person.id, browserSession: session.id })
  return true
}

/** Ends everything that this person is known by, tokens too. The change reaches all of their live sessions. */
export async function endEverything(tx: IdentityTx, person: Person, at: Instant, cause: EndCause): Promise<void> {
  for (const session of await tx.browserSessionsOf(person.id)) {
    if (isLive(session, at)) await endBrowserSession(tx, person, session, at, cause)
  }
  for (const token of await tx.tokensOf(person.id)) {
    if (isLive(token, at)) await endToken(tx, person, token, at, cause)
  }
  await tx.noteEverythingEnded(person.id, at)
  await tx.record(auditEvent('person.signed-out', at, actorOf(person), { everything: true, cause }))
  await tx.announce({ kind: 'signed-out', person: person.id, browserSession: null })
}

/** What a binding recognises, as the audit log says it. */
export function bindingValue({ kind, value }: Pick<Binding, 'kind' | 'value'>): { address: string } | { key: string } {
  return kind === 'address' ? { address: value } : { key: value }
}

export async function endBinding(
  tx: IdentityTx,
  person: Person,
  binding: Binding,
  at: Instant,
  cause: EndCause,
): Promise<boolean> {
  if (!(await tx.endBinding(binding.id, at))) return false
  const data = { binding: binding.id, ...bindingValue(binding), cause }
  await tx.record(auditEvent('binding.revoked', at, actorOf(person), data))
  await tx.announce({ kind: 'credential-revoked', person: person.id, credential: binding.id })
  return true
}

export async function endToken(
  tx: IdentityTx,
  person: Person,
  token: Token,
  at: Instant,
  cause: EndCause,
): Promise<boolean> {
  if (!(await tx.endToken(token.id, at))) return false
  const data = { token: token.id, label: token.label, cause }
  await tx.record(auditEvent('token.revoked', at, actorOf(person), data))
  await tx.announce({ kind: 'credential-revoked', person: person.id, credential: token.id })
  return true
}
