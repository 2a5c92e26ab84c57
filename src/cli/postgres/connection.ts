import { existsSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { chooseRole } from '../choose-role.ts'
import { openGateway } from '../gateway-client.ts'
import { writePrivateFile } from '../private-file.ts'
import type { CliSession } from '../session-file.ts'
import { postgresCertificateFor, readDirectory, type Directory } from './certificate.ts'
import type { PostgresFiles } from './files.ts'

/** What to type and what there is, put together: everything that a PostgreSQL client needs. */
export interface Connection {
  readonly host: string
  readonly port: number
  /** The role. */
  readonly user: string
  /** The resource, or `resource/database`. */
  readonly database: string
  readonly certificate: string
  readonly key: string
  readonly rootCertificate: string
  readonly certificateEndsAtMs: number
  readonly renewAtMs: number
}

/**
 * @param place `resource` or `resource/database`.
 * @param command what was typed, up to the resource.
 * @throws Fault RESOURCE_UNKNOWN, ROLE_UNKNOWN, NOT_FOUND; CliProblem
 */
export async function prepareConnection(place: string, role: string | undefined, command: string): Promise<Connection> {
  const { session, client } = await openGateway()
  await using _ = client
  const directory = await readDirectory(client)
  const slash = place.indexOf('/')
  const resource = slash < 0 ? place : place.slice(0, slash)
  const chosen = chooseRole(directory.resources, resource, role, command)
  const { files, endsAtMs, renewAtMs } = await postgresCertificateFor(client, session)
  return {
    ...{ host: directory.host, port: directory.port, user: chosen.name, database: place },
    ...{ certificate: files.certificate, key: files.key, certificateEndsAtMs: endsAtMs, renewAtMs },
    rootCertificate: await rootFor(directory, session, files),
  }
}

/**
 * The file that the operators name, where this machine has it; or else one with what the CLI itself trusts. Not `system`:
 * libpq knows the word since PostgreSQL 16 only.
 */
async function rootFor({ rootCertificate }: Directory, { ca }: CliSession, files: PostgresFiles): Promise<string> {
  if (rootCertificate?.startsWith('/') === true && existsSync(rootCertificate)) return rootCertificate
  await writePrivateFile(files.root, ca ?? `${getCACertificates('default').join('\n')}\n`)
  return files.root
}

/** As libpq's environment has it. @see PostgreSQL manual, "Environment Variables" */
export function variablesFor(connection: Connection): Readonly<Record<string, string>> {
  return {
    PGHOST: connection.host,
    PGPORT: String(connection.port),
    PGUSER: connection.user,
    PGDATABASE: connection.database,
    PGSSLMODE: 'verify-full',
    PGSSLCERT: connection.certificate,
    PGSSLKEY: connection.key,
    PGSSLROOTCERT: connection.rootCertificate,
  }
}

/**
 * Variables that would lead a client elsewhere, ask of the gateway what it has not, say to it what it does not ask, or give
 * up while somebody is still to approve.
 */
export const misleadingVariables: readonly string[] = [
  ...['PGHOSTADDR', 'PGSERVICE', 'PGPASSWORD', 'PGPASSFILE', 'PGREQUIRESSL', 'PGREQUIREAUTH', 'PGCHANNELBINDING'],
  ...['PGSSLCRL', 'PGSSLCRLDIR', 'PGSSLCERTMODE', 'PGTARGETSESSIONATTRS', 'PGLOADBALANCEHOSTS'],
  ...['PGGSSENCMODE', 'PGCONNECT_TIMEOUT'],
]
