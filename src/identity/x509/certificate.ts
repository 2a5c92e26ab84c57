import { createHash, createPublicKey, sign, type KeyObject } from 'node:crypto'
import {
  BitString,
  Boolean as Asn1Boolean,
  Constructed,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  Sequence,
  Set as Asn1Set,
  UTCTime,
  Utf8String,
  fromBER,
  type BaseBlock,
} from 'asn1js'
import type { Instant } from '../../kernel/time.ts'

/** A distinguished name of two parts. */
export interface X509Name {
  readonly organisation: string
  readonly common: string
}

export interface X509Contents {
  readonly subject: X509Name
  readonly issuer: X509Name
  readonly publicKey: KeyObject
  /** 16 bytes. */
  readonly serial: Uint8Array
  readonly validFrom: Instant
  /** Both are cut to whole seconds. */
  readonly validUntil: Instant
  /** Of an authority: null. Of a client: its subject alternative name, ASCII. */
  readonly uri: string | null
}

const oid = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  organisation: '2.5.4.10',
  common: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const
/** id-kp-clientAuth */
export const clientAuthentication = '1.3.6.1.5.5.7.3.2'
/** ub-common-name, ub-organization-name. */
const nameLengthMax = 64

/**
 * Signs a certificate with a P-256 key: an authority's own (`uri` null), which may sign no further authority, or a client's.
 * @returns DER
 * @see RFC 5280, sections 4.1 and 4.2; RFC 5480
 */
export function signX509(contents: X509Contents, authority: KeyObject): Buffer {
  const algorithm = sequence(new ObjectIdentifier({ value: oid.ecdsaWithSha256 }))
  const body = sequence(
    tagged(0, [new Integer({ value: 2 })]),
    new Integer({ valueHex: positive(contents.serial) }),
    algorithm,
    nameOf(contents.issuer),
    sequence(timeOf(contents.validFrom), timeOf(contents.validUntil)),
    nameOf(contents.subject),
    keyBlock(contents.publicKey),
    tagged(3, [sequence(...extensionsOf(contents, authority))]),
  )
  const signature = sign('sha256', new Uint8Array(body.toBER()), authority)
  return der(sequence(body, algorithm, new BitString({ valueHex: arrayBuffer(signature) })))
}

function extensionsOf({ uri, publicKey }: X509Contents, authority: KeyObject): BaseBlock[] {
  const own = extension(oid.subjectKeyIdentifier, new OctetString({ valueHex: keyIdentifier(publicKey) }))
  if (uri === null) {
    const constraints = sequence(new Asn1Boolean({ value: true }), new Integer({ value: 0 }))
    const keyCertSign = new BitString({ valueHex: new Uint8Array([0b0000_0100]).buffer, unusedBits: 2 })
    return [extension(oid.basicConstraints, constraints, true), extension(oid.keyUsage, keyCertSign, true), own]
  }
  const digitalSignature = new BitString({ valueHex: new Uint8Array([0b1000_0000]).buffer, unusedBits: 7 })
  const name = new Primitive({ idBlock: contextTag(6), valueHex: arrayBuffer(Buffer.from(uri, 'ascii')) })
  const signer = new Primitive({ idBlock: contextTag(0), valueHex: keyIdentifier(createPublicKey(authority)) })
  return [
    extension(oid.basicConstraints, sequence(), true),
    extension(oid.keyUsage, digitalSignature, true),
    extension(oid.extendedKeyUsage, sequence(new ObjectIdentifier({ value: clientAuthentication })), true),
    extension(oid.subjectAltName, sequence(name)),
    own,
    extension(oid.authorityKeyIdentifier, sequence(signer)),
  ]
}

function extension(id: string, value: BaseBlock, critical = false): BaseBlock {
  return sequence(
    new ObjectIdentifier({ value: id }),
    ...(critical ? [new Asn1Boolean({ value: true })] : []),
    new OctetString({ valueHex: value.toBER() }),
  )
}

function nameOf({ organisation, common }: X509Name): BaseBlock {
  const part = (id: string, value: string) =>
    new Asn1Set({ value: [sequence(new ObjectIdentifier({ value: id }), new Utf8String({ value: plain(value) }))] })
  return sequence(part(oid.organisation, organisation), part(oid.common, common))
}

function plain(text: string): string {
  return text.replaceAll(/\p{C}/gu, ' ').slice(0, nameLengthMax).toWellFormed()
}

/** "CAs … MUST always encode … through the year 2049 as UTCTime". @see RFC 5280, section 4.1.2.5 */
function timeOf(at: Instant): BaseBlock {
  const valueDate = new Date(Math.floor(at / 1000) * 1000)
  return valueDate.getUTCFullYear() < 2050 ? new UTCTime({ valueDate }) : new GeneralizedTime({ valueDate })
}

/** Positive, and of one length. @see RFC 5280, section 4.1.2.2 */
function positive(serial: Uint8Array): ArrayBuffer {
  const bytes = Uint8Array.from(serial)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes.buffer
}

/** @see RFC 5280, section 4.2.1.2, method (1) */
function keyIdentifier(publicKey: KeyObject): ArrayBuffer {
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
  return arrayBuffer(createHash('sha1').update(point).digest())
}

function keyBlock(publicKey: KeyObject): BaseBlock {
  return fromBER(arrayBuffer(publicKey.export({ type: 'spki', format: 'der' }))).result
}

function sequence(...value: BaseBlock[]): Sequence {
  return new Sequence({ value })
}

function tagged(tagNumber: number, value: BaseBlock[]): Constructed {
  return new Constructed({ idBlock: contextTag(tagNumber), value })
}

function contextTag(tagNumber: number) {
  return { tagClass: 3, tagNumber }
}

function der(block: BaseBlock): Buffer {
  return Buffer.from(block.toBER())
}

function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}
