import type { GrantUser, PostgresPlace, PostgresResource, PostgresRole } from '../resources/catalogue.ts'
import { inTurn, optionalCa, type ReferenceReader } from './files.ts'
import { readPostgresPlace } from './postgres-place.ts'
import type { ConfigPath } from './problems.ts'
import { resolveKeepalives } from './resolve-keepalives.ts'
import { resolveGuard } from './resolve-guard.ts'
import type { InFile } from './schema-resources.ts'

type Written = InFile<'postgres'>
type RoleInFile = Written['roles'][string]

/** Undefined when what it refers to could not be read, and the reader has a finding. */
export async function readPostgresResource(
  name: string,
  resource: Written,
  reader: ReferenceReader,
): Promise<PostgresResource | undefined> {
  const at = ['resources', name]
  const places = readPlaces([...at, 'host'], resource, reader)
  const tls = await readTls([...at, 'tls'], resource.tls, reader)
  const roles = await inTurn(Object.entries(resource.roles), ([role, settings]) =>
    readRole([...at, 'roles', role], role, settings, reader),
  )
  const [first, ...others] = places
  if (first === undefined || tls === undefined) return undefined
  const { description, labels, targetSession, connectTimeout: connectMs, logins } = resource
  const minTlsVersion = resource.tls.minVersion
  return {
    ...{ kind: 'postgres', name, description, labels, ...first, others, targetSession, connectMs, logins, tls },
    ...{ minTlsVersion, keepalives: resolveKeepalives(resource.keepalives) },
    roles: Object.fromEntries(roles.map((role) => [role.name, role])),
  }
}

/** Empty when one of them is none. */
function readPlaces(path: ConfigPath, { host, port }: Written, reader: ReferenceReader): readonly PostgresPlace[] {
  const texts = typeof host === 'string' ? [host] : host
  const places = texts.map((text) => readPostgresPlace(text, port))
  for (const [index, place] of places.entries()) {
    if (place !== undefined) continue
    reader.findings.push({
      path: typeof host === 'string' ? path : [...path, index],
      message: `"${texts[index]}" is no place of a server`,
      expected: 'a host name or address, with a port where it differs, or the folder of a socket',
    })
  }
  const read = places.filter((place) => place !== undefined)
  return read.length === places.length ? read : []
}

async function readTls(
  path: ConfigPath,
  { mode, ca: file, serverName, certificate, key }: Written['tls'],
  reader: ReferenceReader,
): Promise<PostgresResource['tls'] | undefined> {
  const ca = await optionalCa([...path, 'ca'], file, reader)
  const identity = certificate === undefined || key === undefined ? null : await reader.tls(path, { certificate, key })
  if (ca === undefined || identity === undefined) return undefined
  return { mode, ca, serverName: serverName ?? null, identity }
}

/** YAML reads `on` and `off` as words, `true` and `false` as truth values. */
function settingsOf(settings: Readonly<Record<string, string | number | boolean>>): Readonly<Record<string, string>> {
  const text = (value: string | number | boolean) =>
    typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, text(value)]))
}

async function readUser(
  path: ConfigPath,
  { administrator: { login, password, database }, memberOf, settings, keepFor }: NonNullable<RoleInFile['user']>,
  reader: ReferenceReader,
): Promise<GrantUser> {
  const at = [...path, 'administrator', 'password']
  const secret = password === undefined ? null : ((await reader.livingSecret(at, password)) ?? null)
  return {
    administrator: { login, password: secret, database },
    memberOf,
    settings: settingsOf(settings),
    keepMs: keepFor,
  }
}

async function readRole(
  path: ConfigPath,
  name: string,
  role: RoleInFile,
  reader: ReferenceReader,
): Promise<PostgresRole> {
  const { description, login = '', password, applicationName, replication, recording } = role
  const [first, ...rest] = role.databases
  return {
    ...{ kind: 'postgres', name, description, login, applicationName, replication, recording },
    parameters: settingsOf(role.parameters),
    user: role.user === undefined ? null : await readUser([...path, 'user'], role.user, reader),
    idleMs: role.idleTimeout ?? null,
    sessionsMax: role.sessions ?? null,
    guard: resolveGuard(role.guard, role.serverFiles),
    recordRows:
      role.recordRows === undefined ? null : { rowsMax: role.recordRows.rows, bytesMax: role.recordRows.size },
    // Null also for one that could not be read: the reader has a finding then, and the value is never used.
    password: password === undefined ? null : ((await reader.livingSecret([...path, 'password'], password)) ?? null),
    databases: [first!, ...rest], // the schema asks for at least one
  }
}
