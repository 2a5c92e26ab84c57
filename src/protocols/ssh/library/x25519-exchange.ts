import {
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { sshMpint } from '../../../identity/ssh/wire.ts'
import type { Bases, KeyExchangeArguments } from './key-exchange.ts'

type X25519Base = Bases['Curve25519Exchange']

const x25519Bytes = 32
const encapsulationKeyBytes = 1184
const ciphertextBytes = 1088
/** SubjectPublicKeyInfo up to the key itself (RFC 8410; RFC 9935). */
const x25519Prefix = Buffer.from('302a300506032b656e032100', 'hex')
const mlKem768Prefix = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex')

/**
 * `curve25519-sha256` with the checks that it demands: the length, and that the secret is not zero.
 * @see RFC 8731 section 3
 */
export function checkedX25519(base: X25519Base): X25519Base {
  return class extends base {
    override convertPublicKey(key: Buffer): Buffer {
      return key
    }

    override computeSecret(theirs: Buffer): Buffer | Error {
      this.generateKeys()
      return asAnswer(() => sshMpint(x25519(this._keys!.privateKey, theirs)).subarray(4))
    }
  }
}

/**
 * `mlkem768x25519-sha256`: ML-KEM-768 and X25519 side by side; whoever breaks one of them still has the other before him.
 * The client sends encapsulation key and X25519 key, the server ciphertext and X25519 key; the secret is the hash of both
 * secrets, and enters the exchange hash as a string (here: as these very bytes, behind their length).
 * @see draft-ietf-sshm-mlkem-hybrid-kex section 2; FIPS 203 section 7
 */
export function hybrid(base: X25519Base): X25519Base {
  return class extends base {
    #kem: { publicKey: KeyObject; privateKey: KeyObject } | undefined
    #ciphertext: Buffer = Buffer.alloc(0)

    constructor(hash: string, ...args: KeyExchangeArguments) {
      super(hash, ...args)
      this.type = 'mlkem768x25519'
    }

    override generateKeys(): void {
      super.generateKeys()
      if (!this._protocol._server) this.#kem ??= generateKeyPairSync('ml-kem-768')
    }

    override getPublicKey(): Buffer {
      return Buffer.concat([this.#kemPart(), super.getPublicKey()])
    }

    #kemPart(): Buffer {
      if (this._protocol._server) return this.#ciphertext
      this.generateKeys()
      return this.#kem!.publicKey.export({ format: 'der', type: 'spki' }).subarray(-encapsulationKeyBytes)
    }

    override convertPublicKey(key: Buffer): Buffer {
      return key
    }

    override computeSecret(theirs: Buffer): Buffer | Error {
      this.generateKeys()
      return asAnswer(() => {
        const kemBytes = this._protocol._server ? encapsulationKeyBytes : ciphertextBytes
        if (theirs.length !== kemBytes + x25519Bytes) throw new Error('a hybrid key of the wrong length')
        const kemSecret = this.#agree(theirs.subarray(0, kemBytes))
        const curveSecret = x25519(this._keys!.privateKey, theirs.subarray(kemBytes))
        return createHash('sha256').update(kemSecret).update(curveSecret).digest()
      })
    }

    #agree(theirs: Buffer): Buffer {
      if (!this._protocol._server) return decapsulate(this.#kem!.privateKey, theirs)
      const { sharedKey, ciphertext } = encapsulate(publicKeyBehind(mlKem768Prefix, theirs))
      this.#ciphertext = ciphertext
      return sharedKey
    }
  }
}

/** @throws Error for a key of another length, and when the secret is zero (a point of small order). */
function x25519(privateKey: KeyObject, theirs: Buffer): Buffer {
  if (theirs.length !== x25519Bytes) throw new Error('an X25519 key of the wrong length')
  const secret = diffieHellman({ privateKey, publicKey: publicKeyBehind(x25519Prefix, theirs) })
  if (secret.every((byte) => byte === 0)) throw new Error('an X25519 key of small order')
  return secret
}

function publicKeyBehind(prefix: Buffer, key: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([prefix, key]), format: 'der', type: 'spki' })
}

/** The library takes a failure as an answer. */
function asAnswer(compute: () => Buffer): Buffer | Error {
  try {
    return compute()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
