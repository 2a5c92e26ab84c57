import { createAppSignIn } from './app-sign-in.ts'
import { createBrowserSignIn } from './browser-sign-in.ts'
import type { IdentityDeps } from './deps.ts'
import { isBrowsers, isLive } from './endings.ts'
import type { Identity } from './identity.ts'
import { createInBandSignIn } from './in-band-sign-in.ts'
import { createOwnSignIns } from './own-sign-ins.ts'
import { createMachines, keepMachines } from './machines.ts'
import { createOAuthSignIn } from './oauth-sign-in.ts'
import { bounded, createProviderFetch } from './provider-fetch.ts'
import { OidcClient } from './provider.ts'
import { Refresher } from './refresher.ts'
import { createRemembered } from './remembered.ts'
import { createSeal } from './seal.ts'
import { createSshIdentity } from './ssh/ssh-identity.ts'
import { stands } from './standing.ts'
import { createTokens } from './tokens.ts'
import { createClientCertificates } from './x509/client-certificates.ts'

/**
 * Opens the identity room. The provider is looked up when somebody first needs it, so the gateway starts without it.
 * @throws Fault CONFIG_INVALID for a plain-http issuer beyond loopback; RangeError for a data key that is not 32 bytes.
 */
export async function createIdentity(deps: IdentityDeps): Promise<Identity & AsyncDisposable> {
  await using started = new AsyncDisposableStack()
  const own = deps.fetch === undefined ? started.use(createProviderFetch(deps.settings.oidc.ca)) : undefined
  const fetch = own?.fetch ?? bounded(deps.fetch!)
  const fetchFor = (ca: string | null) => {
    if (deps.fetch !== undefined) return fetch
    return ca === deps.settings.oidc.ca ? fetch : started.use(createProviderFetch(ca)).fetch
  }
  const machines = createMachines(deps, fetchFor)
  await keepMachines(deps)
  const provider = new OidcClient(deps.settings.oidc, deps.publicUrl, deps.clock, fetch)
  const refreshTokens = createSeal(deps.dataKey, 'refresh token', deps.random)
  started.use(new Refresher(deps, provider, refreshTokens))
  const remembered = createRemembered(deps)
  const apps = started.use(createAppSignIn(deps))
  const running = started.move()
  return {
    browser: createBrowserSignIn(deps, provider, refreshTokens),
    inBand: createInBandSignIn(deps, remembered),
    tokens: createTokens(deps),
    machines,
    own: createOwnSignIns(deps),
    ssh: createSshIdentity(deps, remembered),
    certificates: createClientCertificates(deps),
    oauth: deps.settings.oauth === undefined ? null : createOAuthSignIn(deps, provider, deps.settings.oauth),
    apps,
    person: (id) => deps.store.person(id),
    isSignedIn: async ({ id }) => {
      const now = deps.clock.now()
      const sessions = await deps.store.browserSessionsOf(id)
      return sessions.some((session) => isBrowsers(session) && isLive(session, now))
    },
    stands: (identified) => stands(deps.store, identified, deps.clock.now()),
    peopleByEmail: (email) => deps.store.peopleByEmail(email),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
