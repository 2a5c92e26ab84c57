import { Fault } from '../../kernel/fault.ts'
import type { HttpResource } from '../../resources/catalogue.ts'
import type { RequestHead } from './request-head.ts'
import type { RawHeaders } from './targets/target.ts'

type Cors = HttpResource['cors']

export interface OriginFacts {
  readonly method: string
  readonly headers: RawHeaders
  /** `https://` and the request's host, lower-case, without the usual port. */
  readonly ownOrigin: string
  /** Somebody is known by a cookie, which browsers send along by themselves; false: by a token, or not at all. */
  readonly byCookie: boolean
  readonly upgrade: boolean
  readonly cors: Cors
}

export type OriginVerdict = { readonly kind: 'own' } | { readonly kind: 'cors'; readonly origin: string } | Fault

const own = { kind: 'own' } as const

/**
 * Whether the page that sends a request may act as its person here. Applications are neighbours in one domain, so their
 * cookies are same-site for each other: SameSite keeps strangers out, not neighbours. Browsers say where a request comes from
 * in Sec-Fetch-* (W3C Fetch Metadata) and Origin (RFC 6454 section 7); scripts can set neither.
 *
 * 1. A WebSocket is not held back by CORS and may not carry Sec-Fetch-*: its Origin must be our own or allowed. Without one it
 *    is no browser, so a token will do, a cookie will not.
 * 2. A token does not come by itself: whoever holds it may use it from anywhere. Only an allowed origin may read the answer.
 * 3. Sec-Fetch-Site `same-origin` is our own page, `none` the person (address bar, bookmark).
 * 4. From anywhere else a link may lead here: a top-level GET or HEAD navigation. Not into a frame (clickjacking), not by a
 *    prefetch, which nobody clicked, not with a form's POST.
 * 5. All else from elsewhere needs an Origin that `cors` allows: fetches, forms, images, scripts.
 * 6. Browsers from before Sec-Fetch-* (Safari until 16.3) send Origin with everything that can change something, and with
 *    fetches from elsewhere. `null` (sandboxed frames, redirects across origins) is nobody's. Without Origin only safe methods
 *    pass; a foreign frame or image cannot be told from a link there. curl with a cookie must send `Origin`.
 */
export function judgeOrigin(facts: OriginFacts): OriginVerdict {
  const seen = signsOf(facts.headers)
  if (seen === undefined) return refused('it names more than one origin')
  const { origin } = seen
  const isOwn = origin === facts.ownOrigin
  const isAllowed = origin !== undefined && facts.cors !== null && facts.cors.origins.includes(origin)
  const verdict = isAllowed ? ({ kind: 'cors', origin } as const) : undefined
  if (facts.upgrade) return judgeUpgrade(facts, origin, isOwn, verdict)
  if (!facts.byCookie) return verdict ?? own
  if (seen.site === 'same-origin' || seen.site === 'none') return own
  if (seen.site !== undefined) return verdict ?? judgeElsewhere(facts.method, seen)
  if (origin !== undefined) return isOwn ? own : (verdict ?? refused(`it comes from ${shown(origin)}`))
  return isSafe(facts.method) ? own : refused('it does not say where it comes from', sayOrigin)
}

interface Signs {
  readonly origin: string | undefined
  readonly site: string | undefined
  readonly mode: string | undefined
  readonly dest: string | undefined
  readonly isPrefetch: boolean
}

/** Undefined when there are several origins. */
function signsOf(headers: RawHeaders): Signs | undefined {
  let [origin, site, mode, dest]: (string | undefined)[] = []
  let isPrefetch = false
  for (let index = 0; index < headers.length; index += 2) {
    const value = headers[index + 1]!
    switch (headers[index]!.toLowerCase()) {
      case 'origin':
        if (origin !== undefined) return undefined
        origin = value
        break
      case 'sec-fetch-site':
        // Two different ones: neither is believed.
        site = site === undefined || site === value ? value : 'cross-site'
        break
      case 'sec-fetch-mode':
        mode = value
        break
      case 'sec-fetch-dest':
        dest = value
        break
      case 'sec-purpose':
      case 'purpose':
        isPrefetch ||= value.toLowerCase().startsWith('prefetch')
    }
  }
  return { origin, site, mode, dest, isPrefetch }
}

function judgeUpgrade(
  { byCookie }: OriginFacts,
  origin: string | undefined,
  isOwn: boolean,
  verdict: OriginVerdict | undefined,
): OriginVerdict {
  if (isOwn) return own
  if (verdict !== undefined) return verdict
  if (origin !== undefined) return refused(`it comes from ${shown(origin)}`)
  return byCookie ? refused('it does not say where it comes from', sayOrigin) : own
}

function judgeElsewhere(method: string, { mode, dest, isPrefetch, origin }: Signs): OriginVerdict {
  const isNavigation = mode === 'navigate' && dest === 'document' && (method === 'GET' || method === 'HEAD')
  if (isNavigation && !isPrefetch) return own
  if (isNavigation) return refused('a page of another application fetched it ahead')
  if (mode === 'navigate' && dest !== 'document') return refused('a page of another application shows it in a frame')
  return refused(origin === undefined ? 'a page of another application sent it' : `it comes from ${shown(origin)}`)
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

const sayOrigin = 'Send the header Origin with this application’s own address, or use a token instead of the cookie.'

function refused(why: string, hint = 'Open the application itself and try again.'): Fault {
  return new Fault('ORIGIN_REFUSED', `The request was refused: ${why}.`, { hint })
}

function shown(origin: string): string {
  return origin.length > 100 ? `${origin.slice(0, 100)}…` : origin
}

// ---- CORS

/** A browser's question (W3C Fetch, "CORS-preflight fetch"). It never carries cookies or tokens and never reaches the target. */
export function isPreflight({ method, headers }: Pick<RequestHead, 'method' | 'headers'>): boolean {
  return (
    method === 'OPTIONS' &&
    valueOf(headers, 'origin') !== undefined &&
    valueOf(headers, 'access-control-request-method') !== undefined
  )
}

export interface PreflightAnswer {
  readonly status: 204 | 403
  readonly headers: RawHeaders
}

/** 204 when the resource's setting lets this origin send such a request; 403 without a word about what it would let. */
export function answerPreflight(head: Pick<RequestHead, 'headers'>, cors: Cors, ownOrigin: string): PreflightAnswer {
  const origin = valueOf(head.headers, 'origin')
  const method = valueOf(head.headers, 'access-control-request-method') ?? ''
  const vary = ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers']
  // Browsers do not ask their own origin; programs that do get no for an answer neither.
  if (origin === ownOrigin) return { status: 204, headers: vary }
  if (origin === undefined || cors === null || !cors.origins.includes(origin)) return { status: 403, headers: vary }
  const asked = namesIn(valueOf(head.headers, 'access-control-request-headers') ?? '')
  const allowed = new Set(cors.headers.map((name) => name.toLowerCase()))
  const isCovered = simpleMethods.has(method) || cors.methods.includes(method)
  if (!isCovered || !asked.every((name) => allowed.has(name))) return { status: 403, headers: vary }
  const headers = ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true', ...vary]
  if (cors.methods.length > 0) headers.push('Access-Control-Allow-Methods', cors.methods.join(', '))
  if (cors.headers.length > 0) headers.push('Access-Control-Allow-Headers', cors.headers.join(', '))
  return { status: 204, headers: [...headers, 'Access-Control-Max-Age', String(cors.maxAgeS)] }
}

/** "CORS-safelisted methods" need no permission. */
const simpleMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST'])

/**
 * For every answer but those to preflights, refusals too: pages of an allowed origin may read it, cookies included. The
 * others say that it depends on who asks, as the browser may keep what one page got for another (W3C Fetch, "CORS protocol and HTTP caches").
 */
export function corsHeaders({ headers }: Pick<RequestHead, 'headers'>, cors: Cors): RawHeaders {
  if (cors === null) return []
  const origin = valueOf(headers, 'origin')
  if (origin === undefined || !cors.origins.includes(origin)) return ['Vary', 'Origin']
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true', 'Vary', 'Origin']
}

function namesIn(list: string): readonly string[] {
  const names = list.split(',').map((name) => name.trim().toLowerCase())
  return names.filter((name) => name !== '')
}

function valueOf(headers: RawHeaders, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]!.length === name.length && headers[index]!.toLowerCase() === name) return headers[index + 1]
  }
  return undefined
}
