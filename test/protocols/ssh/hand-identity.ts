/** An identity room made by hand: keys are remembered, and sign-ins answered, when the test says so. */
import { generateKeyPairSync } from 'node:crypto'
import type { AuthenticateDeps } from '../../../src/protocols/ssh/auth/authenticate.ts'
import type { SignIn } from '../../../src/identity/store.ts'
import type { SshKeyPair } from '../../../src/identity/ssh/keys.ts'
import { signCertificate, signWithKey } from '../../../src/identity/ssh/certificate.ts'
import { publicBlobOf } from '../../../src/identity/ssh/public-key.ts'
import { sshBoolean, sshByte, sshString } from '../../../src/identity/ssh/wire.ts'
import { Fault } from '../../../src/kernel/fault.ts'
import type { Identified } from '../../../src/sessions/session.ts'
import { systemClock, systemRandom } from '../../../src/system.ts'

export const ada: Identified = {
  person: 'person-ada',
  personName: 'ada@example.com',
  credential: 'binding-1',
  browserSession: 'browser-1',
}

export function newKey(): SshKeyPair {
  const { privateKey } = generateKeyPairSync('ed25519')
  return { type: 'ssh-ed25519', privateKey, publicBlob: publicBlobOf(privateKey) }
}

export class HandIdentity {
  readonly remembered = new Map<string, Identified>()
  readonly authority = newKey()
  readonly begun: Parameters<AuthenticateDeps['identity']['inBand']['begin']>[0][] = []
  certificateFault: Fault | undefined
  /** How the sign-in that is waited for ends. */
  readonly answer = Promise.withResolvers<Identified>()
  waiting = 0

  constructor() {
    this.answer.promise.catch(() => undefined)
  }

  deps(more: Partial<AuthenticateDeps> = {}): AuthenticateDeps {
    return {
      identity: {
        inBand: {
          begin: (ask) => {
            this.begun.push(ask)
            return Promise.resolve({ ...ask, id: 'signin-1', code: 'KF7-XR2' } as unknown as SignIn)
          },
          link: (signIn) => new URL(`https://gw.example.com/s/${signIn.code}`),
          answered: (_signIn, signal) => this.#answered(signal),
        },
        ssh: {
          recogniseKey: (fingerprint) => Promise.resolve(this.remembered.get(fingerprint)),
          verifyCertificate: () =>
            this.certificateFault === undefined ? Promise.resolve(ada) : Promise.reject(this.certificateFault),
        },
      },
      keys: { peopleAuthority: this.authority },
      signInMs: 300_000,
      handshakeMs: 10_000,
      clock: systemClock,
      ...more,
    }
  }

  certificateFor(key: SshKeyPair, authority = this.authority): Buffer {
    const now = Math.floor(Date.now() / 1000)
    const contents = {
      type: 'user' as const,
      publicBlob: key.publicBlob,
      serial: 1n,
      keyId: 'ada',
      principals: ['ada'],
      validAfter: now - 60,
      validBefore: now + 600,
      criticalOptions: {},
      extensions: {},
      nonce: systemRandom.bytes(32),
    }
    return signCertificate(contents, authority)
  }

  async #answered(signal: AbortSignal): Promise<Identified> {
    this.waiting += 1
    const gone = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => gone.reject(signal.reason), { once: true })
    try {
      return await Promise.race([this.answer.promise, gone.promise])
    } finally {
      this.waiting -= 1
    }
  }
}

const head = (user: string, method: string) =>
  Buffer.concat([sshByte(50), ...[user, 'ssh-connection', method].map((text) => sshString(text))])

export const requests = {
  service: (name = 'ssh-userauth') => Buffer.concat([sshByte(5), sshString(name)]),
  plain: (user: string, method = 'none') => head(user, method),
  interactive: (user: string) => Buffer.concat([head(user, 'keyboard-interactive'), sshString(''), sshString('')]),
  answers: (...answers: readonly string[]) =>
    Buffer.concat([Buffer.of(61, 0, 0, 0, answers.length), ...answers.map((answer) => sshString(answer))]),
  offer: (user: string, blob: Buffer, algorithm = 'ssh-ed25519') =>
    Buffer.concat([head(user, 'publickey'), sshBoolean(false), sshString(algorithm), sshString(blob)]),
  signed(user: string, key: SshKeyPair, sessionId: Buffer, blob = key.publicBlob, algorithm = 'ssh-ed25519'): Buffer {
    const unsigned = Buffer.concat([head(user, 'publickey'), sshBoolean(true), sshString(algorithm), sshString(blob)])
    const signature = signWithKey(key, Buffer.concat([sshString(sessionId), unsigned]))
    return Buffer.concat([unsigned, sshString(signature)])
  },
}
