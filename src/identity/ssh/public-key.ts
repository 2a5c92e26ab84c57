import { createHash, createPublicKey, type KeyObject, verify, type webcrypto } from 'node:crypto'
import { SshReader, SshWireError, sshMpint, sshString } from './wire.ts'

/** A public key as SSH writes it. */
export interface SshPublicKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, `sk-ssh-ed25519@openssh.com`, … */
  readonly type: string
  /** The blob it was read from (RFC 4253 section 6.6). */
  readonly blob: Buffer
  readonly key: KeyObject
  /** What a FIDO token made the key for (mostly `ssh:`); null for keys in software. */
  readonly application: string | null
}

/** A key blob's bytes at most: RSA of 16384 bits with its names fits. */
export const sshKeyBytesMax = 8 * 1024
export const rsaBitsMin = 2048
const rsaBitsMax = 16_384
/** OpenSSL itself refuses more for long moduli: the exponent's length is work for whoever verifies. */
const rsaExponentBytesMax = 8

interface Curve {
  readonly name: string
  readonly jwkName: string
  readonly hash: string
  readonly coordinateBytes: number
}

const curves: Readonly<Record<string, Curve>> = {
  nistp256: { name: 'nistp256', jwkName: 'P-256', hash: 'sha256', coordinateBytes: 32 },
  nistp384: { name: 'nistp384', jwkName: 'P-384', hash: 'sha384', coordinateBytes: 48 },
  nistp521: { name: 'nistp521', jwkName: 'P-521', hash: 'sha512', coordinateBytes: 66 },
}

interface KeyType {
  /** How signatures by such a key may be called; the strongest first. */
  readonly algorithms: readonly string[]
  /** How many length-prefixed fields follow the type in the blob (and the nonce in a certificate). */
  readonly fields: number
  readonly isOnToken: boolean
  readonly curve?: Curve
}

const keyTypes: Readonly<Record<string, KeyType>> = {
  'ssh-ed25519': { algorithms: ['ssh-ed25519'], fields: 1, isOnToken: false },
  'ecdsa-sha2-nistp256': ecdsa('nistp256'),
  'ecdsa-sha2-nistp384': ecdsa('nistp384'),
  'ecdsa-sha2-nistp521': ecdsa('nistp521'),
  // RFC 8332. Plain `ssh-rsa` as a signature's name means SHA-1 and is not believed.
  'ssh-rsa': { algorithms: ['rsa-sha2-512', 'rsa-sha2-256'], fields: 2, isOnToken: false },
  'sk-ssh-ed25519@openssh.com': { algorithms: ['sk-ssh-ed25519@openssh.com'], fields: 2, isOnToken: true },
  'sk-ecdsa-sha2-nistp256@openssh.com': {
    algorithms: ['sk-ecdsa-sha2-nistp256@openssh.com'],
    fields: 3,
    isOnToken: true,
    curve: curves['nistp256']!,
  },
}

function ecdsa(curveName: string): KeyType {
  return { algorithms: [`ecdsa-sha2-${curveName}`], fields: 2, isOnToken: false, curve: curves[curveName]! }
}

/** The names of the key types that are understood. */
export const sshKeyTypes: readonly string[] = Object.keys(keyTypes)

/** The signature algorithms that keys can be used with, for `server-sig-algs` (RFC 8308). */
export const sshSignatureAlgorithms: readonly string[] = Object.values(keyTypes).flatMap((type) => type.algorithms)

/** What a key of this type may call its signatures; empty for types that are not understood. */
export function signatureAlgorithmsOf(type: string): readonly string[] {
  return typeOf(type)?.algorithms ?? []
}

/**
 * Reads a whole public key blob. Only the one canonical form is taken: a key has one fingerprint.
 * @throws SshWireError for what is cut, too long, of an unknown type (certificates too), off its curve, or a weak key.
 * @see RFC 4253 section 6.6; RFC 5656 section 3.1; RFC 8709 section 4; OpenSSH PROTOCOL.u2f
 */
export function readPublicKey(blob: Uint8Array): SshPublicKey {
  if (blob.length > sshKeyBytesMax) throw new SshWireError(`a key of ${blob.length} bytes`)
  const reader = new SshReader(blob)
  const type = reader.string().toString('latin1')
  const fields = readKeyFields(type, reader)
  reader.end()
  const key = importKey(type, fields)
  return { type, blob: Buffer.from(blob), key, application: applicationOf(type, fields) }
}

/** The fields of a key of this type, as they follow its name. @throws SshWireError */
export function readKeyFields(type: string, reader: SshReader): readonly Buffer[] {
  const keyType = typeOf(type)
  if (keyType === undefined) throw new SshWireError('a type of key that is not known')
  return Array.from({ length: keyType.fields }, () => reader.string())
}

/**
 * Reads one line as in `id_ed25519.pub`: type, base64, comment.
 * @throws SshWireError
 */
export function readPublicLine(line: string): { readonly key: SshPublicKey; readonly comment: string } {
  const parts = /^([!-~]{1,64})[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+(.*))?$/.exec(line.trim())
  if (parts === null) throw new SshWireError('not a line with a public key')
  const key = readPublicKey(Buffer.from(parts[2]!, 'base64'))
  if (key.type !== parts[1]) throw new SshWireError(`a line that says ${parts[1]} and holds ${key.type}`)
  return { key, comment: parts[3] ?? '' }
}

/** `SHA256:` and the unpadded base64 of the blob's hash, as `ssh-keygen -l` shows it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

/** The blob as a key to compute with. @throws SshWireError */
export function publicKeyObject(blob: Uint8Array): KeyObject {
  return readPublicKey(blob).key
}

/** The blob of a key that Node holds, public or private: Ed25519, ECDSA on a NIST curve, RSA. @throws SshWireError for others. */
export function publicBlobOf(key: KeyObject): Buffer {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  const decoded = (text: string | undefined) => Buffer.from(text ?? '', 'base64url')
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') {
    return Buffer.concat([sshString('ssh-ed25519'), sshString(decoded(jwk.x))])
  }
  if (jwk.kty === 'RSA')
    return Buffer.concat([sshString('ssh-rsa'), sshMpint(decoded(jwk.e)), sshMpint(decoded(jwk.n))])
  const curve = Object.values(curves).find((known) => known.jwkName === jwk.crv)
  if (curve === undefined) throw new SshWireError('a type of key that is not known')
  const point = Buffer.concat([Buffer.of(4), decoded(jwk.x), decoded(jwk.y)])
  return Buffer.concat([sshString(`ecdsa-sha2-${curve.name}`), sshString(curve.name), sshString(point)])
}

/**
 * Whether the holder of the key signed `data`.
 * @param blob the public key; for a certificate, the key inside it.
 * @param algorithm what the signature is said to be: it must go with the key's type and stand in the signature too.
 * @param signature the whole signature: string algorithm, string bytes; from FIDO tokens also byte flags, uint32 counter.
 * @returns false too for whatever cannot be read. SHA-1 is no signature, RSA below 2048 bits is no key, and a token that
 *   was not touched did not sign.
 * @see RFC 8332; RFC 5656 section 3.1.2; RFC 8709 section 6; OpenSSH PROTOCOL.u2f, "SSH U2F signatures"
 */
export function verifySignature(blob: Uint8Array, algorithm: string, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = readPublicKey(blob)
    if (!signatureAlgorithmsOf(key.type).includes(algorithm)) return false
    return verifyWith(key, algorithm, data, new SshReader(signature))
  } catch (error) {
    if (error instanceof SshWireError) return false
    throw error
  }
}

function verifyWith(key: SshPublicKey, algorithm: string, data: Uint8Array, signature: SshReader): boolean {
  if (signature.string().toString('latin1') !== algorithm) return false
  const bytes = signature.string()
  const signed = key.application === null ? data : signedByToken(key.application, data, signature)
  signature.end()
  if (signed === undefined) return false
  const curve = typeOf(key.type)?.curve
  if (curve !== undefined) {
    return verify(curve.hash, signed, { key: key.key, dsaEncoding: 'ieee-p1363' }, pointFormat(bytes, curve))
  }
  if (key.type !== 'ssh-rsa') return verify(null, signed, key.key, bytes)
  return verify(algorithm === 'rsa-sha2-512' ? 'sha512' : 'sha256', signed, key.key, rsaFormat(bytes, key.key))
}

const userWasPresent = 0x01

/** What the token signed in place of the data; undefined when nobody touched it. */
function signedByToken(application: string, data: Uint8Array, signature: SshReader): Buffer | undefined {
  const flagsAndCounter = signature.bytes(5)
  if ((flagsAndCounter[0]! & userWasPresent) === 0) return undefined
  return Buffer.concat([sha256(application), flagsAndCounter, sha256(data)])
}

/** Two mpints, r and s, become two numbers of the curve's length. */
function pointFormat(bytes: Buffer, curve: Curve): Buffer {
  const reader = new SshReader(bytes)
  const numbers = [reader.string(), reader.string()].map((mpint) => padded(magnitudeOf(mpint), curve.coordinateBytes))
  reader.end()
  return Buffer.concat(numbers)
}

/** Some clients leave leading zeros of the number away. */
function rsaFormat(bytes: Buffer, key: KeyObject): Buffer {
  return padded(bytes, Math.ceil(key.asymmetricKeyDetails!.modulusLength! / 8))
}

function padded(number: Buffer, length: number): Buffer {
  if (number.length > length) throw new SshWireError('a number that is too long')
  return Buffer.concat([Buffer.alloc(length - number.length), number])
}

/** @throws SshWireError for negative numbers, and for superfluous zeros, which RFC 4251 section 5 forbids. */
function magnitudeOf(mpint: Buffer): Buffer {
  const magnitude = mpint[0] === 0 ? mpint.subarray(1) : mpint
  if (!sshMpint(magnitude).subarray(4).equals(mpint)) throw new SshWireError('a number in a form that is not canonical')
  return magnitude
}

function importKey(type: string, fields: readonly Buffer[]): KeyObject {
  if (type === 'ssh-rsa') return importRsa(magnitudeOf(fields[0]!), magnitudeOf(fields[1]!))
  const curve = typeOf(type)?.curve
  return curve === undefined ? importEd25519(fields[0]!) : importPoint(curve, fields[0]!, fields[1]!)
}

function importEd25519(point: Buffer): KeyObject {
  if (point.length !== 32) throw new SshWireError(`an Ed25519 key of ${point.length} bytes`)
  return importJwk({ kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') })
}

function importPoint(curve: Curve, name: Buffer, point: Buffer): KeyObject {
  if (name.toString('latin1') !== curve.name) throw new SshWireError('a key on another curve than its type says')
  const length = curve.coordinateBytes
  if (point.length !== 1 + 2 * length || point[0] !== 4) throw new SshWireError('a point that is not written in full')
  const x = point.subarray(1, 1 + length).toString('base64url')
  return importJwk({ kty: 'EC', crv: curve.jwkName, x, y: point.subarray(1 + length).toString('base64url') })
}

function importRsa(exponent: Buffer, modulus: Buffer): KeyObject {
  if (modulus.length * 8 > rsaBitsMax || exponent.length > rsaExponentBytesMax) throw new SshWireError('RSA too long')
  if (exponent.length === 0 || modulus.length === 0) throw new SshWireError('RSA with nothing in it')
  const key = importJwk({ kty: 'RSA', e: exponent.toString('base64url'), n: modulus.toString('base64url') })
  const bits = key.asymmetricKeyDetails!.modulusLength!
  if (bits < rsaBitsMin) throw new SshWireError(`RSA of ${bits} bits; at least ${rsaBitsMin} are needed`)
  const { publicExponent } = key.asymmetricKeyDetails!
  if (publicExponent! < 3n || publicExponent! % 2n === 0n)
    throw new SshWireError('RSA with an exponent that protects nothing')
  return key
}

/** OpenSSL checks that a point lies on its curve. */
function importJwk(key: webcrypto.JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch (cause) {
    throw new SshWireError('a key whose numbers are none', { cause })
  }
}

function applicationOf(type: string, fields: readonly Buffer[]): string | null {
  return typeOf(type)!.isOnToken ? fields.at(-1)!.toString('latin1') : null
}

function typeOf(type: string): KeyType | undefined {
  return Object.hasOwn(keyTypes, type) ? keyTypes[type] : undefined
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256')
    .update(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
    .digest()
}
