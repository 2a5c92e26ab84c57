import * as oidc from 'openid-client'
import { Fault } from '../kernel/fault.ts'
import { AccessTokenRefused, AccessTokenTooNarrow } from './access-token.ts'

/** The provider took the person back: disabled, signed out there, or consent withdrawn. */
export class NoLongerWelcome extends Error {
  override readonly name = 'NoLongerWelcome'
}

/** Turns what the libraries throw into Faults, once. */
export async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw translation(error)
  }
}

/** The library's errors carry whole answers, tokens among them: only their text goes on. */
function translation(error: unknown): Error {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof Fault || cause instanceof NoLongerWelcome) return cause
    if (cause instanceof AccessTokenRefused || cause instanceof AccessTokenTooNarrow) return cause
  }
  if (error instanceof oidc.AuthorizationResponseError) {
    return new Fault('SIGN_IN_FAILED', `The identity provider refused: ${plain(error.error)}`)
  }
  const reason = error instanceof Error ? innermost(error).message || error.message : 'unknown'
  return new Fault('SIGN_IN_FAILED', `The identity provider's answer was refused: ${plain(reason)}`)
}

/** RFC 6749 section 5.2: `invalid_grant` is the one answer that says the refresh token itself is no longer good. */
export function takenBack(error: unknown): never {
  if (!(error instanceof oidc.ResponseBodyError) || error.error !== 'invalid_grant') throw error
  throw new NoLongerWelcome(plain(error.error_description ?? error.error))
}

/** The endpoint answered, and gives nothing for this token. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof oidc.WWWAuthenticateChallengeError) return true
  return error instanceof oidc.ClientError && error.code === 'OAUTH_RESPONSE_IS_NOT_CONFORM'
}

function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error
}

function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ').slice(0, 200)
}
