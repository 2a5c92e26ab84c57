import type { JSONWebKeySet } from 'jose'
import type { Machine, MachineIssuer, MachineSettings } from '../identity/machine.ts'
import { closest } from '../kernel/closest.ts'
import { isLoopback } from './check-settings.ts'
import { inTurn, optionalCa, type ReferenceReader } from './files.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { Salvaged } from './salvage.ts'
import { machineTokenMsMax } from './schema-machines.ts'

type IssuerInFile = Salvaged['machineIssuers'][string]
type MachineInFile = Salvaged['machines'][string]

/** What `machineIssuers` and `machines` in the file mean. Findings go to the reader. */
export async function readMachines(parts: Salvaged, reader: ReferenceReader): Promise<MachineSettings> {
  const inFile = Object.entries(parts.machineIssuers)
  reader.findings.push(
    ...inFile.flatMap(([name, issuer], index) => issuerFindings(name, issuer, inFile.slice(0, index))),
  )
  reader.findings.push(...inFile.flatMap(([name, issuer]) => notOfPeople(name, issuer, parts)))
  reader.findings.push(...Object.entries(parts.machines).flatMap(([name, one]) => machineFindings(name, one, parts)))
  const issuers = (await inTurn(inFile, ([name, one]) => readIssuer(name, one, reader))).filter(
    (one) => one !== undefined,
  )
  return {
    issuers,
    machines: Object.entries(parts.machines).flatMap(([name, one]) => {
      const issuer = issuers.find((known) => known.name === one.issuer)
      return issuer === undefined ? [] : [machineOf(name, one, issuer)]
    }),
  }
}

function machineOf(
  name: string,
  { claims, groups, for: tokenMs, askedForBy }: MachineInFile,
  issuer: MachineIssuer,
): Machine {
  const listed = Object.entries(claims).map(([claim, value]) => [claim, typeof value === 'string' ? [value] : value])
  return { name, issuer, claims: Object.fromEntries(listed), groups, tokenMs, askedForBy: askedForBy?.groups ?? [] }
}

async function readIssuer(
  name: string,
  one: IssuerInFile,
  reader: ReferenceReader,
): Promise<MachineIssuer | undefined> {
  const { issuer, audience, algorithms, jwksUri, jwksFile } = one
  const ca = await optionalCa(['machineIssuers', name, 'ca'], one.ca, reader)
  const keys = jwksFile === undefined ? null : await readKeys(['machineIssuers', name, 'jwksFile'], jwksFile, reader)
  if (ca === undefined || keys === undefined) return undefined
  return { name, issuer, audience, algorithms, ca, keys: keys ?? (jwksUri === undefined ? null : new URL(jwksUri)) }
}

async function readKeys(path: ConfigPath, file: string, reader: ReferenceReader): Promise<JSONWebKeySet | undefined> {
  const text = await reader.text(path, file)
  if (text === undefined) return undefined
  const keys = parsedKeys(text)
  if (keys !== undefined && keys.length > 0 && keys.every(isPublicKey)) return { keys: [...keys] }
  reader.findings.push({
    path,
    expected: 'a JWK Set of public keys (RFC 7517)',
    message: `${file} holds something else`,
  })
  return undefined
}

function parsedKeys(text: string): readonly unknown[] | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null || !('keys' in parsed)) return undefined
    return Array.isArray(parsed.keys) ? parsed.keys : undefined
  } catch {
    return undefined // the caller says what was expected
  }
}

function isPublicKey(value: unknown): value is JSONWebKeySet['keys'][number] {
  if (typeof value !== 'object' || value === null || !('kty' in value) || 'd' in value) return false
  return value.kty === 'RSA' || value.kty === 'EC' || value.kty === 'OKP'
}

function issuerFindings(
  name: string,
  one: IssuerInFile,
  before: readonly (readonly [string, IssuerInFile])[],
): readonly Finding[] {
  const at = (key: string): ConfigPath => ['machineIssuers', name, key]
  const twin = before.find(([, other]) => other.issuer === one.issuer)
  return [
    ...(one.jwksFile === undefined ? insecure(at('issuer'), one.issuer) : []),
    ...(one.jwksUri === undefined ? [] : insecure(at('jwksUri'), one.jwksUri)),
    ...(one.jwksUri === undefined || one.jwksFile === undefined
      ? []
      : [{ path: at('jwksUri'), message: '`jwksFile` says where the keys are, too', hint: 'Keep one of them.' }]),
    ...(twin === undefined
      ? []
      : [{ path: at('issuer'), message: `machineIssuers.${twin[0]} is the same issuer`, hint: 'Keep one of them.' }]),
  ]
}

function insecure(path: ConfigPath, address: string): readonly Finding[] {
  const url = new URL(address)
  if (url.protocol === 'https:' || isLoopback(url.hostname)) return []
  const hint = 'Plain http is only for this machine (127.0.0.1, ::1 or localhost), or with `jwksFile`.'
  return [{ path, expected: 'an address that begins with https://', message: `got http:// for ${url.hostname}`, hint }]
}

/** The provider gives every person who signs in a token for that audience. */
function notOfPeople(name: string, { issuer, audience }: IssuerInFile, { identity }: Salvaged): readonly Finding[] {
  if (identity === undefined || ![identity.clientId, identity.oauth?.audience].includes(audience)) return []
  if (identity.issuer.replace(/\/$/, '') !== issuer.replace(/\/$/, '')) return []
  const hint = 'Let machines ask for another audience; otherwise people could come as machines.'
  return [{ path: ['machineIssuers', name, 'audience'], message: 'people sign in with tokens for this audience', hint }]
}

function machineFindings(name: string, machine: MachineInFile, parts: Salvaged): readonly Finding[] {
  const at = (key: string): ConfigPath => ['machines', name, key]
  const patterns = Object.values(machine.claims).map((value) => (typeof value === 'string' ? [value] : value))
  return [
    ...unknownIssuer(at('issuer'), machine.issuer, parts),
    ...(patterns.every((values) => values.some((value) => /^\*+$/.test(value)))
      ? [{ path: at('claims'), message: 'every token of the issuer is this machine’s', hint: 'Name values of claims.' }]
      : []),
    ...lengthFindings(at('for'), machine.for),
    ...machine.groups.flatMap((group, index) => dutyFindings([...at('groups'), index], group, parts)),
  ]
}

function unknownIssuer(path: ConfigPath, issuer: string, { machineIssuerNames: names }: Salvaged): readonly Finding[] {
  if (names.includes(issuer)) return []
  const [meant] = closest(issuer, names)
  const listed = names.length === 0 ? 'There is none.' : `There are: ${names.slice(0, 12).join(', ')}.`
  const hint = meant === undefined ? listed : `Did you mean "${meant}"?`
  return [{ path, message: `there is no issuer "${issuer}" in \`machineIssuers\``, hint }]
}

function lengthFindings(path: ConfigPath, lengthMs: number): readonly Finding[] {
  if (lengthMs > 0 && lengthMs <= machineTokenMsMax) return []
  return [{ path, expected: 'a length of time above 0, and at most 1h', message: 'got another' }]
}

/** Duties need somebody who can be asked why. */
function dutyFindings(path: ConfigPath, group: string, { staff }: Salvaged): readonly Finding[] {
  const duty = (['reviewers', 'operators'] as const).find((one) => staff?.[one].includes(group))
  if (duty === undefined) return []
  return [{ path, message: `"${group}" is in staff.${duty}`, hint: 'Machines have no duties on the gateway itself.' }]
}
