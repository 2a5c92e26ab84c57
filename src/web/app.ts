import { Hono } from 'hono'
import type { JSONWebKeySet } from 'jose'
import { Fault } from '../kernel/fault.ts'
import { apiRoutes } from './api.ts'
import { apiPath, tokenPath } from './api-schema.ts'
import { loadAssets } from './assets.ts'
import { createAuditor } from './auditor.ts'
import type { WebApp, WebEnv } from './context.ts'
import type { WebDeps } from './deps.ts'
import { evidenceRoutes } from './api-evidence.ts'
import { notifyRoutes } from './api-notify.ts'
import { eventRoutes } from './events.ts'
import { failureHandler } from './failure.ts'
import { byLinkOnly, observed, ownHostOnly, ownOriginOnly, securityHeaders } from './guards.ts'
import { approvalRoutes } from './pages/approval.ts'
import { approvalListRoutes } from './pages/approvals.ts'
import { askRoutes } from './pages/ask.ts'
import { askBundleRoutes } from './pages/ask-bundle.ts'
import { extendRoutes } from './pages/extend.ts'
import { askEmergencyRoutes } from './pages/ask-emergency.ts'
import { auditRoutes } from './pages/audit.ts'
import { dryRunRoutes } from './pages/dry-run.ts'
import { campaignRoutes } from './pages/campaigns.ts'
import { inBandRoutes } from './pages/in-band.ts'
import { lockRoutes } from './pages/locks.ts'
import { myAccessRoutes } from './pages/my-access.ts'
import { notificationRoutes } from './pages/notifications.ts'
import { openRoutes } from './pages/open.ts'
import { recordingRoutes } from './pages/recording.ts'
import { recordingListRoutes } from './pages/recordings.ts'
import { reportRoutes } from './pages/reports.ts'
import { requestRoutes } from './pages/requests.ts'
import { reviewRoutes } from './pages/reviews.ts'
import { statementRoutes } from './pages/statements.ts'
import { sessionRoutes } from './pages/sessions.ts'
import { signInRoutes } from './pages/sign-in.ts'
import { signInsRoutes } from './pages/sign-ins.ts'
import { createSite, type Site } from './site.ts'
import { slackActionRoutes, slackActionsPath } from './slack-actions.ts'
import { tokenExchangeRoute } from './token-exchange.ts'

/**
 * All pages and calls, behind their guards.
 * @param closing aborts when the listener stops: ends the streams that would keep it open.
 */
export function createWebApp(deps: WebDeps, closing: AbortSignal): WebApp {
  const app: WebApp = new Hono<WebEnv>()
  const assets = loadAssets()
  const site = createSite(app, deps, assets, createAuditor(deps.audit, deps.clock))
  app.use(observed(deps), securityHeaders(deps), ownHostOnly(deps))
  app.use(ownOriginOnly(deps, comesWithoutCookies), byLinkOnly(isPublic))
  app.onError(failureHandler(site))
  app.notFound(() => {
    throw new Fault('NOT_FOUND', 'There is no such page.')
  })
  assets.serveOn(app)
  publicRoutes(site)
  signInRoutes(site)
  inBandRoutes(site)
  myAccessRoutes(site)
  askRoutes(site)
  askEmergencyRoutes(site)
  askBundleRoutes(site)
  extendRoutes(site)
  openRoutes(site)
  requestRoutes(site)
  approvalListRoutes(site)
  approvalRoutes(site)
  statementRoutes(site)
  // before the reviews, of which each has an id
  campaignRoutes(site)
  reviewRoutes(site)
  sessionRoutes(site)
  recordingListRoutes(site)
  recordingRoutes(site)
  signInsRoutes(site)
  auditRoutes(site)
  // before the reports, of which each has a name
  dryRunRoutes(site)
  reportRoutes(site)
  lockRoutes(site)
  notificationRoutes(site)
  slackActionRoutes(site)
  eventRoutes(site, closing)
  apiRoutes(site)
  evidenceRoutes(site)
  notifyRoutes(site)
  tokenExchangeRoute(site)
  return app
}

/** The API carries a bearer; logout calls of the provider, tokens to exchange and Slack's posts are signed: no foreign page can forge them. */
function comesWithoutCookies(path: string): boolean {
  return (
    path.startsWith(`${apiPath}/`) ||
    path === '/sign-in/back-channel-logout' ||
    path === tokenPath ||
    path === slackActionsPath
  )
}

/** The same for everybody, whoever asks. */
function isPublic(path: string): boolean {
  return path.startsWith('/.well-known/curfew/') || path === '/healthz' || path === '/robots.txt'
}

function publicRoutes(site: Site): void {
  site.open('GET', '/healthz', (c) => c.text('ok\n'))
  site.open('GET', '/robots.txt', (c) => c.text('User-agent: *\nDisallow: /\n'))
  publishKeys(site, '/.well-known/curfew/keys.json', site.deps.publicKeys)
  publishKeys(site, '/.well-known/curfew/identity-keys.json', site.deps.identityKeys)
}

/** Verifiers fetch them anew after a while, so that a new key is known before long. */
function publishKeys(site: Site, path: string, keys: () => JSONWebKeySet): void {
  site.open('GET', path, (c) => {
    c.header('Cache-Control', 'public, max-age=300')
    c.header('Content-Type', 'application/jwk-set+json')
    return c.body(JSON.stringify(keys()))
  })
}
