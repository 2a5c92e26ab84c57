import * as jose from 'jose'

/**
 * What is wrong with a token that the library refused, for whoever sent it. The library's errors carry the claims: only what
 * kind of error it was goes on.
 * @returns undefined when it was not the token: its issuer's keys were not there.
 */
export function tokenProblem(error: unknown): string | undefined {
  if (error instanceof jose.errors.JWTExpired) return 'it is over'
  if (error instanceof jose.errors.JWTClaimValidationFailed) return claimProblems[error.claim] ?? 'a claim is missing'
  if (error instanceof jose.errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed'
  if (error instanceof jose.errors.JWSSignatureVerificationFailed) return 'its signature is wrong'
  const isKeys = error instanceof jose.errors.JWKSTimeout || error instanceof jose.errors.JWKSInvalid
  if (isKeys || !(error instanceof jose.errors.JOSEError) || error.code === 'ERR_JOSE_GENERIC') return undefined
  if (error instanceof jose.errors.JWKSNoMatchingKey) return 'its key is not one of its issuer'
  return 'it is no JWT that can be checked'
}

const claimProblems: Readonly<Record<string, string>> = {
  iss: 'it is of another issuer',
  aud: 'it is for another audience',
  nbf: 'it does not hold yet',
  iat: 'it does not say since when it holds',
  exp: 'it does not say until when it holds',
  sub: 'it has no subject',
}
