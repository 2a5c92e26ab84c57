import type { Secret } from '../kernel/secret.ts'
import type { Resource, SshResource, SshRole } from '../resources/catalogue.ts'
import { inTurn, type ReferenceReader } from './files.ts'
import type { ConfigPath } from './problems.ts'
import { readHttpResource } from './resolve-http.ts'
import { resolveKeepalives } from './resolve-keepalives.ts'
import { readPostgresResource } from './resolve-postgres.ts'
import type { InFile, ResourceInFile } from './schema-resources.ts'
import { readHostAuthority, readKnownHosts, readSshKey } from './ssh-references.ts'

/** A resource with what it refers to; undefined when that could not be read, and the reader has a finding. */
export function readResource(
  name: string,
  resource: ResourceInFile,
  reader: ReferenceReader,
): Promise<Resource | undefined> {
  switch (resource.kind) {
    case 'postgres':
      return readPostgresResource(name, resource, reader)
    case 'ssh':
      return readSshResource(name, resource, reader)
    case 'http':
      return readHttpResource(name, resource, reader)
  }
}

async function readSshResource(
  name: string,
  resource: InFile<'ssh'>,
  reader: ReferenceReader,
): Promise<SshResource | undefined> {
  const at = ['resources', name]
  const hostKeys = await readHostKeys([...at, 'hostKeys'], resource.hostKeys, reader)
  const roles = await inTurn(Object.entries(resource.roles), ([role, settings]) =>
    readSshRole([...at, 'roles', role, 'key'], role, settings, reader),
  )
  if (hostKeys === undefined) return undefined
  const byName = Object.fromEntries(roles.map((role) => [role.name, role]))
  const keepalives = resolveKeepalives(resource.keepalives)
  return { ...placeOf(name, resource), kind: 'ssh', hostKeys, keepalives, roles: byName }
}

async function readHostKeys(
  path: ConfigPath,
  { fingerprints = [], knownHosts, authorities = [] }: InFile<'ssh'>['hostKeys'],
  reader: ReferenceReader,
): Promise<SshResource['hostKeys'] | undefined> {
  const lines = knownHosts === undefined ? null : await readKnownHosts([...path, 'knownHosts'], knownHosts, reader)
  const keys = await inTurn(authorities, (one, index) =>
    readHostAuthority([...path, 'authorities', index], one, reader),
  )
  const read = keys.filter((found) => found !== undefined)
  if (lines === undefined || read.length < keys.length) return undefined
  return { fingerprints, knownHosts: lines, authorities: read.flat() }
}

async function readSshRole(
  path: ConfigPath,
  name: string,
  role: InFile<'ssh'>['roles'][string],
  reader: ReferenceReader,
): Promise<SshRole> {
  const { description, login, allow, recordInput, recording } = role
  const key = await optionalSecret(role.key, (reference) => readSshKey(path, reference, reader))
  return { kind: 'ssh', name, description, login, key, allow, recordInput, recording }
}

function placeOf(name: string, { description, labels, host, port }: InFile<'ssh'>) {
  return { name, description, labels, host, port }
}

/** Null also for one that could not be read: the reader has a finding then, and the value is never used. */
async function optionalSecret(
  reference: string | undefined,
  read: (reference: string) => Promise<Secret | undefined>,
): Promise<Secret | null> {
  return reference === undefined ? null : ((await read(reference)) ?? null)
}
