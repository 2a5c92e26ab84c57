import type { Identity } from '../../identity/identity.ts'
import { displayName } from '../../identity/person.ts'
import { toOpenSessions } from '../../identity/tokens.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Identified } from '../../sessions/session.ts'
import type { Client } from './client.ts'
import { byOAuth } from './identify-oauth.ts'
import { authenticationCleartextPassword, fromClient } from './messages.ts'
import { signedInNotice, signInNotice } from './notices.ts'
import type { Wanted } from './startup.ts'

export interface IdentifyDeps {
  readonly identity: Pick<Identity, 'inBand' | 'tokens' | 'certificates' | 'oauth'>
  readonly signInMs: number
  readonly handshakeMs: number
  readonly clock: Clock
}

/** A token has 50 characters; a password manager's slip may have more. */
const passwordBytesMax = 1024

/**
 * Finds out who is at the other end: by token, or by one of the provider's own, where the user name asks for it; by a
 * certificate of this gateway's own; by a remembered sign-in; or by a link that is opened in a browser.
 * @param signal aborts when the client is gone or the listener stops.
 * @throws Fault TOKEN_REFUSED, CERTIFICATE_REFUSED, INSUFFICIENT_SCOPE, SIGN_IN_REFUSED, SIGN_IN_TIMED_OUT, DEADLINE_PASSED, …; rejects with `signal.reason`
 */
export async function identify(
  client: Client,
  wanted: Wanted,
  signal: AbortSignal,
  deps: IdentifyDeps,
): Promise<Identified> {
  if (wanted.way === 'token') return byToken(client, signal, deps)
  if (wanted.way === 'oauth') return byOAuth(client, signal, { ...deps, oauth: deps.identity.oauth })
  const known = (await byCertificate(client, deps)) ?? (await deps.identity.inBand.recognise(client.facts))
  signal.throwIfAborted()
  return known ?? bySignIn(client, wanted, signal, deps)
}

/** What others vouch for counts as none: libpq sends what lies in ~/.postgresql to every server that asks. */
async function byCertificate(
  { certificate, facts }: Client,
  { identity }: IdentifyDeps,
): Promise<Identified | undefined> {
  return certificate && identity.certificates.verify(certificate, facts)
}

async function byToken(client: Client, signal: AbortSignal, deps: IdentifyDeps): Promise<Identified> {
  client.write(authenticationCleartextPassword)
  const text = await readPassword(client, signal, deps)
  const { address } = client.facts
  const { person, token } = await deps.identity.tokens.verify(text, toOpenSessions, { address })
  return { person: person.id, personName: displayName(person), credential: token.id, browserSession: null }
}

async function readPassword(client: Client, signal: AbortSignal, deps: IdentifyDeps): Promise<string> {
  const late = new AbortController()
  const timer = deps.clock.after(deps.handshakeMs, () => {
    late.abort(new Fault('DEADLINE_PASSED', 'No password came in time.'))
  })
  try {
    const { type, body } = await client.read(passwordBytesMax, AbortSignal.any([signal, late.signal]))
    if (type !== fromClient.password) throw new Fault('PROTOCOL_VIOLATION', 'A password was expected.')
    const nul = body.indexOf(0)
    return body.toString('utf8', 0, nul < 0 ? body.length : nul)
  } finally {
    timer.cancel()
  }
}

async function bySignIn(
  client: Client,
  wanted: Wanted,
  signal: AbortSignal,
  { identity, signInMs }: IdentifyDeps,
): Promise<Identified> {
  const { address, application } = client.facts
  const [resource, role] = [shown(wanted.resource), shown(wanted.role)]
  const purpose = 'postgres'
  const signIn = await identity.inBand.begin({ purpose, address, application, resource, role, secretHash: null })
  const link = identity.inBand.link(signIn)
  const what = resource === null ? 'the gateway' : `${resource} as ${role ?? 'somebody'}`
  client.say(signInNotice({ link, code: signIn.code, address, what, waitMs: signInMs }))
  const identified = await identity.inBand.answered(signIn, signal)
  client.say(signedInNotice(identified.personName))
  return identified
}

/** Names go to the page as they were typed, known or not, so that the page gives nothing away; other text does not. */
function shown(name: string): string | null {
  return /^[a-z0-9_-]{1,63}$/i.test(name) ? name : null
}
