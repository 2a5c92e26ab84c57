import type { HttpAddress, HttpCredentials, HttpResource, HttpRole } from '../resources/catalogue.ts'
import { inTurn, optionalCa, type ReferenceReader } from './files.ts'
import { readHttpAddress } from './http-address.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { InFile } from './schema-resources.ts'

/** An application with what it refers to; undefined when that could not be read, and there is a finding. */
export async function readHttpResource(
  name: string,
  resource: InFile<'http'>,
  reader: ReferenceReader,
): Promise<HttpResource | undefined> {
  const at = ['resources', name]
  const ca = await optionalCa([...at, 'tls', 'ca'], resource.tls.ca, reader)
  const roles = await inTurn(Object.entries(resource.roles), ([role, settings]) =>
    readHttpRole([...at, 'roles', role], role, settings, reader),
  )
  const [first, ...rest] = addressesOf(resource)
  if (ca === undefined || first === undefined) return undefined
  const { description, labels, version, hosts, hostHeader, health, cors, recordHeaders, maskQuery } = resource
  return {
    ...{ kind: 'http', name, description, labels, version, hosts, hostHeader },
    addresses: [first, ...rest],
    tls: { ca, serverName: resource.tls.serverName ?? null },
    health: health === undefined ? null : { path: health.path, everyMs: health.every, timeoutMs: health.timeout },
    cors: cors === undefined ? null : corsOf(cors),
    recordHeaders: lowerCase(recordHeaders),
    maskQuery: lowerCase(maskQuery),
    roles: Object.fromEntries(roles.map((role) => [role.name, role])),
  }
}

function corsOf({ origins, methods, headers, maxAge }: NonNullable<InFile<'http'>['cors']>): HttpResource['cors'] {
  return { origins, methods, headers: lowerCase(headers), maxAgeS: Math.floor(maxAge / 1000) }
}

/** Those that can be read; the checks of settings have a finding for each other. */
export function addressesOf({ url, urls }: Pick<InFile<'http'>, 'url' | 'urls'>): readonly HttpAddress[] {
  const all = [...(url === undefined ? [] : [url]), ...(urls ?? [])].map(readHttpAddress)
  return all.filter((one) => 'host' in one)
}

async function readHttpRole(
  path: ConfigPath,
  name: string,
  role: InFile<'http'>['roles'][string],
  reader: ReferenceReader,
): Promise<HttpRole> {
  const { description, allow, deny, headers, recordBodies, recording } = role
  return {
    ...{ kind: 'http', name, description, allow, deny, recording },
    headers: Object.fromEntries(Object.entries(headers).map(([header, claim]) => [header.toLowerCase(), claim])),
    credentials: await readCredentials([...path, 'credentials'], role.credentials ?? {}, reader),
    recordBodies:
      recordBodies === undefined ? null : { types: lowerCase(recordBodies.types), bytesMax: recordBodies.limit },
  }
}

type CredentialsInFile = NonNullable<InFile<'http'>['roles'][string]['credentials']>

/** Null also for what could not be read: there is a finding then, and the value is never used. */
async function readCredentials(
  path: ConfigPath,
  { basic, bearer, header, certificate }: CredentialsInFile,
  reader: ReferenceReader,
): Promise<HttpCredentials | null> {
  if (basic !== undefined) {
    const password = await headerSecret([...path, 'basic', 'password'], basic.password, sentBasic, reader)
    return password && { kind: 'basic', user: basic.user, password }
  }
  if (bearer !== undefined) {
    const token = await headerSecret([...path, 'bearer'], bearer, sentToken, reader)
    return token && { kind: 'bearer', token }
  }
  if (header !== undefined) {
    const value = await headerSecret([...path, 'header', 'value'], header.value, sentValue, reader)
    return value && { kind: 'header', name: header.name.toLowerCase(), value }
  }
  const read = certificate && (await reader.tls([...path, 'certificate'], certificate))
  return read === undefined ? null : { kind: 'certificate', certificate: read.certificate, key: read.key }
}

interface Sent {
  readonly fits: RegExp
  readonly expected: string
}

/** RFC 7617, section 2. */
// oxlint-disable-next-line no-control-regex
const sentBasic: Sent = { fits: /^[^\u0000-\u001f\u007f]*$/, expected: 'a password without control characters' }
const sentToken: Sent = { fits: /^[!-~]+$/, expected: 'a token of visible ASCII characters' }
/** RFC 9110, section 5.5. */
const sentValue: Sent = { fits: /^[!-~](?:[ -~]*[!-~])?$/, expected: 'the value of a header, ASCII in one line' }

async function headerSecret(path: ConfigPath, reference: string, { fits, expected }: Sent, reader: ReferenceReader) {
  const secret = await reader.secret(path, reference)
  if (secret === undefined) return null
  if (fits.test(secret.reveal())) return secret
  const finding: Finding = { path, expected, message: `${reference} holds another` }
  reader.findings.push(finding)
  return null
}

function lowerCase(names: readonly string[]): readonly string[] {
  return names.map((name) => name.toLowerCase())
}
