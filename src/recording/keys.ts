import type { JSONWebKeySet } from 'jose'
import { openJwkFile } from '../kernel/jwk-file.ts'
import { signWith, type ThreadKey } from './sign.ts'

/** The gateway's Ed25519 key. Recordings' manifests and the audit log's checkpoints are signed with it. */
export interface SigningKey {
  /** RFC 7638 thumbprint, base64url. */
  readonly kid: string
  /**
   * A compact EdDSA JWS (RFC 7515, RFC 8037) over the JSON of `payload`.
   * @param type the header's `typ`: what is signed, so that one kind cannot pass for another.
   */
  sign(type: string, payload: unknown): Promise<string>
  /** This key's public half and those of its predecessors, for publishing. */
  publicKeys(): JSONWebKeySet
  /** The same key for a worker thread; can be posted to one. */
  forThread(): ThreadKey
}

/**
 * Opens `keys/signing.jwk` in the data folder, or makes it on the first start (mode 0600, folder 0700). The public half
 * is kept in `keys/public.jwks`, beside those of earlier keys: to rotate, move `signing.jwk` away and start again.
 * @throws Fault CONFIG_INVALID when the key cannot be read or everybody on the machine may read it.
 */
export async function openSigningKey(dataFolder: string): Promise<SigningKey> {
  const names = { key: 'signing.jwk', published: 'public.jwks' }
  const { privateKey, publicJwk, publicKeys } = await openJwkFile(dataFolder, names, 'Ed25519')
  const threadKey = { kid: publicJwk.kid, publicJwk, privateKey }
  return {
    kid: publicJwk.kid,
    sign: signWith(threadKey),
    publicKeys: () => ({ keys: [...publicKeys] }),
    forThread: () => threadKey,
  }
}
