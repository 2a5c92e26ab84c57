import {
  certificateFormat,
  certificateSignedBy,
  plainFormat,
  readCertificate,
  type SshCertificate,
} from '../../identity/ssh/certificate.ts'
import { fingerprintOf, readPublicKey, readPublicLine, signatureAlgorithmsOf } from '../../identity/ssh/public-key.ts'
import { SshReader, SshWireError } from '../../identity/ssh/wire.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Instant } from '../../kernel/time.ts'
import type { SshResource } from '../../resources/catalogue.ts'
import { hostKeyAlgorithms } from './algorithms.ts'
import { readKnownHosts, type KnownHost } from './known-hosts.ts'

/** What a resource says about its target's host keys. */
export class HostKeyCheck {
  readonly #resource: SshResource
  readonly #known: KnownHost
  readonly #authorities: readonly Buffer[]

  /** @throws SshWireError for an authority that is no public key; the configuration has checked that. */
  constructor(resource: SshResource) {
    const { hostKeys, host, port } = resource
    this.#resource = resource
    this.#known = readKnownHosts(hostKeys.knownHosts ?? '', host, port)
    this.#authorities = [
      ...hostKeys.authorities.map((line) => readPublicLine(line).key.blob),
      ...this.#known.authorities,
    ]
  }

  /** What to offer, best first: what can be believed stands before what can only be named in the refusal. */
  get algorithms(): readonly string[] {
    const knownTypes = this.#known.keys.map((blob) => readPublicKey(blob).type)
    const known = knownTypes.flatMap((type) => signatureAlgorithmsOf(type))
    const plain = hostKeyAlgorithms.filter((name) => plainFormat(name) === undefined)
    const certified = this.#authorities.length > 0 ? plain.map(certificateFormat) : []
    return [...new Set([...certified, ...plain.filter((name) => known.includes(name)), ...plain])]
  }

  /** Fingerprints do not say of which type the key is: when one was not it, another may be. */
  get mayBeAnother(): boolean {
    return this.#resource.hostKeys.fingerprints.length > 0
  }

  /**
   * @param shown the blob, or the whole certificate, that the server signed the key exchange with.
   * @returns the key's fingerprint.
   * @throws Fault HOST_KEY_UNKNOWN
   */
  verify(shown: Buffer, now: Instant): string {
    const certificate = readShown(shown)
    const plain = certificate?.publicBlob ?? shown
    const fingerprint = fingerprintOf(plain)
    if (this.#isRevoked(plain, certificate)) throw this.#unknown(plain, 'It is revoked.')
    const isPinned = this.#resource.hostKeys.fingerprints.includes(fingerprint)
    if (isPinned || this.#known.keys.some((key) => key.equals(plain))) return fingerprint
    if (certificate === undefined) throw this.#unknown(plain, '')
    const objection = this.#objection(certificate, now)
    if (objection !== undefined) throw this.#unknown(plain, `Its certificate does not help: ${objection}.`)
    return fingerprint
  }

  #isRevoked(plain: Buffer, certificate: SshCertificate | undefined): boolean {
    return this.#known.revoked.some((key) => key.equals(plain) || certificate?.authorityBlob.equals(key) === true)
  }

  /** @see OpenSSH PROTOCOL.certkeys */
  #objection(certificate: SshCertificate, now: Instant): string | undefined {
    const isSigned = this.#authorities.some((authority) => certificateSignedBy(certificate, authority))
    if (!isSigned) return 'its authority is not known'
    if (certificate.type !== 'host') return 'it is not made for a host'
    const seconds = now / 1000
    if (seconds < certificate.validAfter) return 'it is not valid yet'
    if (seconds >= certificate.validBefore) return 'it has expired'
    // A certificate without names is good for any machine; nobody who wrote one down meant this.
    const host = this.#resource.host.toLowerCase()
    if (!certificate.principals.some((name) => name.toLowerCase() === host)) return 'it does not name this host'
    if (Object.keys(certificate.criticalOptions).length > 0) return 'it has an option that the gateway does not know'
    return undefined
  }

  #unknown(plain: Buffer, more: string): Fault {
    const { name } = this.#resource
    const type = new SshReader(plain).text()
    const words = `${name} showed a host key that the gateway does not know: ${type} ${fingerprintOf(plain)}.`
    return new Fault('HOST_KEY_UNKNOWN', `${words} ${more}`.trimEnd())
  }
}

function readShown(shown: Buffer): SshCertificate | undefined {
  const type = new SshReader(shown).text()
  if (plainFormat(type) === undefined) return undefined
  try {
    return readCertificate(shown)
  } catch (error) {
    if (!(error instanceof SshWireError)) throw error
    throw new Fault('HOST_KEY_UNKNOWN', 'The target showed a host certificate that cannot be read.', { cause: error })
  }
}
