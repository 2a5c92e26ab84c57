import type { OAuthSignIn } from '../../identity/identity.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Identified } from '../../sessions/session.ts'
import type { Client } from './client.ts'
import { authenticationSasl, authenticationSaslContinue, fromClient } from './messages.ts'
import { expectSurrender, failure, mechanism, readBearer, readInitialResponse, saslBytesMax } from './oauthbearer.ts'

export interface OAuthDeps {
  readonly oauth: OAuthSignIn | null
  readonly signInMs: number
  readonly handshakeMs: number
  readonly clock: Clock
}

/**
 * Takes an access token that the client got from the identity provider itself. psql 18 comes twice: first it asks where
 * that is, and is refused; then it is connected while its person signs in, so it may take as long as a sign-in may.
 * @throws Fault SIGN_IN_REQUIRED (it has no token yet), PROTOCOL_UNSUPPORTED (not configured), PROTOCOL_VIOLATION,
 *   SIGN_IN_TIMED_OUT, and what `OAuthSignIn.verify` throws
 */
export async function byOAuth(client: Client, signal: AbortSignal, deps: OAuthDeps): Promise<Identified> {
  const { oauth, signInMs } = deps
  if (oauth === null) {
    throw new Fault('PROTOCOL_UNSUPPORTED', 'This gateway takes no sign-in by OAuth.', {
      hint: 'Leave out the .oauth at the end of the user, and open the link that comes then.',
    })
  }
  client.write(authenticationSasl(mechanism))
  const late = new Fault('SIGN_IN_TIMED_OUT', 'Nobody signed in at the identity provider in time.')
  const first = readInitialResponse(await read(client, signal, deps, signInMs, late))
  const token = readBearer(first ?? (await asked(client, signal, deps)))
  if (token === null) return refuse(client, signal, { ...deps, oauth }, noToken())
  try {
    return await oauth.verify(token, client.facts)
  } catch (error) {
    signal.throwIfAborted()
    return refuse(client, signal, { ...deps, oauth }, error)
  }
}

/** The client chose the mechanism and waits to be asked. */
function asked(client: Client, signal: AbortSignal, deps: OAuthDeps): Promise<Buffer> {
  client.write(authenticationSaslContinue(''))
  return read(client, signal, deps, deps.signInMs, tooLate())
}

const statuses = {
  SIGN_IN_REQUIRED: 'invalid_token',
  TOKEN_REFUSED: 'invalid_token',
  INSUFFICIENT_SCOPE: 'insufficient_scope',
} as const

/** What a program can act on is said in the mechanism's own words first; then the person reads why. */
async function refuse(
  client: Client,
  signal: AbortSignal,
  deps: OAuthDeps & { readonly oauth: OAuthSignIn },
  error: unknown,
): Promise<never> {
  const code = asFault(error)?.code
  if (code !== undefined && Object.hasOwn(statuses, code)) {
    const status = statuses[code as keyof typeof statuses]
    client.write(authenticationSaslContinue(failure(status, deps.oauth.discovery)))
    expectSurrender(await read(client, signal, deps, deps.handshakeMs, tooLate()))
  }
  throw error
}

async function read(
  client: Client,
  signal: AbortSignal,
  { clock }: OAuthDeps,
  waitMs: number,
  tardy: Fault,
): Promise<Buffer> {
  const late = new AbortController()
  const timer = clock.after(waitMs, () => late.abort(tardy))
  try {
    const { type, body } = await client.read(saslBytesMax, AbortSignal.any([signal, late.signal]))
    if (type !== fromClient.password) throw new Fault('PROTOCOL_VIOLATION', 'A SASL message was expected.')
    return body
  } finally {
    timer.cancel()
  }
}

function noToken(): Fault {
  return new Fault('SIGN_IN_REQUIRED', 'The gateway takes an access token of its identity provider here.', {
    hint: 'Give psql 18 oauth_issuer and oauth_client_id; it needs libpq-oauth.',
  })
}

function tooLate(): Fault {
  return new Fault('DEADLINE_PASSED', 'A SASL message did not come in time.')
}
