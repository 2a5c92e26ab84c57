import { generateKeyPairSync } from 'node:crypto'
import type * as z from 'zod'
import { asFault } from '../../kernel/fault.ts'
import { clientCertificate, postgresDirectory } from '../../web/api-schema.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { writePrivateFile } from '../private-file.ts'
import { renewAt } from '../renew-at.ts'
import type { CliSession } from '../session-file.ts'
import { forgetPostgresFiles, postgresFiles, readStanding, writeKey, type PostgresFiles } from './files.ts'

export type Directory = z.output<typeof postgresDirectory>

/** A client certificate on this machine. */
export interface Ready {
  readonly files: PostgresFiles
  readonly endsAtMs: number
  /** From when on it is to be replaced. */
  readonly renewAtMs: number
}

type Session = Pick<CliSession, 'gateway' | 'expiresAt'>

/** @throws Fault NOT_FOUND where the gateway has no PostgreSQL listener. */
export async function readDirectory(client: GatewayClient): Promise<Directory> {
  return (await client.call('GET', '/postgres', postgresDirectory)).value
}

/** After a sign-in: a key of its own, which never leaves this machine. Undefined where the gateway does not speak PostgreSQL. */
export async function startPostgres(client: GatewayClient, session: Session): Promise<Ready | undefined> {
  const directory = await readDirectory(client).catch((error: unknown) => {
    if (asFault(error)?.code === 'NOT_FOUND') return undefined
    throw error
  })
  const files = postgresFiles(session.gateway)
  return directory === undefined ? undefined : certify(client, session, files, await newKey(files))
}

/** What is on the disk if it holds for a while yet, or else a new certificate, for the same key where there is one. */
export async function postgresCertificateFor(client: GatewayClient, session: Session): Promise<Ready> {
  const files = postgresFiles(session.gateway)
  const standing = await readStanding(files)
  if (standing !== undefined && Date.now() < renewAt(standing, session)) return readyOf(files, standing, session)
  return certify(client, session, files, standing?.publicKey ?? (await newKey(files)))
}

export function forgetPostgres(session: Pick<CliSession, 'gateway'>): Promise<void> {
  return forgetPostgresFiles(postgresFiles(session.gateway))
}

async function newKey(files: PostgresFiles): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeKey(files, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  return publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
}

function readyOf(files: PostgresFiles, held: Parameters<typeof renewAt>[0], session: Session): Ready {
  return { files, endsAtMs: held.endsAtMs, renewAtMs: renewAt(held, session) }
}

async function certify(
  client: GatewayClient,
  session: Session,
  files: PostgresFiles,
  publicKey: string,
): Promise<Ready> {
  const { value } = await client.call('POST', '/postgres/certificate', clientCertificate, { publicKey })
  await writePrivateFile(files.certificate, value.certificate)
  return readyOf(files, { validAfterMs: Date.now(), endsAtMs: Date.parse(value.expiresAt) }, session)
}
