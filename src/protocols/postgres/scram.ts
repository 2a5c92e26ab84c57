import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { Fault } from '../../kernel/fault.ts'
import { SaltedPasswords, saltedPassword } from './salted-passwords.ts'

/** A target that asks for more would keep this node's threads busy; PostgreSQL's own default is 4,096. */
export const iterationsMax = 1_000_000

/** What of the TLS connection the proof is bound to. */
export type ChannelBinding =
  /** tls-server-end-point: the hash of the server's certificate (RFC 5929). */
  | { readonly kind: 'bound'; readonly hash: Buffer }
  /** `y`: this side could bind, the server did not offer it. `n`: this side cannot. */
  | { readonly kind: 'unbound'; readonly flag: 'y' | 'n' }

/**
 * The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS. One object per exchange; steps in order.
 * @see RFC 5802, RFC 7677; PostgreSQL manual, "SASL Authentication" (the user name is ignored there, so it is empty)
 */
export class ScramClient {
  readonly #password: string
  readonly #gs2: string
  readonly #binding: Buffer
  readonly #bare: string
  readonly #nonce: string
  readonly #salted: SaltedPasswords
  #serverSignature: Buffer | undefined

  /** @param nonce printable ASCII without a comma, at least 18 random bytes of it. */
  constructor(
    password: string,
    nonce: string,
    binding: ChannelBinding,
    userName = '',
    salted: SaltedPasswords = new SaltedPasswords(),
  ) {
    this.#password = saslPrepare(password)
    this.#nonce = nonce
    this.#salted = salted
    this.#gs2 = binding.kind === 'bound' ? 'p=tls-server-end-point,,' : `${binding.flag},,`
    this.#binding = binding.kind === 'bound' ? binding.hash : Buffer.alloc(0)
    this.#bare = `n=${userName},r=${nonce}`
  }

  first(): string {
    return this.#gs2 + this.#bare
  }

  /** @throws Fault UPSTREAM_REFUSED when the server's message is not one, or asks for too much work. */
  async final(serverFirst: string): Promise<string> {
    const { nonce, salt, iterations } = this.#readServerFirst(serverFirst)
    const salted = await this.#salted.of(this.#password, salt, iterations)
    const clientKey = hmac(salted, 'Client Key')
    const channel = Buffer.concat([Buffer.from(this.#gs2), this.#binding]).toString('base64')
    const withoutProof = `c=${channel},r=${nonce}`
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`
    const signature = hmac(createHash('sha256').update(clientKey).digest(), authMessage)
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index]!))
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage)
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** The server must know the password too. @throws Fault UPSTREAM_REFUSED when it does not. */
  verify(serverFinal: string): void {
    const claimed = Buffer.from(/^v=([A-Za-z0-9+/=]+)/.exec(serverFinal)?.[1] ?? '', 'base64')
    const expected = this.#serverSignature
    if (expected === undefined || claimed.length !== expected.length || !timingSafeEqual(claimed, expected)) {
      throw new Fault('UPSTREAM_REFUSED', 'The target could not prove that it knows the password.')
    }
  }

  #readServerFirst(text: string): { nonce: string; salt: Buffer; iterations: number } {
    const [, nonce, salt64, count] =
      /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,10})(?:,|$)/.exec(text) ?? []
    const iterations = Number(count)
    if (nonce === undefined || salt64 === undefined || !nonce.startsWith(this.#nonce) || nonce === this.#nonce) {
      throw new Fault('UPSTREAM_REFUSED', 'The target sent a SCRAM message that is not one.')
    }
    if (!(iterations >= 1 && iterations <= iterationsMax)) {
      throw new Fault(
        'UPSTREAM_REFUSED',
        `The target asks for ${count} SCRAM iterations; ${iterationsMax} are the most.`,
      )
    }
    return { nonce, salt: Buffer.from(salt64, 'base64'), iterations }
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/**
 * The parts of SASLprep that passwords meet: other spaces become spaces, invisible characters vanish, then NFKC.
 * A password with characters that SASLprep prohibits is used as it is, which is what PostgreSQL does, too.
 * @see RFC 4013
 */
export function saslPrepare(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password
  const mapped = password
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replaceAll(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .normalize('NFKC')
  return /[\p{Cc}\p{Cs}\p{Co}\p{Cn}]/u.test(mapped) || mapped === '' ? password : mapped
}

/** The answer to AuthenticationMD5Password. @see PostgreSQL manual, "Start-up" */
export function md5Password(login: string, password: string, salt: Uint8Array): string {
  const inner = createHash('md5').update(password).update(login).digest('hex')
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`
}

/**
 * The hash for tls-server-end-point: the one of the certificate's signature, SHA-256 where that is MD5 or SHA-1.
 * @returns undefined where the signature has no hash of its own (Ed25519): such a connection cannot be bound.
 * @see RFC 5929, "tls-server-end-point"
 */
export function endPointHash(certificate: {
  readonly raw: Uint8Array
  readonly signatureAlgorithm?: string | undefined
}): Buffer | undefined {
  const named = /(md5|sha-?1|sha-?224|sha-?256|sha-?384|sha-?512)/i.exec(certificate.signatureAlgorithm ?? '')?.[1]
  if (named === undefined) return undefined
  const hash = named.toLowerCase().replace('-', '')
  return createHash(hash === 'md5' || hash === 'sha1' ? 'sha256' : hash)
    .update(certificate.raw)
    .digest()
}

/** PostgreSQL's own default; a password of 32 random bytes needs no more. */
const verifierIterations = 4096

/**
 * What a server keeps instead of a password: from it nobody can log in.
 * @param salt 16 random bytes.
 * @returns `SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>`, the parts in base64
 * @see PostgreSQL manual, "pg_authid"; RFC 5803
 */
export async function scramVerifier(password: string, salt: Uint8Array): Promise<string> {
  const salted = await saltedPassword(saslPrepare(password), salt, verifierIterations)
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64')
  const serverKey = hmac(salted, 'Server Key').toString('base64')
  return `SCRAM-SHA-256$${verifierIterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`
}
