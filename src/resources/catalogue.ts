import { closest } from '../kernel/closest.ts'
import { Fault } from '../kernel/fault.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Keepalives, TlsVersion } from '../kernel/transport.ts'
import type { StatementGuard } from './guard.ts'

/** How the gateway proves who the target is, in libpq's words. */
/** As libpq names them. */
export const upstreamTlsModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type UpstreamTlsMode = (typeof upstreamTlsModes)[number]

/** Which of several servers will do, as libpq names them. */
export const targetSessionAttributes = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const
export type TargetSessionAttribute = (typeof targetSessionAttributes)[number]

/** How a server may ask the gateway to prove itself, as libpq names them. `password`: in clear text. */
export const postgresLogins = ['scram-sha-256', 'md5', 'password', 'none'] as const
export type PostgresLogin = (typeof postgresLogins)[number]

/** Where a PostgreSQL server is: a host name or address; or the folder of its socket on this machine, which begins with `/`. */
export interface PostgresPlace {
  readonly host: string
  readonly port: number
}

/** Asked for at each login: a file may have changed since. */
export interface LivingSecret {
  reveal(): string | Promise<string>
}

/** A user of the target that is made for each grant. */
export interface GrantUser {
  readonly administrator: {
    readonly login: string
    readonly password: LivingSecret | null
    readonly database: string
  }
  /** Roles of the target whose rights it has. */
  readonly memberOf: readonly string[]
  /** Kept with the user at the target. */
  readonly settings: Readonly<Record<string, string>>
  /** How long it stays without a session, until its grant ends. */
  readonly keepMs: number
}

export interface PostgresRole {
  readonly kind: 'postgres'
  readonly name: string
  /** What a person may do with it, in words for the pages; may be empty. */
  readonly description: string
  /** The upstream login; empty, which no target lets in, where each grant has a `user` of its own. */
  readonly login: string
  readonly password: LivingSecret | null
  /** Null: `login` is for everybody. */
  readonly user: GrantUser | null
  /** Databases that may be opened; the first is the default. */
  readonly databases: readonly [string, ...string[]]
  /** Settings that every session begins with, whatever the client says. */
  readonly parameters: Readonly<Record<string, string>>
  /** `session`: the target is told which person and session it is; `client`: what the client says. */
  readonly applicationName: 'client' | 'session'
  /** Whether replication connections pass: what they carry is not recorded, only how much. */
  readonly replication: boolean
  /** A session that does nothing for so long is ended; null: never. */
  readonly idleMs: number | null
  /** Sessions that one person may have at once; null: as many as the gateway allows. */
  readonly sessionsMax: number | null
  /** What is recorded of each result; null: only how many rows it had. */
  readonly recordRows: { readonly rowsMax: number; readonly bytesMax: number } | null
  /** What statements may do; null: they are not looked at. */
  readonly guard: StatementGuard | null
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
  /** Tried in this order when the first cannot be reached or will not do. */
  readonly others: readonly PostgresPlace[]
  readonly targetSession: TargetSessionAttribute
  /** Longest time until a server is ready for queries, for each. */
  readonly connectMs: number
  /** Null: none. */
  readonly keepalives: Keepalives | null
  readonly minTlsVersion: TlsVersion
  readonly logins: readonly PostgresLogin[]
  /** `ca`: PEM certificates; null means the system's. `identity`: the gateway's own certificate. */
  readonly tls: {
    readonly mode: UpstreamTlsMode
    readonly ca: string | null
    readonly serverName: string | null
    readonly identity: { readonly certificate: string; readonly key: Secret } | null
  }
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
  /** Null: none. */
  readonly keepalives: Keepalives | null
  readonly roles: Readonly<Record<string, SshRole>>
}

/** Requests that a rule of an HTTP role is about. Both must fit. */
export interface HttpRule {
  /** Upper-case; empty: every method. */
  readonly methods: readonly string[]
  /** Globs over the path as the target will see it: `*` within a segment, `**` over any number; empty: every path. */
  readonly paths: readonly string[]
}

/** What of a person a header can carry to the target. `groups` are joined by commas. */
export const httpClaims = ['email', 'name', 'subject', 'id', 'groups', 'role'] as const
export type HttpClaim = (typeof httpClaims)[number]

/** What the gateway shows the target; the person never sees it. */
export type HttpCredentials =
  | { readonly kind: 'basic'; readonly user: string; readonly password: Secret }
  | { readonly kind: 'bearer'; readonly token: Secret }
  | { readonly kind: 'header'; readonly name: string; readonly value: Secret }
  /** PEM: the certificate, then its chain. */
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: Secret }

export interface HttpRole {
  readonly kind: 'http'
  readonly name: string
  readonly description: string
  /** A request must fit one of these; empty: every request does. */
  readonly allow: readonly HttpRule[]
  /** What fits one of these is refused, whatever `allow` says. */
  readonly deny: readonly HttpRule[]
  /** Headers that the target gets from who the person is, by lower-case name. What a client sends by these names never arrives. */
  readonly headers: Readonly<Record<string, HttpClaim>>
  readonly credentials: HttpCredentials | null
  /** Whose bodies are recorded, and how much of each; null: none. `types` are globs over media types. */
  readonly recordBodies: { readonly types: readonly string[]; readonly bytesMax: number } | null
  readonly recording: RecordingMode
}

/** One place where a target answers. */
export interface HttpAddress {
  /** As the file writes it: `https://10.0.0.5:3000`, `http://localhost:8080`, `unix:/run/app.sock`. */
  readonly text: string
  readonly tls: boolean
  /** Host name or address, without brackets; `localhost` for a socket. */
  readonly host: string
  readonly port: number
  readonly socketPath: string | null
}

export interface HttpResource {
  readonly kind: 'http'
  readonly name: string
  readonly description: string
  readonly labels: Readonly<Record<string, string>>
  readonly addresses: readonly [HttpAddress, ...HttpAddress[]]
  /** Of `https` addresses. `ca`: PEM; null means the system's. The certificate is always checked in full. */
  readonly tls: { readonly ca: string | null; readonly serverName: string | null }
  /** What is spoken to the target; `http2` with plain addresses by prior knowledge. */
  readonly version: 'http1' | 'http2'
  /** Host names besides `NAME.<domain>`, lower-case, without port. */
  readonly hosts: readonly string[]
  /** `keep`: the target sees the name that the person typed; `target`: its own address. */
  readonly hostHeader: 'keep' | 'target'
  /** Null: an address is only left out for a while after a connection to it failed. */
  readonly health: { readonly path: string; readonly everyMs: number; readonly timeoutMs: number } | null
  /** Which other origins' pages may use it; null: none. */
  readonly cors: {
    /** `https://app.example.com`, lower-case. */
    readonly origins: readonly string[]
    readonly methods: readonly string[]
    /** Lower-case. */
    readonly headers: readonly string[]
    readonly maxAgeS: number
  } | null
  /** Lower-case names of headers that are recorded besides the usual ones; never cookies or authorization. */
  readonly recordHeaders: readonly string[]
  /** Lower-case names of query parameters whose values are masked in recordings, besides the usual ones. */
  readonly maskQuery: readonly string[]
  readonly roles: Readonly<Record<string, HttpRole>>
}

export type Resource = PostgresResource | SshResource | HttpResource
export type Role = PostgresRole | SshRole | HttpRole

export interface Catalogue {
  readonly resources: readonly Resource[]
  resource(name: string): Resource | undefined
  role(resource: string, role: string): Role | undefined
}

/** A catalogue whose resources may be others later. Who keeps one of them sees by its identity whether it is still the one. */
export interface LivingCatalogue extends Catalogue {
  replace(resources: readonly Resource[]): void
}

export function createCatalogue(given: readonly Resource[]): LivingCatalogue {
  const indexed = (resources: readonly Resource[]) => new Map(resources.map((resource) => [resource.name, resource]))
  let [all, byName] = [given, indexed(given)]
  return {
    get resources() {
      return all
    },
    resource: (name) => byName.get(name),
    role: (resource, role) => {
      const roles = byName.get(resource)?.roles
      return roles !== undefined && Object.hasOwn(roles, role) ? roles[role] : undefined
    },
    replace(resources) {
      all = resources
      byName = indexed(resources)
    },
  }
}

/**
 * Says that a name leads nowhere, with what this person could have meant.
 * @param visible the names that this person may see; others never appear in the answer.
 */
export function unknownName(kind: 'resource' | 'role' | 'bundle', name: string, visible: readonly string[]): Fault {
  const close = closest(name, visible)
  const shown = close.length > 0 ? close : visible.slice(0, 5)
  const hint = shown.length > 0 ? `Did you mean ${shown.map((candidate) => `"${candidate}"`).join(' or ')}?` : undefined
  const shortened = name.length > 80 ? `${name.slice(0, 80)}…` : name
  return new Fault(
    kind === 'role' ? 'ROLE_UNKNOWN' : 'RESOURCE_UNKNOWN',
    `There is no ${kind} "${shortened}" that you may use.`,
    hint === undefined ? {} : { hint },
  )
}
