import type { ReferenceReader } from './files.ts'
import type { ConfigPath } from './problems.ts'
import type { Salvaged } from './salvage.ts'
import { readHostAuthority, readKnownHosts, readSshKey } from './ssh-references.ts'

const reference = /^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/

/**
 * Looks at what the parts that do not fit the schema refer to, so that a missing file shows in the same run as the
 * misspelt key beside it. Findings go to `reader`.
 */
export async function readLeftovers(value: unknown, parts: Salvaged, reader: ReferenceReader): Promise<void> {
  const raw = mapOf(value)
  if (parts.listen === undefined) await listenLeftovers(mapOf(raw['listen']), reader)
  if (parts.identity === undefined) {
    const identity = mapOf(raw['identity'])
    await secretAt(['identity', 'clientSecret'], identity['clientSecret'], reader)
    await authoritiesAt(['identity', 'ca'], identity['ca'], reader)
  }
  for (const [name, one] of Object.entries(mapOf(raw['resources']))) {
    if (!Object.hasOwn(parts.resources, name)) await resourceLeftovers(['resources', name], mapOf(one), reader)
  }
}

async function listenLeftovers(listen: Raw, reader: ReferenceReader): Promise<void> {
  const { tls, certificates } = mapOf(listen['web'])
  await tlsAt(['listen', 'web', 'tls'], tls, reader)
  for (const [index, one] of listOf(certificates).entries()) {
    await tlsAt(['listen', 'web', 'certificates', index], one, reader)
  }
  for (const [index, one] of listOf(listen['postgres']).entries()) {
    await tlsAt(['listen', 'postgres', index, 'tls'], mapOf(one)['tls'], reader)
  }
}

async function resourceLeftovers(path: ConfigPath, resource: Raw, reader: ReferenceReader): Promise<void> {
  await authoritiesAt([...path, 'tls', 'ca'], mapOf(resource['tls'])['ca'], reader)
  await tlsAt([...path, 'tls'], resource['tls'], reader)
  await hostKeysLeftovers([...path, 'hostKeys'], mapOf(resource['hostKeys']), reader)
  for (const [name, role] of Object.entries(mapOf(resource['roles']))) {
    await secretAt([...path, 'roles', name, 'password'], mapOf(role)['password'], reader)
    const { key, credentials } = mapOf(role)
    if (typeof key === 'string' && reference.test(key)) await readSshKey([...path, 'roles', name, 'key'], key, reader)
    await credentialsLeftovers([...path, 'roles', name, 'credentials'], mapOf(credentials), reader)
  }
}

async function credentialsLeftovers(path: ConfigPath, credentials: Raw, reader: ReferenceReader): Promise<void> {
  const { basic, bearer, header, certificate } = credentials
  await secretAt([...path, 'basic', 'password'], mapOf(basic)['password'], reader)
  await secretAt([...path, 'bearer'], bearer, reader)
  await secretAt([...path, 'header', 'value'], mapOf(header)['value'], reader)
  await tlsAt([...path, 'certificate'], certificate, reader)
}

async function hostKeysLeftovers(path: ConfigPath, hostKeys: Raw, reader: ReferenceReader): Promise<void> {
  const { knownHosts, authorities } = hostKeys
  if (typeof knownHosts === 'string' && knownHosts !== '') {
    await readKnownHosts([...path, 'knownHosts'], knownHosts, reader)
  }
  for (const [index, one] of listOf(authorities).entries()) {
    if (typeof one === 'string' && one !== '') await readHostAuthority([...path, 'authorities', index], one, reader)
  }
}

async function tlsAt(path: ConfigPath, value: unknown, reader: ReferenceReader): Promise<void> {
  const { certificate, key } = mapOf(value)
  if (typeof certificate === 'string' && typeof key === 'string' && reference.test(key)) {
    await reader.tls(path, { certificate, key })
  }
}

async function secretAt(path: ConfigPath, value: unknown, reader: ReferenceReader): Promise<void> {
  if (typeof value === 'string' && reference.test(value)) await reader.secret(path, value)
}

async function authoritiesAt(path: ConfigPath, value: unknown, reader: ReferenceReader): Promise<void> {
  if (typeof value === 'string' && value !== '') await reader.authorities(path, value)
}

type Raw = Readonly<Record<string, unknown>>

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function mapOf(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : {}
}
