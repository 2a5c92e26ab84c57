import type { MiddlewareHandler } from 'hono'
import { Fault } from '../kernel/fault.ts'
import { problemOf, problemType } from '../kernel/problem.ts'
import type { WebEnv } from './context.ts'
import type { WebDeps } from './deps.ts'

type Guard = MiddlewareHandler<WebEnv>

/** No inline script or style, nothing from elsewhere, never in a frame. */
function contentSecurityPolicy(scripts: string): string {
  return [
    "default-src 'none'",
    `script-src ${scripts}`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')
}

const usualPolicy = contentSecurityPolicy("'self'")
/** The player's terminal is WebAssembly, which comes inside its script. @see CSP Level 3, "wasm-unsafe-eval" */
const playerPolicy = contentSecurityPolicy("'self' 'wasm-unsafe-eval'")

const headers: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  // not `no-referrer`: browsers then send `Origin: null` with our own forms (Fetch, "append a request Origin header")
  'Referrer-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
}

const strictTransport = 'Strict-Transport-Security'

/** Every answer carries them; what says nothing about caching is not cached. */
export function securityHeaders({ publicUrl }: Pick<WebDeps, 'publicUrl'>): Guard {
  const all = Object.entries(headers)
  // A browser keeps this for the host, whatever the port: on localhost it would break other people's plain servers.
  if (!loopbackHosts.has(publicUrl.hostname)) all.push([strictTransport, 'max-age=31536000'])
  return async (c, next) => {
    await next()
    c.res.headers.set('Content-Security-Policy', c.get('playsTerminals') === true ? playerPolicy : usualPolicy)
    for (const [name, value] of all) c.res.headers.set(name, value)
    if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store')
  }
}

const loopbackHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Names the request in the log and on error pages, and counts how long it took. */
export function observed({ random, clock, log, metrics }: WebDeps): Guard {
  return async (c, next) => {
    const startedMs = clock.monotonicMs()
    c.set('requestId', random.id('web'))
    c.set('route', 'none')
    await next()
    const tookMs = clock.monotonicMs() - startedMs
    const line = { web: c.var.requestId, method: c.req.method, route: c.var.route, status: c.res.status }
    metrics.observe('curfew_web_request_seconds', { route: line.route, status: String(line.status) }, tookMs / 1000)
    log.debug({ ...line, tookMs: Math.round(tookMs) }, 'answered')
  }
}

/** A name that is not ours: DNS rebinding, or a wrong proxy. The health check may come by address. */
export function ownHostOnly({ publicUrl }: WebDeps): Guard {
  const hosts = new Set([publicUrl.host, `${publicUrl.hostname}:${publicUrl.port || '443'}`])
  return async (c, next) => {
    const host = (c.req.header('host') ?? '').toLowerCase()
    if (hosts.has(host) || c.req.path === '/healthz') return next()
    const message = `This gateway is reached at ${publicUrl.origin}`
    if (/\btext\/html\b/.test(c.req.header('accept') ?? '')) return c.text(`${message}\n`, 421)
    const problem = problemOf(new Fault('PROTOCOL_VIOLATION', message), c.var.requestId)
    return c.body(JSON.stringify({ ...problem, status: 421 }), 421, { 'Content-Type': problemType })
  }
}

/**
 * A change comes from our own pages: Origin, and Sec-Fetch-Site where the browser sends it, must say so.
 * Calls without cookies prove themselves otherwise: the API by its bearer, back-channel logout by its token;
 * for those only a browser on a foreign page is refused.
 */
export function ownOriginOnly({ publicUrl }: WebDeps, withoutCookies: (path: string) => boolean): Guard {
  return async (c, next) => {
    if (isSafe(c.req.method)) return next()
    const origin = c.req.header('origin')
    const site = c.req.header('sec-fetch-site')
    const foreign =
      (origin !== undefined && origin !== publicUrl.origin) || (site !== undefined && site !== 'same-origin')
    const silent = origin === undefined && site === undefined
    if (foreign || (silent && !withoutCookies(c.req.path))) {
      throw new Fault('ORIGIN_REFUSED', 'This form did not come from a page of this gateway.')
    }
    return next()
  }
}

/**
 * A page elsewhere may lead here by a link, and no other way: not load us into a frame or as a picture, nor fetch ahead or
 * behind the person's back (W3C Fetch Metadata). Applications are neighbours, so our cookie comes along with what they load;
 * and a redirect is not held back by `frame-ancestors`, so that a hidden frame could go the whole way into an application.
 */
export function byLinkOnly(isPublic: (path: string) => boolean): Guard {
  return async (c, next) => {
    const site = c.req.header('sec-fetch-site')
    const isOurs = site === undefined || site === 'same-origin' || site === 'none'
    if (!isOurs && isSafe(c.req.method) && !isLink(c.req.raw.headers) && !isPublic(c.req.path)) {
      throw new Fault('ORIGIN_REFUSED', 'A page elsewhere may lead here by a link only.')
    }
    return next()
  }
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

function isLink(headers: Headers): boolean {
  const isFetchedAhead = (headers.get('sec-purpose') ?? '').startsWith('prefetch')
  return headers.get('sec-fetch-mode') === 'navigate' && headers.get('sec-fetch-dest') === 'document' && !isFetchedAhead
}
