import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { signCertificate } from '../../identity/ssh/certificate.ts'
import { sshKeyPair, type SshKeyPair } from '../../identity/ssh/keys.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Random } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { SshAllowance, SshRole } from '../../resources/catalogue.ts'
import type { Session } from '../../sessions/session.ts'
import { printable } from './identification.ts'
import { sshLibrary } from './transport-over-library.ts'

/** What the gateway logs in with. */
export interface TargetCredential {
  readonly pair: SshKeyPair
  /** What is shown: the public key, or a certificate over it. */
  readonly publicBlob: Buffer
  /** For messages. */
  readonly words: string
}

const backdatedMs = 60_000
/** The target writes it into its log. */
const personLengthMax = 200

/**
 * Reads a private key without a passphrase: OpenSSH's own format, or PEM (PKCS #8, PKCS #1, SEC 1).
 * @returns undefined when it is none of them. The cause is left out on purpose: a parser's message can quote the key.
 */
async function readPrivateKey(text: string): Promise<SshKeyPair | undefined> {
  const key = importKey(text) ?? importKey((await sshLibrary()).parsePrivateKey(text)?.pem ?? '')
  return key && sshKeyPair(key)
}

function importKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    // Not PEM, or encrypted.
    return undefined
  }
}

/** @throws Fault UPSTREAM_REFUSED when the role's own key cannot be read. */
export async function roleCredential(role: SshRole): Promise<TargetCredential | undefined> {
  if (role.key === null) return undefined
  const pair = await readPrivateKey(role.key.reveal()).catch(() => undefined) // again: no cause that could quote it
  if (pair === undefined) throw new Fault('UPSTREAM_REFUSED', `The key of the role "${role.name}" cannot be read.`)
  return { pair, publicBlob: pair.publicBlob, words: "the role's key" }
}

export interface CertificateWish {
  readonly role: SshRole
  readonly session: Session
  readonly until: Instant
}

/** A fresh key, and a certificate over it that is good for this session alone. */
export function ephemeralCredential(
  { role, session, until }: CertificateWish,
  { authority, random, now }: { authority: SshKeyPair; random: Random; now: Instant },
): TargetCredential {
  const pair = sshKeyPair(generateKeyPairSync('ed25519').privateKey)
  const certificate = signCertificate(
    {
      type: 'user',
      publicBlob: pair.publicBlob,
      serial: Buffer.from(random.bytes(8)).readBigUInt64BE(),
      keyId: `${printable(session.personName).slice(0, personLengthMax)} ${session.id}`,
      principals: [role.login],
      validAfter: Math.floor((now - backdatedMs) / 1000),
      validBefore: Math.ceil(until / 1000),
      criticalOptions: {},
      extensions: extensionsFor(role.allow),
      nonce: random.bytes(32),
    },
    authority,
  )
  return { pair, publicBlob: certificate, words: "the gateway's certificate" }
}

const extensionFor: Readonly<Record<SshAllowance, string | undefined>> = {
  shell: 'permit-pty',
  exec: 'permit-pty',
  sftp: undefined,
  'forward-local': 'permit-port-forwarding',
  'forward-remote': 'permit-port-forwarding',
  agent: 'permit-agent-forwarding',
}

function extensionsFor(allow: readonly SshAllowance[]): Record<string, string> {
  const names = allow.flatMap((allowance) => extensionFor[allowance] ?? [])
  return Object.fromEntries(names.map((name) => [name, '']))
}
