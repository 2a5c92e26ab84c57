import { createPrivateKey } from 'node:crypto'
import { publicBlobOf, readPublicKey, readPublicLine } from '../identity/ssh/public-key.ts'
import { SshReader, SshWireError } from '../identity/ssh/wire.ts'
import type { Secret } from '../kernel/secret.ts'
import type { ReferenceReader } from './files.ts'
import type { ConfigPath, Finding } from './problems.ts'

/** The text of a known_hosts file with at least one key in it. Keys of types that are not understood may be there, too. */
export async function readKnownHosts(
  path: ConfigPath,
  file: string,
  reader: ReferenceReader,
): Promise<string | undefined> {
  const found = await reader.text(path, file)
  if (found === undefined || usedLines(found).some(isKnownHostsLine)) return found
  reader.findings.push({
    path,
    expected: 'a file in the form of known_hosts',
    message: `${file} has no line with a host and its key`,
    hint: 'Make one with `ssh-keyscan HOST`, and compare the fingerprints on the host itself.',
  })
  return undefined
}

/**
 * The public keys of authorities.
 * @param entry one line as in `ca.pub`, or the path of a file with such lines.
 */
export async function readHostAuthority(
  path: ConfigPath,
  entry: string,
  reader: ReferenceReader,
): Promise<readonly string[] | undefined> {
  const isLine = /^(?:ssh|ecdsa|sk)-\S+\s/.test(entry)
  const found = isLine ? entry : await reader.text(path, entry)
  if (found === undefined) return undefined
  const lines = usedLines(found)
  const wrong = lines.map(publicLineFailure).find((reason) => reason !== undefined)
  if (lines.length > 0 && wrong === undefined) return lines
  const holds = isLine ? 'got' : `${entry} holds`
  reader.findings.push({
    path,
    expected: 'public keys such as `ssh-ed25519 AAAA…`, or a file of them',
    message: lines.length === 0 ? `${entry} holds none` : `${holds} ${wrong}`,
  })
  return undefined
}

/** A private key to log in with. */
export async function readSshKey(
  path: ConfigPath,
  reference: string,
  reader: ReferenceReader,
): Promise<Secret | undefined> {
  const key = await reader.secret(path, reference)
  if (key === undefined) return undefined
  const wrong = privateKeyFinding(path, key.reveal())
  if (wrong === undefined) return key
  reader.findings.push(wrong)
  return undefined
}

function usedLines(text: string): readonly string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** @see sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": markers, hosts, key type, base64, comment */
function isKnownHostsLine(line: string): boolean {
  return /^(?:@\S+\s+)?\S+\s+(?:ssh|ecdsa|sk)-\S+\s+[A-Za-z0-9+/]+={0,2}(?:\s|$)/.test(line)
}

function publicLineFailure(line: string): string | undefined {
  if (/^\S+-cert-v01@openssh\.com\s/.test(line)) return 'a certificate, not the public key of who signs them'
  try {
    readPublicLine(line)
    return undefined
  } catch (error) {
    if (error instanceof SshWireError) return error.message
    throw error
  }
}

const openSshKey = /^-----BEGIN OPENSSH PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/

/** Says nothing of what the text holds: it is a secret. */
function privateKeyFinding(path: ConfigPath, text: string): Finding | undefined {
  const expected = 'a private key (Ed25519, ECDSA, or RSA from 2048 bits), OpenSSH or PEM, without a passphrase'
  const body = openSshKey.exec(text.trim())?.[1]
  const state = body === undefined ? pemState(text) : openSshState(Buffer.from(body, 'base64'))
  if (state === 'plain') return undefined
  if (state === 'other') return { path, expected, message: 'got something else' }
  const hint = 'Copy it, and take the passphrase off the copy with: ssh-keygen -p -N "" -f COPY'
  return { path, expected, message: 'this one has a passphrase', hint }
}

type KeyState = 'plain' | 'encrypted' | 'other'

/** @see OpenSSH PROTOCOL.key */
function openSshState(bytes: Buffer): KeyState {
  const magic = 'openssh-key-v1\0'
  if (!bytes.toString('latin1').startsWith(magic)) return 'other'
  try {
    return new SshReader(bytes, magic.length).text() === 'none' ? 'plain' : 'encrypted'
  } catch (error) {
    if (error instanceof SshWireError) return 'other'
    throw error
  }
}

function pemState(text: string): KeyState {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) return 'encrypted'
  try {
    readPublicKey(publicBlobOf(createPrivateKey(text)))
    return 'plain'
  } catch {
    return 'other' // the message is dropped: it may quote what could not be read
  }
}
