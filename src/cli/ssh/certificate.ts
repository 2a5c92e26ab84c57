import { hostname, userInfo } from 'node:os'
import { asFault } from '../../kernel/fault.ts'
import { sshCertificate, sshDirectory } from '../../web/api-schema.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { renewAt } from '../renew-at.ts'
import type { CliSession } from '../session-file.ts'
import { removeFromAgent } from './agent.ts'
import { forgetSshFiles, readStanding, sshFiles, writeCertificate, writeKeyPair, writeKnownHosts } from './files.ts'
import type { Directory, SshFiles } from './files.ts'
import { makeKeyPair } from './key-pair.ts'

/** A certificate on this machine that ssh can use. */
export interface Ready {
  readonly files: SshFiles
  readonly endsAtMs: number
}

type Session = Pick<CliSession, 'gateway' | 'expiresAt'>

/** @throws Fault NOT_FOUND where the gateway has no SSH listener. */
export async function readDirectory(client: GatewayClient): Promise<Directory> {
  return (await client.call('GET', '/ssh', sshDirectory)).value
}

/** After a sign-in: a key of its own, which never leaves this machine. Undefined where the gateway has no SSH listener. */
export async function startSsh(client: GatewayClient, session: Session): Promise<Ready | undefined> {
  const directory = await readDirectory(client).catch((error: unknown) => {
    if (asFault(error)?.code === 'NOT_FOUND') return undefined
    throw error
  })
  const files = sshFiles(session.gateway)
  if (directory === undefined) return undefined
  await writeKnownHosts(files, directory)
  await removeFromAgent(files)
  return certify(client, session, files, await newKey(files))
}

/** What is on the disk if it holds for a while yet, or else a new certificate, for the same key where there is one. */
export async function certificateFor(client: GatewayClient, session: Session): Promise<Ready> {
  const files = sshFiles(session.gateway)
  const standing = await readStanding(files)
  if (standing !== undefined && Date.now() < renewAt(standing, session)) return { files, endsAtMs: standing.endsAtMs }
  return certify(client, session, files, standing?.publicLine ?? (await newKey(files)))
}

/** The key, the certificate, and what an agent holds of them. */
export async function forgetSsh(session: Session): Promise<void> {
  const files = sshFiles(session.gateway)
  await removeFromAgent(files)
  await forgetSshFiles(files)
}

async function newKey(files: SshFiles): Promise<string> {
  const pair = makeKeyPair(`curfew-${userInfo().username}@${hostname()}`)
  await writeKeyPair(files, pair)
  return pair.publicLine
}

async function certify(client: GatewayClient, session: Session, files: SshFiles, publicKey: string): Promise<Ready> {
  const { value } = await client.call('POST', '/ssh/certificate', sshCertificate, { publicKey })
  const endsAtMs = Date.parse(value.expiresAt)
  await writeCertificate(files, value.certificate, renewAt({ validAfterMs: Date.now(), endsAtMs }, session))
  return { files, endsAtMs }
}
