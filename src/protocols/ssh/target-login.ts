import { plainFormat, signWithKey, certificateFormat } from '../../identity/ssh/certificate.ts'
import { signatureAlgorithmsOf } from '../../identity/ssh/public-key.ts'
import { SshReader, SshWireError, sshBoolean, sshByte, sshString } from '../../identity/ssh/wire.ts'
import { Fault } from '../../kernel/fault.ts'
import type { TargetCredential } from './role-key.ts'
import type { Transport } from './transport.ts'

const message = { serviceRequest: 5, serviceAccept: 6, request: 50, failure: 51, success: 52, banner: 53 } as const
/** What the target may say before it lets us in. */
const bannerBytesMax = 16 * 1024
const messagesMax = 64

export interface LoginWish {
  /** The resource, for messages. */
  readonly name: string
  readonly login: string
  readonly credential: TargetCredential
  /** What the target takes as signatures (`server-sig-algs`), asked when it is needed; null when it did not say. */
  readonly takes: () => readonly string[] | null
}

/**
 * Logs in with a key. Afterwards what the target sends waits in the transport.
 * @param signal ends the attempt; its reason is what this rejects with.
 * @returns the banners, without control characters.
 * @throws Fault UPSTREAM_REFUSED, UPSTREAM_UNREACHABLE
 * @see RFC 4252 sections 5, 5.4 and 7; RFC 8332 section 3.3
 */
export async function logIn(transport: Transport, wish: LoginWish, signal: AbortSignal): Promise<readonly string[]> {
  const login = new Login(transport, wish, signal)
  try {
    return await login.run()
  } catch (error) {
    if (!(error instanceof SshWireError)) throw error
    throw new Fault('UPSTREAM_REFUSED', `${wish.name} sent something that cannot be read.`, { cause: error })
  }
}

class Login {
  readonly #transport: Transport
  readonly #wish: LoginWish
  readonly #signal: AbortSignal
  readonly #banners: string[] = []
  #bannerBytes = 0
  #messages = 0

  constructor(transport: Transport, wish: LoginWish, signal: AbortSignal) {
    this.#transport = transport
    this.#wish = wish
    this.#signal = signal
  }

  async run(): Promise<readonly string[]> {
    this.#transport.send(Buffer.concat([sshByte(message.serviceRequest), sshString('ssh-userauth')]))
    const answer = await this.#next()
    if (answer[0] !== message.serviceAccept) throw this.#unexpected(answer)
    for (const algorithm of this.#algorithms()) {
      this.#transport.send(this.#request(algorithm))
      if (await this.#isLetIn()) return this.#banners
    }
    const { name, login, credential } = this.#wish
    throw new Fault('UPSTREAM_REFUSED', `${name} did not take ${credential.words} for the login "${login}".`)
  }

  /** RSA keys can sign in two ways; a target that did not say which it takes is asked for both. */
  #algorithms(): readonly string[] {
    const { pair } = this.#wish.credential
    const known = signatureAlgorithmsOf(pair.type)
    const taken = this.#wish.takes()
    const common = known.filter((name) => taken?.includes(name) ?? true)
    return common.length > 0 ? common : known.slice(0, 1)
  }

  #request(algorithm: string): Buffer {
    const { login, credential } = this.#wish
    const isCertificate = plainFormat(new SshReader(credential.publicBlob).text()) !== undefined
    const request = Buffer.concat([
      sshByte(message.request),
      ...[login, 'ssh-connection', 'publickey'].map((text) => sshString(text)),
      sshBoolean(true),
      sshString(isCertificate ? certificateFormat(algorithm) : algorithm),
      sshString(credential.publicBlob),
    ])
    const signed = Buffer.concat([sshString(this.#transport.sessionId), request])
    return Buffer.concat([request, sshString(signWithKey(credential.pair, signed, algorithm))])
  }

  async #isLetIn(): Promise<boolean> {
    for (;;) {
      const answer = await this.#next()
      if (answer[0] === message.success) return true
      if (answer[0] === message.banner) this.#keepBanner(new SshReader(answer, 1).text())
      else if (answer[0] === message.failure) return this.#readFailure(new SshReader(answer, 1))
      else throw this.#unexpected(answer)
    }
  }

  #readFailure(reader: SshReader): false {
    const methods = reader.nameList()
    if (!reader.boolean()) return false
    const { name, login } = this.#wish
    const cause = new Error(`it goes on with: ${methods.join(', ').slice(0, 200)}`)
    throw new Fault('UPSTREAM_REFUSED', `${name} asks for more than a key for the login "${login}".`, { cause })
  }

  #keepBanner(text: string): void {
    this.#bannerBytes += Buffer.byteLength(text)
    if (this.#bannerBytes > bannerBytesMax) {
      throw new Fault('UPSTREAM_REFUSED', `${this.#wish.name} says more than ${bannerBytesMax} bytes before the login.`)
    }
    // It is shown on a terminal, and its lines end as terminals want it.
    const clean = text.replace(/\r\n?/gu, '\n').replace(/(?!\n)\p{Cc}/gu, '')
    if (clean.trim() !== '') this.#banners.push(clean)
  }

  /** One message; what follows it stays in the transport until the next call. */
  async #next(): Promise<Buffer> {
    this.#messages += 1
    if (this.#messages > messagesMax)
      throw new Fault('UPSTREAM_REFUSED', `${this.#wish.name} does not come to the point.`)
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const stopped = () => reject(this.#signal.aborted ? this.#signal.reason : this.#lost())
    const { gone } = this.#transport
    this.#signal.addEventListener('abort', stopped, { once: true })
    gone.addEventListener('abort', stopped, { once: true })
    this.#transport.onMessage = (received) => {
      this.#transport.onMessage = null
      resolve(received)
    }
    if (this.#signal.aborted || gone.aborted) stopped()
    try {
      return await promise
    } finally {
      this.#signal.removeEventListener('abort', stopped)
      gone.removeEventListener('abort', stopped)
    }
  }

  #lost(): Fault {
    const cause: unknown = this.#transport.gone.reason
    return new Fault('UPSTREAM_REFUSED', `${this.#wish.name} hung up during the login.`, { cause })
  }

  #unexpected(answer: Buffer): Fault {
    const cause = new Error(`message ${answer[0]} came out of turn`)
    return new Fault('UPSTREAM_REFUSED', `${this.#wish.name} does not speak the protocol as expected.`, { cause })
  }
}
