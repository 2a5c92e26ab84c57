import type { JSONWebKeySet } from 'jose'
import type { Access } from '../access/access.ts'
import type { Notifications } from '../access/notifications.ts'
import type { Reports } from '../access/reports.ts'
import type { AuditStore } from '../audit/store.ts'
import type { Evidence } from '../evidence/evidence.ts'
import type { Identity } from '../identity/identity.ts'
import type { ChangeFeed } from '../kernel/change.ts'
import type { Random } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Clock } from '../kernel/time.ts'
import type { Catalogue } from '../resources/catalogue.ts'
import type { ConnectPlace } from '../resources/connect.ts'
import type { Hosts } from '../resources/hosts.ts'
import type { LiveSessions } from '../sessions/live.ts'
import type { SessionReads, SessionSearch } from '../sessions/session.ts'

export interface WebSettings {
  /** The gateway's name, as recordings and the audit log give it. */
  readonly gateway: string
  /** How long the session of the CLI lasts, at most the longest life of a token. */
  readonly cliSessionMs: number
}

/** Everything that the pages and the API speak to. */
export interface WebDeps extends ConnectPlace {
  /** As browsers reach the pages: requests for another host are refused, forms from another origin too. */
  readonly publicUrl: URL
  /** The public halves only: type and base64, without a comment. */
  readonly sshKeys: { readonly hostKey: string; readonly targetAuthority: string }
  readonly identity: Identity
  readonly access: Access
  /** Null when nobody is told anything. */
  readonly notifications: Notifications | null
  readonly reports: Reports
  readonly evidence: Evidence
  readonly live: LiveSessions
  readonly sessions: SessionReads & SessionSearch
  readonly audit: AuditStore
  /** Absolute: what `SessionRow.recording` is relative to. */
  readonly recordingsFolder: string
  /** Published, and trusted when recordings are checked. */
  readonly publicKeys: () => JSONWebKeySet
  /** Published: what applications check assertions with. */
  readonly identityKeys: () => JSONWebKeySet
  readonly catalogue: Catalogue
  /** Where the applications are. */
  readonly hosts: Hosts
  readonly settings: WebSettings
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  readonly changes: ChangeFeed
}
