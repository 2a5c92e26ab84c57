import { wayCookiePrefix, type AppPlace, type AppSignIn } from '../../identity/apps.ts'
import { readCookie, staleCookies, writeCookie } from '../../kernel/cookies.ts'
import { asFault, Fault, type FaultCode } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { isForPeople, pairs, redirect, refuse, type Refusal } from './answers.ts'
import type { Arrival } from './arrival.ts'
import { corsHeaders } from './cross-origin.ts'
import { isHttp2 } from './front.ts'
import type { Known } from './identify.ts'

export interface ReceptionDeps {
  readonly apps: AppSignIn
  /** Of the gateway's own pages. */
  readonly publicUrl: URL
  /** Why the session of such a request was ended by the gate, if it was. */
  readonly whyEnded: (known: Known, place: AppPlace) => Fault | undefined
  readonly log: Log
  readonly metrics: Metrics
}

/** A request whose head could not be read. */
type Stranger = Pick<Arrival, 'request' | 'response' | 'requestId'>

/** Paths of the gateway itself at applications' hosts. */
export const ownPaths = '/.curfew/'

/** Another request may lead to access. */
const mayAskAgain: ReadonlySet<FaultCode> = new Set([
  ...([
    'NO_GRANT',
    'GRANT_USED_UP',
    'REQUEST_WAIT_OVER',
    'REQUEST_DENIED',
    'REQUEST_LAPSED',
    'REQUEST_CLOSED',
  ] as const),
])

/** Speaks with whoever is not let in (yet): leads people through the gateway's own pages, tells programs what is missing. */
export class Reception {
  readonly #deps: ReceptionDeps

  constructor(deps: ReceptionDeps) {
    this.#deps = deps
  }

  /** A browser is sent through the gateway's own pages, and comes back to where it wanted to go. */
  askToSignIn(arrival: Arrival): void {
    const { request, requestId, resource } = arrival
    if (isForPeople(request) && (request.method === 'GET' || request.method === 'HEAD')) {
      return this.#sendThroughPages(arrival, null)
    }
    const fault = new Fault('SIGN_IN_REQUIRED', `${resource.name} is for people who are signed in.`, {
      hint: 'Open it in a browser, or send an access token: Authorization: Bearer curfew_…',
    })
    const link = { url: new URL(`/open/${resource.name}`, this.#deps.publicUrl), text: 'Sign in' }
    this.refuse(arrival, { fault, requestId, link })
  }

  #sendThroughPages(arrival: Arrival, role: string | null): void {
    const { to, headers } = this.#throughPages(arrival, role)
    redirect(arrival.request, arrival.response, to.href, headers)
  }

  /** The way through the gateway's own pages and back to what was asked for, and the cookie that it takes. */
  #throughPages({ request, place, head }: Arrival, role: string | null) {
    const returnTo = head.path.startsWith(ownPaths) || head.method !== 'GET' ? '/' : head.path
    const { state, cookie } = this.#deps.apps.begin(place, returnTo)
    const to = new URL(`/open/${place.resource}`, this.#deps.publicUrl)
    to.search = String(new URLSearchParams({ state, host: place.host, ...(role !== null && { role }) }))
    const headers = [
      ['Set-Cookie', writeCookie(cookie.name, cookie.value, cookie.maxAgeS)] as const,
      ...staleCookies(request.headers.cookie, wayCookiePrefix).map(
        (name) => ['Set-Cookie', writeCookie(name, '', 0)] as const,
      ),
    ]
    return { to, headers }
  }

  /** The gate said no. */
  refuseEntry(arrival: Arrival, known: Known, error: unknown): void {
    const fault = asFault(error)
    if (fault === undefined || !mayAskAgain.has(fault.code)) throw error
    const { request, place } = arrival
    if (fault.code === 'NO_GRANT' || fault.code === 'REQUEST_WAIT_OVER') {
      const ended = this.#deps.whyEnded(known, place)
      if (ended !== undefined) return this.sayEnded(arrival, known, ended)
      if (known.entry !== null && isForPeople(request) && (request.method === 'GET' || request.method === 'HEAD')) {
        return this.#sendThroughPages(arrival, known.role)
      }
    }
    this.refuse(arrival, { fault, requestId: arrival.requestId, link: this.#askLink(place.resource, known.role) })
  }

  /** The session that this request belonged to was ended; it says why, and offers to ask again. */
  sayEnded(arrival: Arrival, known: Known, fault: Fault): void {
    const { request, requestId, resource } = arrival
    const link = this.openLink(resource.name, known.role)
    if (!isForPeople(request)) return void this.refuse(arrival, { fault, requestId, link })
    const { to, headers } = this.#throughPages(arrival, known.role)
    this.refuse(arrival, { fault, requestId, headers, link: { ...link, url: to } })
  }

  /** For what a role does not cover: there may be another. */
  chooseLink(resource: string): NonNullable<Refusal['link']> {
    return { url: new URL(`/open/${resource}?choose=yes`, this.#deps.publicUrl), text: 'Choose a role' }
  }

  openLink(resource: string, role: string): NonNullable<Refusal['link']> {
    const url = new URL(`/open/${resource}`, this.#deps.publicUrl)
    url.searchParams.set('role', role)
    return { url, text: 'Open again, or ask again' }
  }

  #askLink(resource: string, role: string): NonNullable<Refusal['link']> {
    return {
      url: new URL(`/ask?${new URLSearchParams({ resource, role })}`, this.#deps.publicUrl),
      text: 'Ask for access',
    }
  }

  ownPath(arrival: Arrival): void {
    const { request, response, head, place } = arrival
    const { pathname, searchParams } = new URL(head.path, arrival.origin)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new Fault('NOT_FOUND', 'There is no such page.')
    }
    if (pathname !== '/.curfew/enter') throw new Fault('NOT_FOUND', 'There is no such page.')
    const ticket = searchParams.get('ticket')
    if (ticket === null) return this.#sendThroughPages(arrival, searchParams.get('role'))
    const { cookie, done, returnTo } = this.#deps.apps.enter(place, ticket, (name) =>
      readCookie(request.headers.cookie, name),
    )
    redirect(request, response, returnTo, [
      ['Set-Cookie', writeCookie(cookie.name, cookie.value, cookie.maxAgeS)],
      ['Set-Cookie', writeCookie(done, '', 0)],
    ])
  }

  fail(arrival: Arrival | Stranger, error: unknown): void {
    const { request, requestId } = arrival
    const fault = asFault(error)
    if (fault === undefined) this.#deps.log.error({ error, requestId }, 'a request to an application failed')
    this.refuse(arrival, {
      fault: fault ?? new Fault('STORE_FAILED', 'Something went wrong inside the gateway.'),
      requestId,
      link: fault && 'head' in arrival ? this.#whereToMend(fault, arrival) : undefined,
      // A head that can be read in two ways says nothing certain about where the next one begins.
      close: !isHttp2(request) && (fault?.code === 'PROTOCOL_VIOLATION' || fault?.code === 'TOO_LARGE'),
    })
  }

  #whereToMend({ code }: Fault, { origin, resource }: Arrival): Refusal['link'] {
    switch (code) {
      case 'SIGN_IN_FAILED':
        return { url: new URL(origin), text: 'Try again' }
      case 'ORIGIN_REFUSED':
        return { url: new URL(origin), text: `Open ${resource.name}` }
      case 'ROLE_REQUIRED':
      case 'ROLE_UNKNOWN':
        return this.chooseLink(resource.name)
      case 'TOKEN_REFUSED':
      case 'INSUFFICIENT_SCOPE':
        return { url: new URL('/sign-ins', this.#deps.publicUrl), text: 'Your tokens' }
      default:
        return undefined
    }
  }

  refuse(arrival: Arrival | Stranger, refusal: Refusal): number {
    this.#deps.metrics.add('curfew_http_refused_total', { code: refusal.fault.code })
    const cors = 'head' in arrival ? pairs(corsHeaders(arrival.head, arrival.resource.cors)) : []
    return refuse(arrival.request, arrival.response, { ...refusal, headers: [...(refusal.headers ?? []), ...cors] })
  }
}
