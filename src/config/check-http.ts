import { METHODS } from 'node:http'
import { closest } from '../kernel/closest.ts'
import { foldHeaderName, isSecretHeader, reservedHeader } from '../resources/header-names.ts'
import { hostsOf } from '../resources/hosts.ts'
import { readHttpAddress } from './http-address.ts'
import { globFailure } from './http-glob.ts'
import type { ConfigPath, Finding } from './problems.ts'
import { addressesOf } from './resolve-http.ts'
import type { Salvaged } from './salvage.ts'
import type { InFile } from './schema-resources.ts'

export type HttpInFile = InFile<'http'>
type RoleInFile = HttpInFile['roles'][string]

/** Resources of kind `http` that fit the schema, in the file's order. */
export function applicationsOf({ resources }: Salvaged): readonly (readonly [name: string, HttpInFile])[] {
  return Object.entries(resources).flatMap(([name, one]) => (one.kind === 'http' ? [[name, one] as const] : []))
}

/** What is wrong with applications although each of their parts fits its type. */
export function httpFindings(parts: Salvaged): readonly Finding[] {
  const applications = applicationsOf(parts)
  return [
    ...applications.flatMap(([name, resource]) => resourceFindings(['resources', name], name, resource)),
    ...(parts.gateway === undefined ? [] : hostFindings(applications, parts.gateway)),
  ]
}

/** Where applications are, as the file has it. */
export function domainOf({ domain, publicUrl }: NonNullable<Salvaged['gateway']>): string {
  return domain ?? new URL(publicUrl).hostname
}

function resourceFindings(path: ConfigPath, name: string, resource: HttpInFile): readonly Finding[] {
  return [
    ...nameFindings(path, name),
    ...addressFindings(path, resource),
    ...healthFindings([...path, 'health'], resource.health),
    ...methodFindings([...path, 'cors', 'methods'], resource.cors?.methods ?? []),
    ...recordedFindings([...path, 'recordHeaders'], resource),
    ...Object.entries(resource.roles).flatMap(([role, settings]) =>
      roleFindings([...path, 'roles', role], settings, resource),
    ),
  ]
}

/** RFC 1123 section 2.1: a host name has no underscore. */
function nameFindings(path: ConfigPath, name: string): readonly Finding[] {
  if (!name.includes('_')) return []
  const hint = `Call it "${name.replaceAll('_', '-')}": the name is the first part of its address.`
  return [{ path, message: 'the name of an application cannot have a _', hint, at: 'key' }]
}

function addressFindings(path: ConfigPath, { url, urls }: HttpInFile): readonly Finding[] {
  if ((url === undefined) === (urls === undefined)) {
    const message = url === undefined ? 'got neither' : 'got both'
    const hint = '`url` is for one address, `urls` for a list of them.'
    return [{ path, expected: 'either `url` or `urls`', message, hint, at: 'key' }]
  }
  const placed = [
    ...(url === undefined ? [] : [{ at: [...path, 'url'], text: url }]),
    ...(urls ?? []).map((text, index) => ({ at: [...path, 'urls', index], text })),
  ]
  return placed.flatMap(({ at, text }, index) => {
    const read = readHttpAddress(text)
    if (!('host' in read)) return [{ path: at, ...read }]
    const isTwice = placed.slice(0, index).some((before) => before.text === text)
    return isTwice ? [{ path: at, message: 'this address is there already' }] : []
  })
}

function healthFindings(path: ConfigPath, health: HttpInFile['health']): readonly Finding[] {
  if (health === undefined) return []
  const { every, timeout } = health
  const expected = 'a length of time above 0'
  return [
    ...(every === 0 ? [{ path: [...path, 'every'], expected, message: 'got 0' }] : []),
    ...(timeout === 0 ? [{ path: [...path, 'timeout'], expected, message: 'got 0' }] : []),
    ...(timeout > every && every > 0
      ? [
          {
            path: [...path, 'timeout'],
            message: 'an answer may take longer than the time to the next check',
            hint: 'Without a value, `every` is 10s and `timeout` is 2s.',
          },
        ]
      : []),
    ...(/[\s#]/.test(health.path)
      ? [{ path: [...path, 'path'], expected: 'a path without spaces and #', message: 'got another' }]
      : []),
  ]
}

function recordedFindings(path: ConfigPath, { recordHeaders, roles }: HttpInFile): readonly Finding[] {
  const shown = Object.values(roles).flatMap(({ credentials }) => credentials?.header?.name ?? [])
  const credentials = new Set(shown.map(foldHeaderName))
  return recordHeaders.flatMap((name, index) =>
    isSecretHeader(name) || credentials.has(foldHeaderName(name))
      ? [{ path: [...path, index], message: `${name} carries secrets, which are never recorded` }]
      : [],
  )
}

function roleFindings(path: ConfigPath, role: RoleInFile, resource: HttpInFile): readonly Finding[] {
  return [
    ...ruleFindings([...path, 'allow'], role.allow),
    ...ruleFindings([...path, 'deny'], role.deny),
    ...mappingFindings([...path, 'headers'], role),
    ...credentialFindings([...path, 'credentials'], role, resource),
  ]
}

function ruleFindings(path: ConfigPath, rules: RoleInFile['allow']): readonly Finding[] {
  return rules.flatMap(({ methods, paths }, index) => {
    const at = [...path, index]
    if (methods.length + paths.length === 0) {
      return [{ path: at, expected: '`methods`, `paths` or both', message: 'got neither' }]
    }
    return [
      ...methodFindings([...at, 'methods'], methods),
      ...paths.flatMap((glob, position) => {
        const failure = globFailure(glob)
        return failure === undefined ? [] : [{ path: [...at, 'paths', position], ...failure }]
      }),
    ]
  })
}

function methodFindings(path: ConfigPath, methods: readonly string[]): readonly Finding[] {
  return methods.flatMap((method, index) =>
    ['CONNECT', 'TRACE', 'TRACK'].includes(method)
      ? [{ path: [...path, index], message: `${method} never passes the gateway`, hint: 'Leave it out.' }]
      : [],
  )
}

function mappingFindings(path: ConfigPath, { headers }: RoleInFile): readonly Finding[] {
  const names = Object.keys(headers)
  return names.flatMap((name, index) => {
    const at = { path: [...path, name], at: 'key' as const }
    const reason = reservedHeader(name)
    if (reason !== undefined) return [{ ...at, message: `${name} ${reason}`, hint: 'Choose another header.' }]
    if (foldHeaderName(name) === 'authorization') {
      return [{ ...at, message: `${name} carries credentials, no claims`, hint: 'See `credentials`.' }]
    }
    const twin = names.slice(0, index).find((before) => foldHeaderName(before) === foldHeaderName(name))
    return twin === undefined ? [] : [{ ...at, message: `to many servers this is the same header as ${twin}` }]
  })
}

function credentialFindings(
  path: ConfigPath,
  { credentials, headers }: RoleInFile,
  resource: HttpInFile,
): readonly Finding[] {
  const { basic, header, certificate } = credentials ?? {}
  return [
    ...(basic === undefined ? [] : userFindings([...path, 'basic', 'user'], basic.user)),
    ...(header === undefined ? [] : headerFindings([...path, 'header', 'name'], header.name, Object.keys(headers))),
    ...(certificate === undefined || addressesOf(resource).some(({ tls }) => tls)
      ? []
      : [
          {
            path: [...path, 'certificate'],
            message: 'nobody asks for it: there is no `https://` address',
            at: 'key' as const,
          },
        ]),
  ]
}

/** RFC 7617 section 2. */
function userFindings(path: ConfigPath, user: string): readonly Finding[] {
  // oxlint-disable-next-line no-control-regex
  if (!/[\u0000-\u001f\u007f:]/.test(user)) return []
  return [{ path, expected: 'a user name without : and control characters', message: 'got another' }]
}

function headerFindings(path: ConfigPath, name: string, mapped: readonly string[]): readonly Finding[] {
  const reason = reservedHeader(name)
  if (reason !== undefined) return [{ path, message: `${name} ${reason}`, hint: 'Choose another header.' }]
  const twin = mapped.find((other) => foldHeaderName(other) === foldHeaderName(name))
  if (twin === undefined) return []
  return [{ path, message: `the role’s \`headers\` set ${twin}, too`, hint: 'A header can carry one of them.' }]
}

/** Each host name leads to one place. */
function hostFindings(
  applications: readonly (readonly [string, HttpInFile])[],
  gateway: NonNullable<Salvaged['gateway']>,
): readonly Finding[] {
  const [domain, pages] = [domainOf(gateway), new URL(gateway.publicUrl).hostname]
  const own = applications.map(([name]) => ({ name, host: hostsOf({ name, hosts: [] }, domain)[0] }))
  const takers = own.filter(({ host }) => host === pages)
  const placed = applications.flatMap(([name, { hosts }]) =>
    hosts.map((host, index) => ({ name, host, path: ['resources', name, 'hosts', index] })),
  )
  return [
    ...takers.map(({ name }) => ({
      path: ['resources', name],
      message: `${pages} is the gateway’s own address`,
      hint: 'Call it something else, or set another `gateway.domain`.',
      at: 'key' as const,
    })),
    ...placed.flatMap(({ name, host, path }, index) => {
      if (host === pages) return [{ path, message: `${host} is the gateway’s own address` }]
      const other = [...own, ...placed.slice(0, index)].find((one) => one.host === host)
      if (other === undefined) return []
      return [{ path, message: other.name === name ? 'this name is there already' : `${host} leads to ${other.name}` }]
    }),
  ]
}

/** Methods that a deny rule would miss if they are misspelt; others exist, but few use them. */
export function unusualMethods(path: ConfigPath, methods: readonly string[]): readonly Finding[] {
  return methods.flatMap((method, index) => {
    if (METHODS.includes(method)) return []
    const [meant] = closest(method, METHODS)
    const hint = meant === undefined ? {} : { hint: `Did you mean ${meant}?` }
    return [{ path: [...path, index], message: `${method} is none of the usual methods`, ...hint }]
  })
}
