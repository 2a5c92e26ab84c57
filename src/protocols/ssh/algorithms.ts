import { certificateFormat } from '../../identity/ssh/certificate.ts'
import { signatureAlgorithmsOf } from '../../identity/ssh/public-key.ts'
import type { SshKeyPair } from '../../identity/ssh/keys.ts'
import type { AlgorithmLists } from './library/types.ts'

/** Best first. No SHA-1, no CBC, no compression, nothing under 112 bits. */
const keyExchanges = ['mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org']
const finiteFields = ['diffie-hellman-group16-sha512', 'diffie-hellman-group14-sha256']
/** For targets only: to clients we offer no curves of NIST, and 8192 bits would cost us 20 ms for anybody who asks. */
const forTargets = ['ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521', 'diffie-hellman-group18-sha512']
/** For clients only: see library/group-exchange.ts. */
const forClients = ['diffie-hellman-group-exchange-sha256']

const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
]
const macs = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512']

const plainHostKeys = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
]

/** The host key algorithms that are sound, certificates first, as OpenSSH has it. */
export const hostKeyAlgorithms: readonly string[] = [...plainHostKeys.map(certificateFormat), ...plainHostKeys]

export function offerToClients(hostKeys: readonly SshKeyPair[]): AlgorithmLists {
  const kex = [...keyExchanges, ...finiteFields, ...forClients]
  return lists(
    kex,
    hostKeys.flatMap((key) => signatureAlgorithmsOf(key.type)),
  )
}

export function offerToTargets(serverHostKey: readonly string[] = hostKeyAlgorithms): AlgorithmLists {
  return lists(
    [...keyExchanges, ...forTargets.slice(0, 3), finiteFields[0]!, forTargets[3]!, finiteFields[1]!],
    serverHostKey,
  )
}

function lists(kex: readonly string[], serverHostKey: readonly string[]): AlgorithmLists {
  const direction = { cipher: ciphers, mac: macs, compress: ['none'], lang: [] }
  return { kex, serverHostKey, cs: direction, sc: direction }
}
