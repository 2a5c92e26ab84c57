/**
 * Makes certificates for development: an authority of one's own and what it vouches for.
 * From a shell: `node scripts/certificates.ts --out certs --names localhost,127.0.0.1` (see certs/README.md).
 */
import { createHash, KeyObject, randomBytes, webcrypto } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { isIP, SocketAddress } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as asn1js from 'asn1js'
import * as pkijs from 'pkijs'

/** A certificate and its private key, both PEM. */
export interface Issued {
  readonly certificate: string
  readonly key: string
}

/** Who vouches. Whoever trusts `certificate` trusts everything that is signed with the key, so keep that nowhere. */
export interface Authority extends Issued {
  readonly name: string
  readonly signingKey: webcrypto.CryptoKey
  readonly keyIdentifier: ArrayBuffer
}

export interface Wish {
  /** DNS names and IP addresses for the subject alternative name; the first is the common name, too. */
  readonly names: readonly [string, ...string[]]
  /** `both` is for a test client that shows its certificate. */
  readonly purpose?: 'server' | 'both'
  readonly lengthDays?: number
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
const dayMs = 86_400_000
// Clocks of containers and their hosts differ by a little.
const skewMs = 5 * 60_000

const oid = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/**
 * Makes a self-signed authority with a fresh P-256 key that may sign certificates of servers but no further authority.
 * @see RFC 5280, section 4.2 (extensions)
 */
export async function makeAuthority(name: string, options: { lengthDays?: number } = {}): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await draft(keys.publicKey, { subject: name, issuer: name, lengthDays: options.lengthDays ?? 90 })
  const keyIdentifier = identifierOf(certificate)
  certificate.extensions = [
    extension(oid.basicConstraints, new pkijs.BasicConstraints({ cA: true, pathLenConstraint: 0 }).toSchema(), true),
    keyUsage(0b0000_0110, 1),
    extension(oid.subjectKeyIdentifier, new asn1js.OctetString({ valueHex: keyIdentifier })),
  ]
  await certificate.sign(keys.privateKey, 'SHA-256')
  return { name, keyIdentifier, signingKey: keys.privateKey, ...pemOf(certificate, keys.privateKey) }
}

/** Makes a certificate that libpq (`verify-full`), browsers, curl and OpenSSL accept for `names`. */
export async function issue(authority: Authority, wish: Wish): Promise<Issued> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await draft(keys.publicKey, {
    subject: wish.names[0],
    issuer: authority.name,
    lengthDays: wish.lengthDays ?? 90,
  })
  const purposes = wish.purpose === 'both' ? [oid.serverAuth, oid.clientAuth] : [oid.serverAuth]
  const signer = new asn1js.OctetString({ valueHex: authority.keyIdentifier })
  certificate.extensions = [
    extension(oid.basicConstraints, new pkijs.BasicConstraints({ cA: false }).toSchema(), true),
    keyUsage(0b1000_0000, 7),
    extension(oid.extendedKeyUsage, new pkijs.ExtKeyUsage({ keyPurposes: purposes }).toSchema()),
    extension(oid.subjectAltName, new pkijs.GeneralNames({ names: wish.names.map(generalName) }).toSchema()),
    extension(oid.subjectKeyIdentifier, new asn1js.OctetString({ valueHex: identifierOf(certificate) })),
    extension(oid.authorityKeyIdentifier, new pkijs.AuthorityKeyIdentifier({ keyIdentifier: signer }).toSchema()),
  ]
  await certificate.sign(authority.signingKey, 'SHA-256')
  return pemOf(certificate, keys.privateKey)
}

async function draft(
  publicKey: webcrypto.CryptoKey,
  about: { subject: string; issuer: string; lengthDays: number },
): Promise<pkijs.Certificate> {
  const certificate = new pkijs.Certificate()
  certificate.version = 2
  certificate.serialNumber = new asn1js.Integer({ valueHex: serialNumber() })
  certificate.issuer.typesAndValues.push(commonName(about.issuer))
  certificate.subject.typesAndValues.push(commonName(about.subject))
  certificate.notBefore.value = new Date(Date.now() - skewMs)
  certificate.notAfter.value = new Date(Date.now() + about.lengthDays * dayMs)
  await certificate.subjectPublicKeyInfo.importKey(publicKey)
  return certificate
}

/** 127 random bits, positive and of one length, as RFC 5280 section 4.1.2.2 allows. */
function serialNumber(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16))
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes.buffer
}

function commonName(value: string): pkijs.AttributeTypeAndValue {
  return new pkijs.AttributeTypeAndValue({ type: oid.commonName, value: new asn1js.Utf8String({ value }) })
}

function generalName(name: string): pkijs.GeneralName {
  if (isIP(name) === 0) return new pkijs.GeneralName({ type: 2, value: name })
  return new pkijs.GeneralName({ type: 7, value: new asn1js.OctetString({ valueHex: addressBytes(name) }) })
}

/** 4 bytes of IPv4 or 16 of IPv6. */
function addressBytes(address: string): ArrayBuffer {
  if (isIP(address) === 4) return Uint8Array.from(address.split('.').map(Number)).buffer
  // SocketAddress writes the shortest form; a dotted tail is the one thing that it leaves inside.
  const [head = '', tail = ''] = new SocketAddress({ address, family: 'ipv6' }).address.split('::')
  const groupsOf = (text: string) => (text === '' ? [] : text.split(':').flatMap(groupsOfPart))
  const [before, after] = [groupsOf(head), groupsOf(tail)]
  const groups = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])).buffer
}

function groupsOfPart(part: string): number[] {
  if (!part.includes('.')) return [Number.parseInt(part, 16)]
  const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
  return [(a << 8) | b, (c << 8) | d]
}

/** SHA-1 of the key's bits: RFC 5280 section 4.2.1.2, method 1. A name, not a protection. */
function identifierOf(certificate: pkijs.Certificate): ArrayBuffer {
  const bits = certificate.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView
  return new Uint8Array(createHash('sha1').update(bits).digest()).buffer
}

function keyUsage(bits: number, unusedBits: number): pkijs.Extension {
  const valueHex = Uint8Array.of(bits).buffer
  return extension(oid.keyUsage, new asn1js.BitString({ valueHex, unusedBits }), true)
}

function extension(extnID: string, value: asn1js.BaseBlock, critical = false): pkijs.Extension {
  return new pkijs.Extension({ extnID, critical, extnValue: value.toBER(false) })
}

function pemOf(certificate: pkijs.Certificate, key: webcrypto.CryptoKey): Issued {
  const base64 = Buffer.from(certificate.toSchema(true).toBER(false)).toString('base64')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    key: KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

const help = `node scripts/certificates.ts --out FOLDER --names NAME,NAME,...

Makes an authority and one certificate for these names (DNS names, IP addresses) and writes
  FOLDER/ca.pem      the authority: give it to clients that shall trust the certificate
  FOLDER/server.pem  the certificate
  FOLDER/server.key  its private key, mode 0600
The authority's private key is thrown away, so nothing else can ever be signed with it.

  --days N  how long both are valid (default 90)
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      names: { type: 'string' },
      days: { type: 'string', default: '90' },
      help: { type: 'boolean' },
    },
  })
  const [first, ...others] = (values.names ?? '').split(',').filter(Boolean)
  const lengthDays = Number(values.days)
  if (values.help || values.out === undefined || first === undefined || !(lengthDays > 0)) {
    process.stdout.write(help)
    process.exitCode = values.help ? 0 : 2
    return
  }
  const authority = await makeAuthority('Curfew development authority', { lengthDays })
  const server = await issue(authority, { names: [first, ...others], lengthDays })
  await mkdir(values.out, { recursive: true })
  await writeFile(join(values.out, 'ca.pem'), authority.certificate)
  await writeFile(join(values.out, 'server.pem'), server.certificate)
  await writeFile(join(values.out, 'server.key'), server.key, { mode: 0o600 })
  process.stdout.write(`${values.out}: ca.pem, server.pem and server.key, for ${[first, ...others].join(', ')}\n`)
}

if (import.meta.main) await main()
