import type { Identity } from '../../../identity/identity.ts'
import {
  certificateSignedBy,
  plainFormat,
  readCertificate,
  type SshCertificate,
} from '../../../identity/ssh/certificate.ts'
import {
  fingerprintOf,
  readPublicKey,
  signatureAlgorithmsOf,
  verifySignature,
} from '../../../identity/ssh/public-key.ts'
import type { SshKeyPair } from '../../../identity/ssh/keys.ts'
import { SshWireError } from '../../../identity/ssh/wire.ts'
import type { Identified } from '../../../sessions/session.ts'
import { signedBytes, type PublicKeyRequest } from './messages.ts'

export interface OfferedKeysDeps {
  readonly identity: { readonly ssh: Pick<Identity['ssh'], 'recogniseKey' | 'verifyCertificate'> }
  readonly keys: { readonly peopleAuthority: Pick<SshKeyPair, 'publicBlob'> }
}

type Proof =
  | { readonly kind: 'identified'; readonly identified: Identified }
  /** The client holds it; whose it is, a sign-in will say. */
  | { readonly kind: 'proved' }
  | { readonly kind: 'refused' }

const refused: Proof = { kind: 'refused' }

/**
 * The keys that one connection offers. One unknown key may be proved, to be remembered by the sign-in that follows;
 * the others are refused unseen, so that an agent full of keys is not asked to sign with each.
 */
export class OfferedKeys {
  readonly #sessionId: Uint8Array
  readonly #from: { readonly address: string }
  readonly #deps: OfferedKeysDeps
  #proved: string | null = null

  constructor(sessionId: Uint8Array, from: { readonly address: string }, deps: OfferedKeysDeps) {
    this.#sessionId = sessionId
    this.#from = from
    this.#deps = deps
  }

  /** The fingerprint (`SHA256:…`) of the key that the client holds and nobody is known by. */
  get proved(): string | null {
    return this.#proved
  }

  isProved(request: PublicKeyRequest): boolean {
    return this.#proved !== null && fingerprintOf(request.blob) === this.#proved
  }

  /** Whether a signature by it is worth making. */
  async wouldDo(request: PublicKeyRequest): Promise<boolean> {
    if (plainFormat(request.algorithm) !== undefined) return this.#ownCertificate(request) !== undefined
    if (!isSoundKey(request)) return false
    return this.#proved === null || (await this.#owner(request)) !== undefined
  }

  /** @throws Fault CERTIFICATE_REFUSED for a certificate of our own that holds no more. */
  async prove(request: PublicKeyRequest): Promise<Proof> {
    const isCertificate = plainFormat(request.algorithm) !== undefined
    return isCertificate ? this.#proveCertificate(request) : this.#provePlain(request)
  }

  async #provePlain(request: PublicKeyRequest): Promise<Proof> {
    const { blob, algorithm, signature } = request
    if (this.isProved(request)) return refused
    if (!verifySignature(blob, algorithm, signedBytes(this.#sessionId, request), signature!)) return refused
    const identified = await this.#owner(request)
    if (identified !== undefined) return { kind: 'identified', identified }
    if (this.#proved !== null) return refused
    this.#proved = fingerprintOf(blob)
    return { kind: 'proved' }
  }

  async #proveCertificate(request: PublicKeyRequest): Promise<Proof> {
    const certificate = this.#ownCertificate(request)
    if (certificate === undefined) return refused
    const data = signedBytes(this.#sessionId, request)
    const algorithm = plainFormat(request.algorithm)!
    if (!verifySignature(certificate.publicBlob, algorithm, data, request.signature!)) return refused
    return { kind: 'identified', identified: await this.#deps.identity.ssh.verifyCertificate(request.blob, this.#from) }
  }

  #owner({ blob }: PublicKeyRequest): Promise<Identified | undefined> {
    return this.#deps.identity.ssh.recogniseKey(fingerprintOf(blob))
  }

  /** Certificates of other authorities are for other servers: they are passed over. */
  #ownCertificate({ blob }: PublicKeyRequest): SshCertificate | undefined {
    const certificate = legible(() => readCertificate(blob))
    if (certificate === undefined) return undefined
    return certificateSignedBy(certificate, this.#deps.keys.peopleAuthority.publicBlob) ? certificate : undefined
  }
}

function isSoundKey({ blob, algorithm }: PublicKeyRequest): boolean {
  const key = legible(() => readPublicKey(blob))
  return key !== undefined && signatureAlgorithmsOf(key.type).includes(algorithm)
}

/** Undefined for what is no key, or a weak one: the client may have better. */
function legible<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof SshWireError) return undefined
    throw error
  }
}
