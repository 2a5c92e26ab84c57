import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { link, readFile, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { absent, syncFolder, writeAside } from '../kernel/durable-file.ts'
import { Fault } from '../kernel/fault.ts'

export type KeyKind = 'Ed25519' | 'P-256'

/**
 * Opens a private key, or makes it (PKCS #8 in PEM, mode 0600).
 * @param folder exists.
 * @throws Fault CONFIG_INVALID when it cannot be read, is of another kind, or everybody on the machine may use it.
 */
export async function openKeyFile(folder: string, name: string, kind: KeyKind): Promise<KeyObject> {
  const file = path.join(folder, name)
  return (await readKeyFile(file, kind)) ?? (await makeKeyFile(folder, file, kind))
}

/** As above; undefined where there is none. @throws Fault CONFIG_INVALID */
export async function readKeyFile(file: string, kind: KeyKind): Promise<KeyObject | undefined> {
  const text = await readFile(file, 'utf8').catch(absent)
  if (text === undefined) return undefined
  // Volumes of orchestrators may give the group a right that nobody asked for; "others" are never meant.
  if (((await stat(file)).mode & 0o007) !== 0) {
    throw new Fault('CONFIG_INVALID', `${file} can be used by everybody on this machine`, { hint: `chmod 600 ${file}` })
  }
  return parseKey(text, kind) ?? refuseKey(file, kind)
}

/** Whether it is what `kind` says; for public keys, too. */
export function isOfKind(key: KeyObject, kind: KeyKind): boolean {
  if (kind === 'Ed25519') return key.asymmetricKeyType === 'ed25519'
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
}

function parseKey(text: string, kind: KeyKind): KeyObject | undefined {
  try {
    const key = createPrivateKey(text)
    return isOfKind(key, kind) ? key : undefined
  } catch {
    // The cause is left out: a parser's message can quote the key.
    return undefined
  }
}

function refuseKey(file: string, kind: KeyKind): never {
  throw new Fault('CONFIG_INVALID', `${file} does not hold ${article[kind]} ${kind} private key as PKCS #8 in PEM`)
}

const article = { Ed25519: 'an', 'P-256': 'a' } as const

function generate(kind: KeyKind): KeyObject {
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

/** Written aside and linked into place: whoever comes second reads the key of the one who was first. */
async function makeKeyFile(folder: string, file: string, kind: KeyKind): Promise<KeyObject> {
  const made = generate(kind)
  const aside = await writeAside(folder, made.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
  try {
    await link(aside, file)
    await syncFolder(folder)
    return made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return (await readKeyFile(file, kind)) ?? made
  } finally {
    await unlink(aside)
  }
}
