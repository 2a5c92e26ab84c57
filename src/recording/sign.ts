import type { KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
// Not all of jose, and not keys.ts: the recorder's thread loads this, and should start at once.
import { CompactSign } from 'jose/jws/compact/sign'
import type { SigningKey } from './keys.ts'

export interface ThreadKey {
  readonly kid: string
  readonly publicJwk: JWK
  readonly privateKey: KeyObject
}

/** Signing, on whichever thread the key has reached. The header carries the public key, so that a file explains itself. */
export function signWith(key: ThreadKey): SigningKey['sign'] {
  const { kty, crv, x } = key.publicJwk as { kty: string; crv: string; x: string }
  const header = { alg: 'EdDSA', kid: key.kid, jwk: { kty, crv, x } }
  return (type, payload) =>
    new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ ...header, typ: type })
      .sign(key.privateKey)
}
