import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { signWithKey } from '../../../src/identity/ssh/certificate.ts'
import { sshKeyPair } from '../../../src/identity/ssh/keys.ts'
import { publicBlobOf } from '../../../src/identity/ssh/public-key.ts'
import { SshReader, sshByte, sshMpint, sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'

/** A key that signs, of whatever type. */
export interface Signer {
  readonly type: string
  readonly blob: Buffer
  readonly algorithms: readonly string[]
  sign(data: Uint8Array, algorithm?: string): Buffer
}

const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey

export const ed25519 = (): Signer => software(generateKeyPairSync('ed25519').privateKey, ['ssh-ed25519'])
export const rsa = (modulusLength = 2048): Signer =>
  software(generateKeyPairSync('rsa', { modulusLength }).privateKey, ['rsa-sha2-512', 'rsa-sha2-256'])
export const ecdsa = (bits: 256 | 384 | 521): Signer => software(ec(`P-${bits}`), [`ecdsa-sha2-nistp${bits}`])

function software(privateKey: KeyObject, algorithms: readonly string[]): Signer {
  const pair = sshKeyPair(privateKey)
  return {
    ...{ type: pair.type, blob: pair.publicBlob, algorithms },
    sign: (data, algorithm) => signWithKey(pair, data, algorithm),
  }
}

/** A FIDO token in software (OpenSSH PROTOCOL.u2f). `flags`: 1 is "the user was present". */
export function token(kind: 'ed25519' | 'ecdsa', flags = 1): Signer {
  const privateKey = kind === 'ed25519' ? generateKeyPairSync('ed25519').privateKey : ec('P-256')
  const type = kind === 'ed25519' ? 'sk-ssh-ed25519@openssh.com' : 'sk-ecdsa-sha2-nistp256@openssh.com'
  const plain = new SshReader(publicBlobOf(privateKey))
  plain.string()
  const blob = Buffer.concat([sshString(type), plain.rest(), sshString('ssh:')])
  return {
    ...{ type, blob, algorithms: [type] },
    sign(data) {
      const flagsAndCounter = Buffer.concat([sshByte(flags), sshUint32(7)])
      const signed = Buffer.concat([sha256('ssh:'), flagsAndCounter, sha256(data)])
      return Buffer.concat([sshString(type), sshString(tokenSignature(privateKey, signed)), flagsAndCounter])
    },
  }
}

function tokenSignature(privateKey: KeyObject, signed: Buffer): Buffer {
  if (privateKey.asymmetricKeyType === 'ed25519') return sign(null, signed, privateKey)
  const numbers = sign('sha256', signed, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return Buffer.concat([sshMpint(numbers.subarray(0, 32)), sshMpint(numbers.subarray(32))])
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}

export const everyType = (): readonly Signer[] => [
  ...[ed25519(), ecdsa(256), ecdsa(384), ecdsa(521), rsa()],
  ...[token('ed25519'), token('ecdsa')],
]
