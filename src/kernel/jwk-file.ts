import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { link, mkdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { calculateJwkThumbprint, type JSONWebKeySet, type JWK } from 'jose'
import { absent, syncFolder, writeAside } from './durable-file.ts'
import { Fault } from './fault.ts'

/** Private keys on disk as JWK (RFC 7517), with what verifiers need of them and of their predecessors beside them. */
export interface JwkFile {
  readonly privateKey: KeyObject
  /** The public half. `kid` is its RFC 7638 thumbprint, base64url. */
  readonly publicJwk: JWK & { readonly kid: string }
  /** The public half, then those of earlier keys. */
  readonly publicKeys: readonly JWK[]
}

/** `Ed25519` signs EdDSA (RFC 8037), `P-256` ES256 (RFC 7518 section 3.4). */
export type JwkCurve = 'Ed25519' | 'P-256'

interface Kind {
  readonly kty: string
  readonly alg: string
  /** Of the public half, besides `kty` and `crv`. */
  readonly members: readonly ('x' | 'y')[]
  readonly generate: () => KeyObject
}

const kinds: Readonly<Record<JwkCurve, Kind>> = {
  Ed25519: {
    ...{ kty: 'OKP', alg: 'EdDSA', members: ['x'] },
    generate: () => generateKeyPairSync('ed25519').privateKey,
  },
  'P-256': {
    ...{ kty: 'EC', alg: 'ES256', members: ['x', 'y'] },
    generate: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  },
}

/**
 * Opens a key below `keys/` in the data folder, or makes it on the first start (mode 0600, folder 0700).
 * @param names `key` holds the private key, `published` the public halves. To rotate, move `key` away and start again.
 * @throws Fault CONFIG_INVALID when the key cannot be read or everybody on the machine may read it.
 */
export async function openJwkFile(
  dataFolder: string,
  names: { readonly key: string; readonly published: string },
  curve: JwkCurve,
): Promise<JwkFile> {
  const folder = path.join(dataFolder, 'keys')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = path.join(folder, names.key)
  const jwk = (await readKey(file, curve)) ?? (await makeKey(folder, file, curve))
  const publicJwk = await publicHalf(jwk, curve)
  const publicKeys = await publish(path.join(folder, names.published), publicJwk)
  return { privateKey: createPrivateKey({ key: jwk, format: 'jwk' }), publicJwk, publicKeys }
}

async function readKey(file: string, curve: JwkCurve): Promise<JWK | undefined> {
  const text = await readFile(file, 'utf8').catch(absent)
  if (text === undefined) return undefined
  // Volumes of orchestrators may give the group a right that nobody asked for; "others" are never meant.
  if (((await stat(file)).mode & 0o007) !== 0) {
    throw new Fault('CONFIG_INVALID', `${file} can be used by everybody on this machine`, { hint: `chmod 600 ${file}` })
  }
  try {
    const jwk = JSON.parse(text) as JWK
    if (jwk.kty !== kinds[curve].kty || jwk.crv !== curve || jwk.d === undefined) throw new Error('of another kind')
    createPrivateKey({ key: jwk, format: 'jwk' })
    return jwk
  } catch {
    // The cause is left out: a parser's message can quote the key.
    throw new Fault('CONFIG_INVALID', `${file} does not hold a private ${curve} key as a JWK`)
  }
}

/** Written aside and linked into place: whoever comes second reads the key of the one who was first. */
async function makeKey(folder: string, file: string, curve: JwkCurve): Promise<JWK> {
  const made = kinds[curve].generate().export({ format: 'jwk' }) as JWK
  const aside = await writeAside(folder, `${JSON.stringify(made)}\n`, 0o600)
  try {
    await link(aside, file)
    await syncFolder(folder)
    return made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return (await readKey(file, curve)) ?? made
  } finally {
    await unlink(aside)
  }
}

async function publicHalf(jwk: JWK, curve: JwkCurve): Promise<JWK & { kid: string }> {
  const { kty, alg, members } = kinds[curve]
  const bare: JWK = { kty, crv: curve, ...Object.fromEntries(members.map((member) => [member, jwk[member]])) }
  return { ...bare, kid: await calculateJwkThumbprint(bare), alg, use: 'sig' }
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
