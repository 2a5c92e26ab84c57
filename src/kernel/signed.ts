import {
  calculateJwkThumbprint,
  compactVerify,
  decodeProtectedHeader,
  importJWK,
  type JSONWebKeySet,
  type JWK,
} from 'jose'

/** The key that signed something. Not trusted: anybody may have made it. */
export interface UsedKey {
  readonly kid: string
  readonly trusted: boolean
}

/** What a compact JWS of a gateway holds. */
export type Signed =
  | { readonly key: UsedKey; readonly payload: Uint8Array; readonly why: null }
  | { readonly key: UsedKey | null; readonly payload: null; readonly why: SignatureProblem }

/** `type`: it was signed as something else. `key`: it names a key that it does not hold. */
export type SignatureProblem = 'type' | 'key' | 'signature'

/**
 * Checks an EdDSA JWS (RFC 7515, RFC 8037) that says what it is by `typ`. A key that is not among the trusted ones may be the
 * one that stands in the header: that shows damage, but not who signed.
 */
export async function readSigned(jws: string, type: string, trusted: JSONWebKeySet): Promise<Signed> {
  let key: UsedKey | null = null
  const not = (why: SignatureProblem): Signed => ({ key, payload: null, why })
  try {
    const { kid, jwk, typ } = decodeProtectedHeader(jws)
    if (!isCanonical(jws)) return not('signature')
    if (typeof kid !== 'string' || typ !== type) return not('type')
    const known = trusted.keys.find((candidate) => candidate.kid === kid)
    key = { kid, trusted: known !== undefined }
    const used = known ?? (await ownKey(jwk, kid))
    if (used === undefined) return not('key')
    const { payload } = await compactVerify(jws, await importJWK(used, 'EdDSA'), { algorithms: ['EdDSA'] })
    return { key, payload, why: null }
  } catch {
    return not('signature') // every failure of the library says the same about the text
  }
}

/** The signature covers the first two parts as text, but not how its own bytes are written. */
function isCanonical(jws: string): boolean {
  const signature = jws.split('.')[2] ?? ''
  return Buffer.from(signature, 'base64url').toString('base64url') === signature
}

async function ownKey(jwk: JWK | undefined, kid: string): Promise<JWK | undefined> {
  if (jwk?.kty !== 'OKP' || jwk.crv !== 'Ed25519') return undefined
  return (await calculateJwkThumbprint(jwk)) === kid ? jwk : undefined
}
