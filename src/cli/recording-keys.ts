import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { calculateJwkThumbprint, type JSONWebKeySet, type JWK } from 'jose'
import { Agent, fetch } from 'undici'
import { Fault } from '../kernel/fault.ts'
import type { UsedKey } from '../kernel/signed.ts'
import { CliProblem } from './problem.ts'
import { terminalLine } from './terminal-text.ts'

const fetchMsMax = 15_000
const keysBytesMax = 1024 * 1024

/** Public keys to check with, and where they come from, in words. */
export interface TrustedKeys {
  readonly keys: JSONWebKeySet
  readonly file: string | null
  /** They lie in the data folder beside the recording: as good as that folder. */
  readonly beside: boolean
}

/**
 * The keys of `--key`; null without it.
 * @throws Fault INPUT_INVALID when the named file holds no public key.
 */
export async function givenKeys(keyFile: string | undefined): Promise<TrustedKeys | null> {
  return keyFile === undefined ? null : { keys: await readKeys(keyFile), file: keyFile, beside: false }
}

/** Those that the gateway keeps beside the recordings folder of `recording`. */
export async function keysBeside(recording: string): Promise<TrustedKeys> {
  const beside = path.join(path.dirname(path.resolve(recording)), '../../../../keys/public.jwks')
  try {
    return { keys: await readKeys(beside), file: path.relative('', beside), beside: true }
  } catch {
    return { keys: { keys: [] }, file: null, beside: false } // none there: the answer says that no key was trusted
  }
}

/** @param from a file, or an address that begins with `https://` */
export async function readKeys(from: string): Promise<JSONWebKeySet> {
  return publicKeys(
    from,
    from.startsWith('https://') ? await fetchKeys(from) : await readFile(from, 'utf8').catch(unread),
  )
}

async function publicKeys(file: string, text: string): Promise<JSONWebKeySet> {
  try {
    const parsed = JSON.parse(text) as { keys?: JWK[] } & JWK
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

/** What cannot be read holds no key, whatever the system calls it. */
function unread(): string {
  return ''
}

/** @throws CliProblem when there is no such place */
async function fetchKeys(address: string): Promise<string> {
  try {
    const signal = AbortSignal.timeout(fetchMsMax)
    const response = await fetch(address, {
      signal,
      redirect: 'error',
      dispatcher: new Agent({ maxResponseSize: keysBytesMax }),
    })
    if (!response.ok) throw new Error(`it answers with status ${response.status}`)
    return await response.text()
  } catch (cause) {
    throw new CliProblem(`cannot read keys from ${address}`, {
      cause,
      hint: 'Where the gateway has an authority of its own, fetch the file by other means and give it: --key FILE',
    })
  }
}

async function publicKey({ kty, crv, x }: JWK): Promise<JWK> {
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined) throw new Error('not an Ed25519 key')
  const bare: JWK = { kty, crv, x }
  return { ...bare, kid: await calculateJwkThumbprint(bare) }
}

/** Where the keys came from that something was checked with. */
export interface KeysUsed {
  readonly keyFile: string | null
  readonly keysBeside: boolean
}

/** Which key signed, and whether that is good. Empty when nothing signed was reached. */
export function keyText(key: UsedKey | null, { keyFile, keysBeside }: KeysUsed): string {
  if (key === null) return ''
  const kid = terminalLine(key.kid)
  if (!key.trusted) {
    const where = keyFile === null ? 'no public keys lie beside it' : `it is not in ${keyFile}`
    return `Key ${kid}: ${where}. Give the keys that the gateway publishes with --key FILE.`
  }
  const beside = keysBeside ? ' (beside the recording; --key FILE takes a copy that you keep elsewhere)' : ''
  return `signed by key ${kid}, trusted by ${keyFile}${beside}`
}
