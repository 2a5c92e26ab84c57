import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { sshKeyPair, sshPublicLine, type SshKeyPair } from '../../identity/ssh/keys.ts'
import { sshString, sshUint32 } from '../../identity/ssh/wire.ts'

/** A key pair as ssh keeps it in `id_ed25519` and `id_ed25519.pub`. */
export interface KeyPairTexts {
  readonly privateText: string
  readonly publicLine: string
}

export function makeKeyPair(comment: string): KeyPairTexts {
  const pair = sshKeyPair(generateKeyPairSync('ed25519').privateKey)
  return { privateText: privateKeyText(pair, comment), publicLine: sshPublicLine(pair, comment) }
}

/** The cipher `none` has blocks of 8 bytes. */
const blockBytes = 8

/** An Ed25519 key without a passphrase. @see OpenSSH PROTOCOL.key; how the key's fields follow: draft-ietf-sshm-ssh-agent, "EdDSA keys" */
function privateKeyText({ type, privateKey, publicBlob }: SshKeyPair, comment: string): string {
  const { d, x } = privateKey.export({ format: 'jwk' })
  const [seed, point] = [d, x].map((text) => Buffer.from(text!, 'base64url')) as [Buffer, Buffer]
  const check = randomBytes(4)
  const secret = Buffer.concat([
    ...[check, check, sshString(type), sshString(point), sshString(Buffer.concat([seed, point])), sshString(comment)],
  ])
  const padding = Buffer.from(Array.from({ length: -secret.length & (blockBytes - 1) }, (_, at) => at + 1))
  const whole = Buffer.concat([
    ...[Buffer.from('openssh-key-v1\0'), sshString('none'), sshString('none'), sshString(''), sshUint32(1)],
    ...[sshString(publicBlob), sshString(Buffer.concat([secret, padding]))],
  ])
  const lines = whole.toString('base64').replaceAll(/.{70}(?=.)/g, '$&\n')
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`
}
