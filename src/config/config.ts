import type { MachineSettings } from '../identity/machine.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Keepalives, TlsVersion } from '../kernel/transport.ts'
import type { Bundle } from '../policy/bundle.ts'
import type { Denial, Networks, Policy } from '../policy/rules.ts'
import type { RiskSettings } from '../policy/risk.ts'
import type { Resource } from '../resources/catalogue.ts'
import type { NotifySettings } from './notify-settings.ts'
import type { ConfigFile } from './schema.ts'

export interface TlsIdentity {
  /** PEM: the certificate, then its chain. */
  readonly certificate: string
  readonly key: Secret
}
export interface WebListener {
  readonly address: string
  readonly port: number
  readonly tls: TlsIdentity
  /** More certificates, chosen by the server name that the client asks for; `tls` answers for all others. */
  readonly certificates: readonly TlsIdentity[]
  /** Null: none. */
  readonly keepalives: Keepalives | null
}
export interface PostgresListener {
  readonly address: string
  readonly port: number
  readonly tls: TlsIdentity | null
  readonly plaintext: boolean
  readonly minTlsVersion: TlsVersion
  /** Null: none. */
  readonly keepalives: Keepalives | null
  /** Load balancers, which say where a client is; null: nobody does. */
  readonly balancers: Networks | null
}
export interface SshListener {
  readonly address: string
  readonly port: number
  /** Null: none. */
  readonly keepalives: Keepalives | null
}
export interface OidcSettings {
  readonly issuer: URL
  readonly clientId: string
  readonly clientSecret: Secret
  /** PEM; null means the system's authorities. */
  readonly ca: string | null
  readonly scopes: readonly string[]
  readonly groupsClaim: string
  /** Names of the claims that policies ask about; kept with each person. */
  readonly policyClaims?: readonly string[]
}

/** Clients that get access tokens from the provider by themselves, as psql 18 does. */
export interface OAuthSettings {
  /** What the provider knows them as. */
  readonly clientId: string
  /** What the claim `aud` of their access tokens must hold: tokens for anybody else are refused. */
  readonly audience: string
  /** To ask for; at least one. */
  readonly scopes: readonly string[]
}

/** The one checked, frozen value that everything is built from. References are resolved, lengths are milliseconds. */
export interface Config {
  readonly gateway: {
    readonly name: string
    readonly publicUrl: URL
    readonly clientHost: string
    /** Applications are at `NAME.<domain>`: lower-case, without port. */
    readonly domain: string
    /** For `sslrootcert` in connect strings; null leaves it out. */
    readonly clientRootCertificate: string | null
    /** Absolute. */
    readonly dataFolder: string
    readonly drainMs: number
  }
  readonly listen: {
    readonly web: WebListener
    readonly postgres: readonly PostgresListener[]
    readonly ssh: readonly SshListener[]
    readonly ops: { readonly address: string; readonly port: number }
  }
  readonly limits: {
    readonly unauthenticatedPerAddressMax: number
    readonly unauthenticatedMax: number
    readonly sessionsPerPersonMax: number
    readonly handshakeMs: number
    /** Connections of browsers and API clients, of one address (an IPv6 network of 64 bits) and in all. */
    readonly webConnectionsPerAddressMax: number
    readonly webConnectionsMax: number
  }
  readonly identity: {
    readonly oidc: OidcSettings
    /** Absent: clients do not sign in by themselves. */
    readonly oauth?: OAuthSettings
    readonly sessionMs: number
    readonly rememberMs: number
    readonly signInMs: number
    readonly sameAddress: boolean
    readonly refreshMs: number
    readonly tokenMsMax: number
  }
  readonly staff: { readonly reviewers: readonly string[]; readonly operators: readonly string[] }
  /** Absent: none comes. */
  readonly machines?: MachineSettings
  readonly access: {
    readonly waitMs: number
    readonly httpIdleMs: number
    readonly requestMs: number
    /** The claim that has the e-mail address of a person’s manager. */
    readonly managerClaim?: string
    readonly warnBeforeMs: readonly number[]
  }
  /** Null: nobody is told anything. */
  readonly notify: NotifySettings | null
  /** Absolute path of the file with the countries of addresses; null: nobody can say. */
  readonly geo: { readonly file: string } | null
  readonly risk: RiskSettings
  /** `teams` null: every group that a policy names. */
  readonly reports?: { readonly teams: readonly string[] | null }
  readonly recording: { readonly unsavedBytesMax: number; readonly unsavedMsMax: number; readonly freeBytesMin: number }
  readonly log: { readonly level: ConfigFile['log']['level'] }
  readonly resources: readonly Resource[]
  /** Those that allow, in the file's order. */
  readonly policies: readonly Policy[]
  /** Policies that deny, and freezes. */
  readonly denials?: readonly Denial[]
  /** Absent: none. */
  readonly bundles?: readonly Bundle[]
}
