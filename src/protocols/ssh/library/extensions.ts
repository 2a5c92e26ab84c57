import { certificateFormat, plainFormat, readCertificate } from '../../../identity/ssh/certificate.ts'
import { sshSignatureAlgorithms, verifySignature } from '../../../identity/ssh/public-key.ts'
import { SshWireError } from '../../../identity/ssh/wire.ts'
import { groupExchange } from './group-exchange.ts'
import type { Bases, KeyExchangeArguments } from './key-exchange.ts'
import type { AlgorithmLists } from './types.ts'
import { checkedX25519, hybrid } from './x25519-exchange.ts'

/** What one side offers, as the library keeps it. */
interface Lists {
  readonly kex: { readonly array: readonly string[] }
  readonly serverHostKey: { readonly array: readonly string[] }
  readonly cs: DirectionLists
  readonly sc: DirectionLists
}

type DirectionLists = Readonly<Record<keyof AlgorithmLists['cs'], { readonly array: readonly string[] }>>

/** What the changed places of the library call. */
export const extensions = {
  /** `server-sig-algs` (RFC 8308): what people may sign in with, certificates over such keys too. */
  serverSignatureAlgorithms: sshSignatureAlgorithms.flatMap((name) => [name, certificateFormat(name)]).join(','),

  /** A key exchange of ours; undefined for those that the library does well. */
  exchange(name: string, bases: Bases, args: KeyExchangeArguments): unknown {
    switch (name) {
      case 'mlkem768x25519-sha256':
        return new (hybrid(bases.Curve25519Exchange))('sha256', ...args)
      case 'curve25519-sha256':
      case 'curve25519-sha256@libssh.org':
        return new (checkedX25519(bases.Curve25519Exchange))('sha256', ...args)
      case 'diffie-hellman-group-exchange-sha256':
        return new (groupExchange(bases.KeyExchange))(...args)
      default:
        return undefined
    }
  },

  /** The type that stands in the blob of a host key which was agreed on by this algorithm. */
  hostKeyType(algorithm: string): string {
    return /^rsa-sha2-(?:256|512)(.*)$/u.exec(algorithm)?.[1]?.replace(/^/u, 'ssh-rsa') ?? algorithm
  },

  isHostSignature(hostKey: Buffer, algorithm: string, exchangeHash: Buffer, signature: Buffer): boolean {
    try {
      const plain = plainFormat(algorithm)
      const publicBlob = plain === undefined ? hostKey : readCertificate(hostKey).publicBlob
      return verifySignature(publicBlob, plain ?? algorithm, exchangeHash, signature)
    } catch (error) {
      if (error instanceof SshWireError) return false
      throw error
    }
  },

  /**
   * The server's offer to a client whose own is known. OpenSSH's clients like ChaCha20-Poly1305 and AES-CTR better, which
   * take us at least twice as long as AES-GCM, so whoever can do that gets nothing else. Without strict key exchange
   * ChaCha20-Poly1305 would let somebody on the way leave out the first messages (CVE-2023-48795).
   */
  answer(local: Lists, remote: ClientOffer): AlgorithmLists {
    const isStrict = remote.kex.includes('kex-strict-c-v00@openssh.com')
    const ciphers = local.cs.cipher.array.filter((name) => isStrict || !name.startsWith('chacha20-'))
    const direction = (own: DirectionLists, theirs: ClientCiphers) => ({
      cipher: theirs.cipher.some(isGcm) ? ciphers.filter(isGcm) : ciphers,
      mac: own.mac.array,
      compress: own.compress.array,
      lang: own.lang.array,
    })
    return {
      kex: local.kex.array,
      serverHostKey: local.serverHostKey.array,
      cs: direction(local.cs, remote.cs),
      sc: direction(local.sc, remote.sc),
    }
  },

  isWrongGuess(
    local: Pick<Lists, 'kex' | 'serverHostKey'>,
    remote: { readonly kex: readonly string[]; readonly serverHostKey: readonly string[] },
  ) {
    return local.kex.array[0] !== remote.kex[0] || local.serverHostKey.array[0] !== remote.serverHostKey[0]
  },
}

interface ClientOffer {
  readonly kex: readonly string[]
  readonly cs: ClientCiphers
  readonly sc: ClientCiphers
}

interface ClientCiphers {
  readonly cipher: readonly string[]
}

function isGcm(name: string): boolean {
  return name === 'aes128-gcm@openssh.com' || name === 'aes256-gcm@openssh.com'
}
