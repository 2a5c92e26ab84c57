import { isIP } from 'node:net'
import type { Catalogue, HttpResource, Resource } from './catalogue.ts'

/** Which application answers at which host name. Host names are lower-case, without port. */
export interface Hosts {
  /** Undefined for the gateway's own host, and for one that is nobody's. */
  resource(host: string): HttpResource | undefined
  /** `NAME.domain`, or its first extra host when the domain is an address; undefined when it has neither. */
  hostOf(resource: HttpResource): string | undefined
}

/** @param domain of `gateway.domain`: a host name, or an address, below which there are no names. */
export function createHosts(catalogue: Catalogue, domain: string): Hosts {
  let known = catalogue.resources
  let byHost = indexed(known, domain)
  return {
    resource: (host) => {
      if (catalogue.resources !== known) {
        known = catalogue.resources
        byHost = indexed(known, domain)
      }
      return byHost.get(host)
    },
    hostOf: (resource) => hostsOf(resource, domain)[0],
  }
}

function indexed(resources: readonly Resource[], domain: string): ReadonlyMap<string, HttpResource> {
  const applications = resources.filter((resource) => resource.kind === 'http')
  return new Map(applications.flatMap((one) => hostsOf(one, domain).map((host) => [host, one] as const)))
}

/** Every host name that an application answers at, the one to show first. */
export function hostsOf({ name, hosts }: Pick<HttpResource, 'name' | 'hosts'>, domain: string): readonly string[] {
  return isAddress(domain) ? hosts : [`${name}.${domain}`, ...hosts]
}

/** Whether a host, as a URL has it, is an IP address. */
export function isAddress(host: string): boolean {
  return isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0
}

/** Where a browser finds `host`: at the port of the gateway's own pages. */
export function appOrigin(publicUrl: URL, host: string): string {
  return `https://${host}${publicUrl.port === '' ? '' : `:${publicUrl.port}`}`
}

/** Where browsers find an application; undefined for other kinds, and for one without a host name. */
export function originOf(hosts: Hosts, resource: Resource | undefined, publicUrl: URL): string | undefined {
  const host = resource?.kind === 'http' ? hosts.hostOf(resource) : undefined
  return host === undefined ? undefined : appOrigin(publicUrl, host)
}
