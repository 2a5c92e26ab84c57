import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { link, mkdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { calculateJwkThumbprint, CompactSign, type JSONWebKeySet, type JWK } from 'jose'
import { absent, syncFolder, writeAside } from '../kernel/durable-file.ts'
import { Fault } from '../kernel/fault.ts'

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

export interface ThreadKey {
  readonly kid: string
  readonly publicJwk: JWK
  readonly privateKey: KeyObject
}

/**
 * Opens `keys/signing.jwk` in the data folder, or makes it on the first start (mode 0600, folder 0700). The public half
 * is kept in `keys/public.jwks`, beside those of earlier keys: to rotate, move `signing.jwk` away and start again.
 * @throws Fault CONFIG_INVALID when the key cannot be read or everybody on the machine may read it.
 */
export async function openSigningKey(dataFolder: string): Promise<SigningKey> {
  const folder = path.join(dataFolder, 'keys')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = path.join(folder, 'signing.jwk')
  const jwk = (await readKey(file)) ?? (await makeKey(folder, file))
  const publicJwk = await publicHalf(jwk)
  const keys = await publish(path.join(folder, 'public.jwks'), publicJwk)
  const threadKey = {
    kid: publicJwk.kid,
    publicJwk,
    privateKey: createPrivateKey({ key: jwk, format: 'jwk' }),
  }
  return {
    kid: publicJwk.kid,
    sign: signWith(threadKey),
    publicKeys: () => ({ keys: [...keys] }),
    forThread: () => threadKey,
  }
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

async function readKey(file: string): Promise<JWK | undefined> {
  const text = await readFile(file, 'utf8').catch(absent)
  if (text === undefined) return undefined
  // Volumes of orchestrators may give the group a right that nobody asked for; "others" are never meant.
  if (((await stat(file)).mode & 0o007) !== 0) {
    throw new Fault('CONFIG_INVALID', `${file} can be used by everybody on this machine`, { hint: `chmod 600 ${file}` })
  }
  try {
    const jwk = JSON.parse(text) as JWK
    if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519' || jwk.d === undefined) throw new Error('not an Ed25519 private key')
    createPrivateKey({ key: jwk, format: 'jwk' })
    return jwk
  } catch {
    // The cause is left out: a parser's message can quote the key.
    throw new Fault('CONFIG_INVALID', `${file} does not hold an Ed25519 private key as a JWK`)
  }
}

/** Written aside and linked into place: whoever comes second reads the key of the one who was first. */
async function makeKey(folder: string, file: string): Promise<JWK> {
  const made = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) as JWK
  const aside = await writeAside(folder, `${JSON.stringify(made)}\n`, 0o600)
  try {
    await link(aside, file)
    await syncFolder(folder)
    return made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return (await readKey(file)) ?? made
  } finally {
    await unlink(aside)
  }
}

async function publicHalf(jwk: JWK): Promise<JWK & { kid: string }> {
  const bare = { kty: 'OKP', crv: 'Ed25519', x: jwk.x } as JWK
  return { ...bare, kid: await calculateJwkThumbprint(bare), alg: 'EdDSA', use: 'sig' }
}

async function publish(file: string, own: JWK & { kid: string }): Promise<readonly JWK[]> {
  const known = await readPublic(file)
  if (known.some((key) => key.kid === own.kid)) return known
  const keys = [own, ...known]
  const aside = await writeAside(path.dirname(file), `${JSON.stringify({ keys }, null, 2)}\n`, 0o644)
  await rename(aside, file)
  await syncFolder(path.dirname(file))
  return keys
}

async function readPublic(file: string): Promise<readonly JWK[]> {
  const text = await readFile(file, 'utf8').catch(absent)
  if (text === undefined) return []
  try {
    return (JSON.parse(text) as JSONWebKeySet).keys.filter((key) => typeof key.kid === 'string')
  } catch (cause) {
    throw new Fault('CONFIG_INVALID', `${file} is not a JWK set`, { cause })
  }
}
