import { sign } from 'node:crypto'
import type { SshKeyPair } from './keys.ts'
import { readKeyFields, readPublicKey, signatureAlgorithmsOf, sshKeyBytesMax, verifySignature } from './public-key.ts'
import { SshReader, SshWireError, sshMpint, sshString, sshUint32, sshUint64 } from './wire.ts'

/** What stands in a certificate besides its keys. */
export interface CertificateContents {
  readonly type: 'user' | 'host'
  /** The public key that is vouched for, as a blob of its own. */
  readonly publicBlob: Uint8Array
  readonly serial: bigint
  readonly keyId: string
  /** Logins or host names. Whether an empty list means none or any is for the reader to say; the format says any. */
  readonly principals: readonly string[]
  /** Unix seconds. */
  readonly validAfter: number
  /** Unix seconds, itself already outside; Infinity when it has no end. */
  readonly validBefore: number
  /** Name to value; the empty text for those without one. Whoever does not know one of them refuses the certificate. */
  readonly criticalOptions: Readonly<Record<string, string>>
  readonly extensions: Readonly<Record<string, string>>
  readonly nonce: Uint8Array
}

export interface SshCertificate extends CertificateContents {
  /** `ssh-ed25519-cert-v01@openssh.com`, … */
  readonly format: string
  readonly publicBlob: Buffer
  /** The authority's public key blob, as the certificate says. */
  readonly authorityBlob: Buffer
  readonly signedBytes: Buffer
  /** The whole signature: string algorithm, string bytes. */
  readonly signature: Buffer
}

const certificateBytesMax = 64 * 1024
/** As in OpenSSH (SSHKEY_CERT_MAX_PRINCIPALS). */
const principalsMax = 256
const optionsMax = 64
const typeNumbers = { user: 1, host: 2 } as const
const forever = 2n ** 64n - 1n
const suffix = '-cert-v01@openssh.com'

/** `ssh-ed25519` -> `ssh-ed25519-cert-v01@openssh.com`; also for signature algorithms (`rsa-sha2-512`). */
export function certificateFormat(plain: string): string {
  return plain.replace(/@openssh\.com$/, '') + suffix
}

/** The other way round; undefined when it is no certificate's name. */
export function plainFormat(name: string): string | undefined {
  if (!name.endsWith(suffix)) return undefined
  const bare = name.slice(0, -suffix.length)
  return bare.startsWith('sk-') ? `${bare}@openssh.com` : bare
}

/**
 * Makes an OpenSSH certificate.
 * @returns the blob; its first field says the format.
 * @throws SshWireError for a subject key that is none, is weak, or is a certificate itself.
 * @see OpenSSH PROTOCOL.certkeys, "New public key formats"
 */
export function signCertificate(contents: CertificateContents, authority: SshKeyPair): Buffer {
  const subject = readPublicKey(contents.publicBlob)
  const type = sshString(subject.type)
  const signed = Buffer.concat([
    sshString(certificateFormat(subject.type)),
    sshString(contents.nonce),
    subject.blob.subarray(type.length),
    sshUint64(contents.serial),
    sshUint32(typeNumbers[contents.type]),
    sshString(contents.keyId),
    sshString(Buffer.concat(contents.principals.map((name) => sshString(name)))),
    sshUint64(timeField(contents.validAfter)),
    sshUint64(timeField(contents.validBefore)),
    sshString(optionsField(contents.criticalOptions)),
    sshString(optionsField(contents.extensions)),
    sshString(''),
    sshString(authority.publicBlob),
  ])
  return Buffer.concat([signed, sshString(signWithKey(authority, signed))])
}

/**
 * Reads a certificate. It says nothing yet about who signed it: see `certificateSignedBy`.
 * @throws SshWireError for what is cut, too long, follows after the end, or names something twice.
 */
export function readCertificate(blob: Uint8Array): SshCertificate {
  if (blob.length > certificateBytesMax) throw new SshWireError(`a certificate of ${blob.length} bytes`)
  const bytes = Buffer.from(blob)
  const reader = new SshReader(bytes)
  const format = reader.string().toString('latin1')
  const plain = plainFormat(format)
  if (plain === undefined) throw new SshWireError('not a certificate')
  const nonce = reader.string()
  const publicBlob = Buffer.concat([plain, ...readKeyFields(plain, reader)].map((field) => sshString(field)))
  readPublicKey(publicBlob)
  const fields = readFields(reader)
  const signedBytes = bytes.subarray(0, reader.at)
  const signature = reader.string()
  reader.end()
  return { format, nonce, publicBlob, ...fields, signedBytes, signature }
}

function readFields(reader: SshReader) {
  const serial = reader.uint64()
  const type = typeOf(reader.uint32())
  const keyId = reader.text()
  const principals = readPrincipals(new SshReader(reader.string()))
  const validAfter = Number(reader.uint64())
  const validBefore = endOf(reader.uint64())
  const criticalOptions = readOptions(new SshReader(reader.string()))
  const extensions = readOptions(new SshReader(reader.string()))
  reader.string() // reserved, "currently ignored"
  const authorityBlob = reader.string()
  if (authorityBlob.length > sshKeyBytesMax) throw new SshWireError('an authority that is too long')
  return { serial, type, keyId, principals, validAfter, validBefore, criticalOptions, extensions, authorityBlob }
}

/** Whether this authority, given by its public key blob, signed the certificate. Times and names are the caller's to check. */
export function certificateSignedBy(certificate: SshCertificate, authorityBlob: Uint8Array): boolean {
  if (!certificate.authorityBlob.equals(authorityBlob)) return false
  const algorithm = algorithmOf(certificate.signature)
  return (
    algorithm !== undefined && verifySignature(authorityBlob, algorithm, certificate.signedBytes, certificate.signature)
  )
}

/**
 * Signs with a key pair.
 * @param algorithm one that goes with the key's type; by default the strongest.
 * @returns the whole signature: string algorithm, string bytes.
 * @throws SshWireError when the algorithm does not go with the key.
 */
export function signWithKey(pair: SshKeyPair, data: Uint8Array, algorithm?: string): Buffer {
  const known = signatureAlgorithmsOf(pair.type)
  const chosen = algorithm ?? known[0]
  if (chosen === undefined || !known.includes(chosen))
    throw new SshWireError('an algorithm that does not go with the key')
  return Buffer.concat([sshString(chosen), sshString(signatureBytes(pair, chosen, data))])
}

const hashes: Readonly<Record<string, string>> = {
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
}

function signatureBytes({ privateKey }: SshKeyPair, algorithm: string, data: Uint8Array): Buffer {
  if (!algorithm.startsWith('ecdsa-')) return sign(hashes[algorithm], data, privateKey)
  const numbers = sign(hashes[algorithm], data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const half = numbers.length / 2
  return Buffer.concat([sshMpint(numbers.subarray(0, half)), sshMpint(numbers.subarray(half))])
}

function algorithmOf(signature: Buffer): string | undefined {
  try {
    return new SshReader(signature).string().toString('latin1')
  } catch {
    // Cut short: whoever signed, it was not this.
    return undefined
  }
}

function timeField(seconds: number): bigint {
  return seconds === Infinity ? forever : BigInt(Math.floor(seconds))
}

function endOf(seconds: bigint): number {
  return seconds === forever ? Infinity : Number(seconds)
}

function typeOf(number: number): 'user' | 'host' {
  if (number === typeNumbers.user) return 'user'
  if (number === typeNumbers.host) return 'host'
  throw new SshWireError('a certificate for neither a user nor a host')
}

/** "The options must be lexically ordered by name"; a value is a string within the string. */
function optionsField(options: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(options).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return Buffer.concat(
    names.flatMap((name) => {
      const value = options[name]!
      return [sshString(name), sshString(value === '' ? '' : sshString(value))]
    }),
  )
}

function readPrincipals(reader: SshReader): readonly string[] {
  const principals: string[] = []
  while (reader.left > 0) {
    if (principals.length === principalsMax) throw new SshWireError(`more than ${principalsMax} principals`)
    principals.push(reader.text())
  }
  return principals
}

function readOptions(reader: SshReader): Readonly<Record<string, string>> {
  const options = new Map<string, string>()
  while (reader.left > 0) {
    const name = reader.text()
    if (options.has(name) || options.size === optionsMax) throw new SshWireError('options named twice, or too many')
    options.set(name, optionValue(reader.string()))
  }
  return Object.fromEntries(options)
}

function optionValue(data: Buffer): string {
  if (data.length === 0) return ''
  const reader = new SshReader(data)
  const value = reader.text()
  reader.end()
  return value
}
