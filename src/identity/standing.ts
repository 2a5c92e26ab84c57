import type { Change } from '../kernel/change.ts'
import type { BindingId, BrowserSessionId, TokenId } from '../kernel/ids.ts'
import type { Instant } from '../kernel/time.ts'
import type { Identified } from '../sessions/session.ts'
import { isLive } from './endings.ts'
import type { IdentityReads } from './store.ts'

type Reads = Pick<IdentityReads, 'browserSession' | 'binding' | 'token'>

/** Whether what somebody was known by still holds at `at`: the credential itself, and the sign-in that it hangs on. */
export async function stands(store: Reads, identified: Identified, at: Instant): Promise<boolean> {
  const { browserSession } = identified
  const [credential, session] = await Promise.all([
    credentialOf(store, identified),
    browserSession === null ? null : store.browserSession(browserSession),
  ])
  if (credential === undefined || !isLive(credential, at)) return false
  return session === null || (session !== undefined && isLive(session, at))
}

/** Whether a change ends it. */
export function endsStanding(change: Change, identified: Omit<Identified, 'personName'>): boolean {
  if (change.kind === 'credential-revoked') return change.credential === identified.credential
  if (change.kind !== 'signed-out' || change.person !== identified.person) return false
  return change.browserSession === null || change.browserSession === identified.browserSession
}

function credentialOf(store: Reads, { credential: id }: Identified) {
  if (id.startsWith('token-')) return store.token(id as TokenId)
  if (id.startsWith('browser-')) return store.browserSession(id as BrowserSessionId)
  return store.binding(id as BindingId)
}
