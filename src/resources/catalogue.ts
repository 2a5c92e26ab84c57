import { closest } from '../kernel/closest.ts'
import { Fault } from '../kernel/fault.ts'
import type { Secret } from '../kernel/secret.ts'

/** How the gateway proves who the target is, in libpq's words. */
export type UpstreamTlsMode = 'verify-full' | 'disable'

export interface PostgresRole {
  readonly name: string
  /** What a person may do with it, in words for the pages; may be empty. */
  readonly description: string
  /** The upstream login. */
  readonly login: string
  readonly password: Secret | null
  /** Databases that may be opened; the first is the default. */
  readonly databases: readonly [string, ...string[]]
  readonly recording: RecordingMode
}

/** `strict`: what cannot be recorded is not forwarded. `bestEffort`: the session outlives a failed recording. */
export type RecordingMode = 'strict' | 'bestEffort' | 'off'

export interface PostgresResource {
  readonly kind: 'postgres'
  readonly name: string
  readonly description: string
  readonly labels: Readonly<Record<string, string>>
  readonly host: string
  readonly port: number
  /** `ca`: PEM certificates; null means the system's. */
  readonly tls: { readonly mode: UpstreamTlsMode; readonly ca: string | null; readonly serverName: string | null }
  readonly roles: Readonly<Record<string, PostgresRole>>
}

export type Resource = PostgresResource
export type Role = Resource['roles'][string]

export interface Catalogue {
  readonly resources: readonly Resource[]
  resource(name: string): Resource | undefined
  role(resource: string, role: string): Role | undefined
}

export function createCatalogue(resources: readonly Resource[]): Catalogue {
  const byName = new Map(resources.map((resource) => [resource.name, resource]))
  return {
    resources,
    resource: (name) => byName.get(name),
    role: (resource, role) => {
      const roles = byName.get(resource)?.roles
      return roles !== undefined && Object.hasOwn(roles, role) ? roles[role] : undefined
    },
  }
}

/**
 * Says that a name leads nowhere, with what this person could have meant.
 * @param visible the names that this person may see; others never appear in the answer.
 */
export function unknownName(kind: 'resource' | 'role', name: string, visible: readonly string[]): Fault {
  const close = closest(name, visible)
  const shown = close.length > 0 ? close : visible.slice(0, 5)
  const hint = shown.length > 0 ? `Did you mean ${shown.map((candidate) => `"${candidate}"`).join(' or ')}?` : undefined
  const shortened = name.length > 80 ? `${name.slice(0, 80)}…` : name
  return new Fault(
    kind === 'resource' ? 'RESOURCE_UNKNOWN' : 'ROLE_UNKNOWN',
    `There is no ${kind} "${shortened}" that you may use.`,
    hint === undefined ? {} : { hint },
  )
}
