import { auditEvent, theGateway } from './audit/event.ts'
import type { Config, PostgresListener, WebListener } from './config/config.ts'
import { changesOf, differences, keepingSame, type Changes } from './config/differences.ts'
import type { ListeningWithTls } from './kernel/listening.ts'
import type { Log } from './kernel/log.ts'
import type { Metrics } from './kernel/metrics.ts'
import type { Clock } from './kernel/time.ts'
import type { Bundle } from './policy/bundle.ts'
import type { Denial, Rules } from './policy/rules.ts'
import type { LivingCatalogue } from './resources/catalogue.ts'
import type { State } from './store/state.ts'

/** What came of another configuration. */
export type Reloaded =
  /** It holds from now on, all of it. */
  | { readonly kind: 'taken'; readonly resources: Changes; readonly rules: Changes }
  /** It says something new in these places, which only a start can take over: nothing of it was. */
  | { readonly kind: 'needs-restart'; readonly places: readonly string[] }

type RuleParts = Pick<Config, 'policies' | 'denials' | 'bundles'>

/** The rules, and what is asked for together, as the file that holds now has them. */
export interface LivingRules extends Rules {
  readonly denials: readonly Denial[]
  readonly bundles: readonly Bundle[]
  replace(parts: RuleParts): void
}

export function createRules(
  first: RuleParts,
  { countryOf, onConditionFailed }: Required<Pick<Rules, 'countryOf' | 'onConditionFailed'>>,
): LivingRules {
  let parts = first
  // Own getters, not a class: whoever spreads them gets all that holds at that moment.
  return {
    get policies() {
      return parts.policies
    },
    get denials() {
      return parts.denials ?? []
    },
    get bundles() {
      return parts.bundles ?? []
    },
    countryOf,
    onConditionFailed,
    replace: (next) => void (parts = next),
  }
}

interface ReloadDeps {
  readonly catalogue: LivingCatalogue
  readonly rules: LivingRules
  readonly web: ListeningWithTls<WebListener>
  readonly postgres: readonly ListeningWithTls<PostgresListener>[]
  /** For those who hold something for resources, or by rules: to look at them again. */
  readonly lookAgain: readonly (() => void)[]
  readonly audit: State['audit']
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/**
 * Takes over another configuration while the gateway runs: resources with their roles, policies, freezes, bundles and the
 * listeners' certificates. All of a file or nothing: one that also changes what only a start can change is not taken.
 * @returns a function that does it; to be called for one configuration after the other.
 * @throws Fault STORE_FAILED when it cannot be written in the audit log, and what OpenSSL says of a certificate that it does not take; nothing was taken over then.
 */
export function createReload(first: Config, deps: ReloadDeps): (next: Config) => Promise<Reloaded> {
  let current = first
  return async (next) => {
    const { audit, clock, log, metrics } = deps
    const places = [...differences(startOnly(first), startOnly(next)), ...unkeptClaims(first, next)]
    if (places.length > 0) {
      metrics.add('curfew_reloads_total', { outcome: 'needs-restart' })
      await audit.append([
        auditEvent('gateway.reload-refused', clock.now(), theGateway, { node: next.gateway.name, places }),
      ])
      return { kind: 'needs-restart', places }
    }
    const resources = changesOf(current.resources, next.resources)
    const rules = changesOf(rulesOf(current), rulesOf(next))
    const { web, postgres } = next.listen
    const renewals = [deps.web.renewal(web), ...deps.postgres.map((one, index) => one.renewal(postgres[index]!))]
    const data = { node: next.gateway.name, ...worded('resources', resources), ...worded('rules', rules) }
    // First: what is not on record does not happen.
    await audit.append([auditEvent('gateway.reloaded', clock.now(), theGateway, data)])
    take(next, renewals, deps)
    current = next
    metrics.add('curfew_reloads_total', { outcome: 'taken' })
    log.info({ resources, rules }, 'the changed configuration holds from now on')
    return { kind: 'taken', resources, rules }
  }
}

/** In one go: nobody is judged by some of the old and some of the new. */
function take(next: Config, renewals: readonly (() => void)[], { catalogue, rules, lookAgain }: ReloadDeps): void {
  for (const renew of renewals) renew()
  catalogue.replace(keepingSame(catalogue.resources, next.resources))
  rules.replace(next)
  for (const look of lookAgain) look()
}

/** Everything that is built in at the start: the rest may change, and says nothing here. */
function startOnly(config: Config): object {
  const { identity, listen } = config
  const { web, postgres } = listen
  return {
    ...config,
    ...{ resources: null, policies: null, denials: null, bundles: null },
    identity: { ...identity, oidc: { ...identity.oidc, policyClaims: null } },
    listen: {
      ...listen,
      web: { ...web, tls: null, certificates: null },
      postgres: postgres.map(({ tls, ...other }) => ({ ...other, tls: tls !== null })),
    },
  }
}

/** Of claims that no policy asked about nothing is known, and a denial by one would stop nobody. */
function unkeptClaims(first: Config, next: Config): readonly string[] {
  const kept = first.identity.oidc.policyClaims ?? []
  const unkept = (next.identity.oidc.policyClaims ?? []).filter((claim) => !kept.includes(claim))
  return unkept.map((claim) => `policies (sign-ins do not keep the claim "${claim}" yet)`)
}

function rulesOf({ policies, denials = [], bundles = [] }: Config): readonly { readonly name: string }[] {
  return [...policies, ...denials, ...bundles]
}

function worded(what: 'resources' | 'rules', { added, removed, changed }: Changes) {
  return { [`${what}Added`]: added, [`${what}Removed`]: removed, [`${what}Changed`]: changed }
}
