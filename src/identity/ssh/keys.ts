import type { KeyObject } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { openKeyFile, readKeyFile } from '../key-file.ts'
import { publicBlobOf } from './public-key.ts'
import { SshReader } from './wire.ts'

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

const targetAuthorityFile = 'ssh_target_ca.pem'

/**
 * Opens the gateway's Ed25519 keys below `keys/` in the data folder, or makes them on the first start (PKCS #8 in PEM,
 * mode 0600, folder 0700). To replace one, move its file away and start again.
 * @throws Fault CONFIG_INVALID when a key cannot be read, is of another kind, or everybody on the machine may use it.
 */
export async function openSshKeys(dataFolder: string): Promise<SshKeys> {
  const folder = path.join(dataFolder, 'keys')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return {
    hostKey: await openKey(folder, 'ssh_host_ed25519_key.pem'),
    targetAuthority: await openKey(folder, targetAuthorityFile),
    peopleAuthority: await openKey(folder, 'ssh_people_ca.pem'),
  }
}

/** Of the keys above the one that targets trust, where it has been made already: this makes nothing. @throws Fault CONFIG_INVALID */
export async function readTargetAuthority(dataFolder: string): Promise<SshKeyPair | undefined> {
  const key = await readKeyFile(path.join(dataFolder, 'keys', targetAuthorityFile), 'Ed25519')
  return key && sshKeyPair(key)
}

/** A key of Node's as a pair: Ed25519, ECDSA on a NIST curve, RSA. @throws SshWireError for others. */
export function sshKeyPair(privateKey: KeyObject): SshKeyPair {
  const publicBlob = publicBlobOf(privateKey)
  return { type: new SshReader(publicBlob).text(), privateKey, publicBlob }
}

/** One line as in `id_ed25519.pub` and `authorized_keys`, without its end. */
export function sshPublicLine(pair: Pick<SshKeyPair, 'type' | 'publicBlob'>, comment: string): string {
  return `${pair.type} ${pair.publicBlob.toString('base64')} ${comment}`.trimEnd()
}

async function openKey(folder: string, name: string): Promise<SshKeyPair> {
  return sshKeyPair(await openKeyFile(folder, name, 'Ed25519'))
}
