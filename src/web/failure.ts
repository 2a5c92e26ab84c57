import { html } from 'hono/html'
import { asFault, type FaultCode } from '../kernel/fault.ts'
import type { Html, WebContext } from './context.ts'
import { faultStatus } from '../kernel/fault-status.ts'
import { challengeOf, problemType } from '../kernel/problem.ts'
import { query } from './html/parts.ts'
import type { Page } from './html/layout.ts'
import type { Site } from './site.ts'

/** What a failure says to whom it stopped. A bug says nothing of itself but the number of its log line. */
interface Telling {
  readonly status: NonNullable<Page['status']>
  readonly code: string
  readonly message: string
  readonly hint: string
}

/** The handler for everything that a route throws: a calm page, or a problem (RFC 9457) for the API. */
export function failureHandler({ deps, render, visitOf }: Site): (error: Error, c: WebContext) => Promise<Response> {
  return async (error, c) => {
    const telling = tell(error)
    if (telling.code === 'INTERNAL') {
      deps.log.error({ err: error, web: c.var.requestId, route: c.var.route }, 'a page failed')
    }
    const challenge = challengeOf(telling.code, telling.status, c.var.neededScope)
    if (challenge !== undefined) c.header('WWW-Authenticate', challenge)
    if (wantsProblem(c)) return problem(c, telling)
    // the frame needs the visitor, and that look-up may be what failed
    const visit = await visitOf(c).catch(() => undefined)
    const page = failurePage(c, deps.publicUrl, telling)
    return render(c, page, visit).catch(() => render(c, page, undefined))
  }
}

/** For `catch`: a second tap, or somebody was quicker. The page that it leads to tells how things stand. */
export function unlessAlready(...codes: readonly FaultCode[]): (error: unknown) => void {
  return (error) => {
    const code = asFault(error)?.code
    if (code === undefined || !codes.includes(code)) throw error
  }
}

function tell(error: Error): Telling {
  const fault = asFault(error)
  if (fault === undefined) {
    const hint = 'Try again; if it keeps failing, tell your operations people this number.'
    return { status: 500, code: 'INTERNAL', message: 'Something went wrong inside the gateway.', hint }
  }
  return { status: faultStatus[fault.code], code: fault.code, message: fault.message, hint: fault.hint }
}

function wantsProblem(c: WebContext): boolean {
  return c.req.path.startsWith('/api/') || !(c.req.header('accept') ?? '*/*').match(/text\/html|\*\/\*/)
}

function problem(c: WebContext, { status, code, message, hint }: Telling): Response {
  const body = { type: `urn:curfew:${code}`, title: message, status, detail: message, code, hint }
  c.header('Content-Type', problemType)
  return c.body(JSON.stringify({ ...body, requestId: c.var.requestId }), status)
}

function failurePage(c: WebContext, publicUrl: URL, { status, code, message, hint }: Telling): Page {
  const signIn = status === 401 || code === 'SIGN_IN_FAILED' || code === 'PROVIDER_UNREACHABLE'
  const next = signIn
    ? html`<a class="btn go" href="${query('/sign-in', { to: backTo(c, publicUrl) })}">Sign in</a>`
    : html`<a class="btn plain" href="/">My access</a>`
  const body = html`<h1>${message}</h1>
    <p class="lead">${hint}</p>
    ${whatTheyWrote(c)}
    <p class="next">${next}</p>
    <p class="small mono">${code} · ${c.var.requestId}</p>`
  return { title: message, narrow: true, status, body }
}

/** What took them long does not get lost with the form: the way back leads to an empty one. */
function whatTheyWrote(c: WebContext): Html | false {
  const words = ['reason', 'comment', 'policies']
    .map((name) => c.var.form?.asSent(name) ?? '')
    .find((text) => text !== '')
  if (words === undefined) return false
  return html`<label for="written">What you wrote <span class="optional">copy it, it is not kept</span></label>
    <textarea id="written" rows="4" readonly>${words}</textarea>`
}

/** After signing in again: the page whose form it was. A provider's page is none of ours. */
function backTo(c: WebContext, publicUrl: URL): string | undefined {
  const referer = URL.parse(c.req.header('referer') ?? '')
  if (referer?.origin !== publicUrl.origin) return undefined
  const { pathname, search } = referer
  return pathname.startsWith('/sign-in') || pathname === '/' ? undefined : `${pathname}${search}`
}
