import { X509Certificate } from 'node:crypto'
import { hostsOf, isAddress } from '../resources/hosts.ts'
import { applicationsOf, domainOf, unusualMethods, type HttpInFile } from './check-http.ts'
import { isLoopback } from './check-settings.ts'
import type { TlsIdentity } from './config.ts'
import { readHttpAddress } from './http-address.ts'
import type { ConfigPath, Finding } from './problems.ts'
import type { Salvaged } from './salvage.ts'

/**
 * What is allowed of applications, but worth knowing.
 * @param certificates of `listen.web`, all of them.
 */
export function httpNotices(parts: Salvaged, certificates: readonly TlsIdentity[]): readonly Finding[] {
  const shown = certificates.map(({ certificate }) => new X509Certificate(certificate))
  return applicationsOf(parts).flatMap(([name, resource]) => {
    const path = ['resources', name]
    return [
      ...readable(path, resource),
      ...methodNotices(path, resource),
      ...(parts.gateway === undefined ? [] : hostNotices(path, name, resource, domainOf(parts.gateway), shown)),
    ]
  })
}

function readable(path: ConfigPath, { url, urls }: HttpInFile): readonly Finding[] {
  const placed = [
    ...(url === undefined ? [] : [{ at: [...path, 'url'], text: url }]),
    ...(urls ?? []).map((text, index) => ({ at: [...path, 'urls', index], text })),
  ]
  return placed.flatMap(({ at, text }) => {
    const read = readHttpAddress(text)
    if (!('host' in read) || read.tls || read.socketPath !== null || isLoopback(read.host)) return []
    const message = `the way to ${read.host} is neither encrypted nor verified`
    return [{ path: at, message, hint: 'Use `https://`, with `tls.ca` where the target has an authority of its own.' }]
  })
}

function methodNotices(path: ConfigPath, { roles, cors }: HttpInFile): readonly Finding[] {
  return [
    ...unusualMethods([...path, 'cors', 'methods'], cors?.methods ?? []),
    ...Object.entries(roles).flatMap(([role, { allow, deny }]) =>
      Object.entries({ allow, deny }).flatMap(([key, rules]) =>
        rules.flatMap(({ methods }, index) => unusualMethods([...path, 'roles', role, key, index, 'methods'], methods)),
      ),
    ),
  ]
}

/** Whether browsers can get there. */
function hostNotices(
  path: ConfigPath,
  name: string,
  { hosts }: HttpInFile,
  domain: string,
  certificates: readonly X509Certificate[],
): readonly Finding[] {
  if (isAddress(domain) && hosts.length === 0) {
    const message = `nobody can reach it: below the address ${domain} there are no names`
    return [{ path, message, hint: 'Set `gateway.domain`, or give it `hosts`.', at: 'key' }]
  }
  const uncovered = hostsOf({ name, hosts }, domain).filter((host) => !certificates.some((one) => covers(one, host)))
  return uncovered.map((host) => {
    const index = hosts.indexOf(host)
    return {
      path: index < 0 ? path : [...path, 'hosts', index],
      message: `no certificate of \`listen.web\` is for ${host}, so browsers will warn`,
      hint: index < 0 ? `One for *.${domain} covers every application.` : 'Add one to `listen.web.certificates`.',
      at: index < 0 ? ('key' as const) : ('value' as const),
    }
  })
}

/** Browsers look at the alternative names only. */
function covers(certificate: X509Certificate, host: string): boolean {
  return certificate.checkHost(host, { subject: 'never' }) !== undefined
}
