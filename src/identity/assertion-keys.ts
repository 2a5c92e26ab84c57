import type { KeyObject } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import { openJwkFile } from '../kernel/jwk-file.ts'

/** Signs assertions, and nothing else. */
export interface AssertionKeys {
  readonly kid: string
  /** ECDSA on P-256. */
  readonly privateKey: KeyObject
  /** This key's public half and those of its predecessors, for publishing. */
  publicKeys(): JSONWebKeySet
}

/**
 * Opens `keys/assertion.jwk` in the data folder, or makes it on the first start. The public half is kept in
 * `keys/assertion-public.jwks`, beside those of earlier keys: to rotate, move `assertion.jwk` away and start again.
 * @throws Fault CONFIG_INVALID when the key cannot be read or everybody on the machine may read it.
 */
export async function openAssertionKeys(dataFolder: string): Promise<AssertionKeys> {
  const names = { key: 'assertion.jwk', published: 'assertion-public.jwks' }
  const { privateKey, publicJwk, publicKeys } = await openJwkFile(dataFolder, names, 'P-256')
  return { kid: publicJwk.kid, privateKey, publicKeys: () => ({ keys: [...publicKeys] }) }
}
