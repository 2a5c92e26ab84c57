import { closest } from '../kernel/closest.ts'
import { Fault } from '../kernel/fault.ts'
import type { Secret } from '../kernel/secret.ts'

/** How the gateway proves who the target is, in libpq's words. */
export type UpstreamTlsMode = 'verify-full' | 'disable'

export interface PostgresRole {
  readonly kind: 'postgres'
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

/** What a person may do on an SSH target. `exec` covers scp's old protocol, rsync and git; `sftp` the subsystem of that name. */
export const sshAllowances = ['shell', 'exec', 'sftp', 'forward-local', 'forward-remote', 'agent'] as const
export type SshAllowance = (typeof sshAllowances)[number]

export interface SshRole {
  readonly kind: 'ssh'
  readonly name: string
  readonly description: string
  /** The upstream login. */
  readonly login: string
  /** A private key in OpenSSH or PEM text; null: an ephemeral certificate per session, signed by the gateway's user CA. */
  readonly key: Secret | null
  readonly allow: readonly SshAllowance[]
  /** Whether what people type is recorded, too. */
  readonly recordInput: boolean
  readonly recording: RecordingMode
}

export interface SshResource {
  readonly kind: 'ssh'
  readonly name: string
  readonly description: string
  readonly labels: Readonly<Record<string, string>>
  readonly host: string
  readonly port: number
  /** How the target proves who it is; any one of them will do. */
  readonly hostKeys: {
    /** `SHA256:…` of public keys that may answer. */
    readonly fingerprints: readonly string[]
    /** The text of a known_hosts file: keys, and authorities (`@cert-authority`), by host name. */
    readonly knownHosts: string | null
    /** Public keys (`ssh-ed25519 AAAA…`) of authorities whose host certificates are believed. */
    readonly authorities: readonly string[]
  }
  readonly roles: Readonly<Record<string, SshRole>>
}

export type Resource = PostgresResource | SshResource
export type Role = PostgresRole | SshRole

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
