import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readEnvironment, userFolder } from '../../config/environment.ts'
import { writePrivateFile } from '../private-file.ts'

/** What the CLI keeps for PostgreSQL clients, in one folder per gateway. */
export interface PostgresFiles {
  readonly key: string
  readonly certificate: string
  /** Authorities to check the gateway with, where no file of the machine's own is for that. */
  readonly root: string
}

export function postgresFiles(gateway: string): PostgresFiles {
  const host = new URL(gateway).host.replaceAll(/[^\w.-]/g, '_')
  const folder = join(userFolder(readEnvironment()), 'postgres', host)
  return {
    key: join(folder, 'client.key'),
    certificate: join(folder, 'client.crt'),
    root: join(folder, 'root.crt'),
  }
}

/** The certificate goes first: without it the new key is of no use, and with the old one it would not fit. */
export async function writeKey(files: PostgresFiles, key: string): Promise<void> {
  await rm(files.certificate, { force: true })
  await writePrivateFile(files.key, key)
}

/** How long the certificate on the disk holds, milliseconds since the epoch. */
export interface Standing {
  readonly validAfterMs: number
  readonly endsAtMs: number
  /** SubjectPublicKeyInfo, DER in base64. */
  readonly publicKey: string
}

/** Undefined when there is none, or what is there does not belong together: a new one mends that. */
export async function readStanding(files: PostgresFiles): Promise<Standing | undefined> {
  try {
    const certificate = new X509Certificate(await readFile(files.certificate))
    if (!certificate.checkPrivateKey(createPrivateKey(await readFile(files.key)))) return undefined
    return {
      validAfterMs: certificate.validFromDate.getTime(),
      endsAtMs: certificate.validToDate.getTime(),
      publicKey: certificate.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    }
  } catch {
    return undefined // missing or damaged: both are mended in the same way
  }
}

export async function forgetPostgresFiles({ key, certificate }: PostgresFiles): Promise<void> {
  for (const file of [certificate, key]) await rm(file, { force: true })
}
