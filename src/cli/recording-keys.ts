import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { calculateJwkThumbprint, type JSONWebKeySet, type JWK } from 'jose'
import { Fault } from '../kernel/fault.ts'

/** Public keys to check with, and where they come from, in words. */
export interface TrustedKeys {
  readonly keys: JSONWebKeySet
  readonly file: string | null
  /** They lie in the data folder beside the recording: as good as that folder. */
  readonly beside: boolean
}

/**
 * The keys of `--key`, or those that the gateway keeps beside the recordings folder of `recording`.
 * @throws Fault INPUT_INVALID when the named file holds no public key.
 */
export async function trustedKeys(recording: string, keyFile: string | undefined): Promise<TrustedKeys> {
  if (keyFile !== undefined) return { keys: await readKeys(keyFile), file: keyFile, beside: false }
  const beside = path.join(path.dirname(path.resolve(recording)), '../../../../keys/public.jwks')
  try {
    return { keys: await readKeys(beside), file: path.relative('', beside), beside: true }
  } catch {
    return { keys: { keys: [] }, file: null, beside: false } // none there: the answer says that no key was trusted
  }
}

export async function readKeys(file: string): Promise<JSONWebKeySet> {
  try {
    const parsed = JSON.parse(await readFile(file, 'utf8')) as { keys?: JWK[] } & JWK
    const keys = await Promise.all((parsed.keys ?? [parsed]).map(publicKey))
    if (keys.length === 0) throw new Error('the set is empty')
    return { keys }
  } catch {
    // The cause is left out: the file may be a private key, and parsers quote what they read.
    throw new Fault('INPUT_INVALID', `${file} holds no Ed25519 public key`, {
      hint: 'Give a JWK or a JWK set, such as keys/public.jwks in the data folder.',
    })
  }
}

async function publicKey({ kty, crv, x }: JWK): Promise<JWK> {
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined) throw new Error('not an Ed25519 key')
  const bare: JWK = { kty, crv, x }
  return { ...bare, kid: await calculateJwkThumbprint(bare) }
}
