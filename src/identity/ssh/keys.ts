import type { KeyObject } from 'node:crypto'

/** A private key that speaks SSH. */
export interface SshKeyPair {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, … */
  readonly type: string
  readonly privateKey: KeyObject
  /** The public key blob (RFC 4253 section 6.6). */
  readonly publicBlob: Buffer
}

/** The gateway's own SSH keys. */
export interface SshKeys {
  /** What clients know the gateway by. */
  readonly hostKey: SshKeyPair
  /** Signs the ephemeral user certificates that targets trust (`TrustedUserCAKeys`). */
  readonly targetAuthority: SshKeyPair
  /** Signs the user certificates that people get by `curfew login`; only the gateway itself believes them. */
  readonly peopleAuthority: SshKeyPair
}
