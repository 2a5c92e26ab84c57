import type { Config } from '../config/config.ts'
import type { ChangeFeed } from '../kernel/change.ts'
import type { Random } from '../kernel/ids.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { Clock } from '../kernel/time.ts'
import type { MachineSettings } from './machine.ts'
import type { ProviderFetch } from './provider-fetch.ts'
import type { SshKeyPair } from './ssh/keys.ts'
import type { IdentityStore } from './store.ts'
import type { ClientAuthority } from './x509/authority.ts'

export interface IdentityDeps {
  readonly settings: Config['identity']
  /** Absent: no machine comes. */
  readonly machines?: MachineSettings
  readonly publicUrl: URL
  readonly store: IdentityStore
  readonly changes: ChangeFeed
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** 32 random bytes that outlive restarts; cookies and refresh tokens are sealed with keys derived from them. */
  readonly dataKey: Uint8Array
  /** Signs and recognises the SSH user certificates of `curfew login`. */
  readonly sshPeopleAuthority: SshKeyPair
  /** Signs and recognises the client certificates of `curfew login`. */
  readonly clientAuthority: ClientAuthority
  /** How the provider is reached; absent: by undici, trusting `settings.oidc.ca` or the system's authorities. */
  readonly fetch?: ProviderFetch
}
