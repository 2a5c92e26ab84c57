import { createPublicKey, randomBytes, X509Certificate, type KeyObject } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Instant } from '../../kernel/time.ts'
import { later } from '../../kernel/time.ts'
import { openKeyFile } from '../key-file.ts'
import { signX509, type X509Name } from './certificate.ts'

/** Signs the client certificates of `curfew login`; only the gateway itself believes them. */
export interface ClientAuthority {
  readonly name: X509Name
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** Made anew at every start: clients only read the name in it. */
  readonly certificate: X509Certificate
}

const certificateMs = 10 * 365 * 86_400_000
const skewMs = 3_600_000

/**
 * Opens the authority's P-256 key below `keys/` in the data folder, or makes it on the first start. To replace it, move the
 * file away and start again.
 * @param gateway host of the gateway's pages.
 * @throws Fault CONFIG_INVALID
 */
export async function openClientAuthority(dataFolder: string, gateway: string, now: Instant): Promise<ClientAuthority> {
  const folder = path.join(dataFolder, 'keys')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return clientAuthority(await openKeyFile(folder, 'client_ca.pem', 'P-256'), gateway, now)
}

export function clientAuthority(privateKey: KeyObject, gateway: string, now: Instant): ClientAuthority {
  const publicKey = createPublicKey(privateKey)
  const name = { organisation: gateway, common: 'Curfew sign-ins' }
  const [validFrom, validUntil] = [later(now, -skewMs), later(now, certificateMs)]
  const of = { subject: name, issuer: name, publicKey, serial: randomBytes(16), uri: null }
  const certificate = new X509Certificate(signX509({ ...of, validFrom, validUntil }, privateKey))
  return { name, privateKey, publicKey, certificate }
}
