import type { JWTPayload } from 'jose'

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout'

/**
 * Why the claims are not those of a logout token; null when they are. Older providers send no type or `JWT`; with the event and without a nonce it still
 * cannot be an ID token.
 * @see OpenID Connect Back-Channel Logout 1.0, section 2.6
 */
export function logoutTokenProblem(payload: JWTPayload, typ: string | undefined): string | null {
  if (typ !== undefined && !/^(?:application\/)?(?:logout\+jwt|jwt)$/i.test(typ)) return `its type is ${typ}`
  const events = payload['events']
  const event = typeof events === 'object' && events !== null ? (events as Record<string, unknown>)[logoutEvent] : null
  if (typeof event !== 'object' || event === null) return 'it has no logout event'
  if (payload['nonce'] !== undefined) return 'it has a nonce'
  if (payload.sub === undefined && typeof payload['sid'] !== 'string') return 'it names nobody'
  return null
}
