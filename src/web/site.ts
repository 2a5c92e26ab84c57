import type { Context, MiddlewareHandler } from 'hono'
import { displayName } from '../identity/person.ts'
import { Fault } from '../kernel/fault.ts'
import type { Assets } from './assets.ts'
import { peerAddress, type Visit, type WebApp, type WebContext, type WebEnv } from './context.ts'
import { readCookie } from '../kernel/cookies.ts'
import { sessionCookie, zoneCookie } from './cookies.ts'
import type { WebDeps } from './deps.ts'
import { readForm, type Fields } from './forms.ts'
import { layout, type Chrome, type Page } from './html/layout.ts'
import { createShow, readZone, type Show } from './html/show.ts'
import { query } from './html/parts.ts'
import type { Auditor } from './auditor.ts'

type Answer = Response | Promise<Response>

/** What the page files build on: routes for people who are signed in, and the frame around every page. */
export interface Site {
  readonly deps: WebDeps
  readonly app: WebApp
  readonly auditor: Auditor
  /** A GET page. Who is not signed in goes to sign in, and comes back. */
  page(pattern: string, answer: (visit: Visit) => Answer): void
  /** A POST form. Who is not signed in is told so: their form is not replayed for them. */
  form(pattern: string, answer: (visit: Visit, fields: Fields) => Answer): void
  /** For everybody. */
  open(method: 'GET' | 'POST', pattern: string, answer: (c: WebContext) => Answer): void
  readonly visitOf: (c: WebContext) => Promise<Visit | undefined>
  readonly render: (c: WebContext, page: Page, visit: Visit | undefined) => Promise<Response>
  show(c: WebContext): Show
}

export function createSite(app: WebApp, deps: WebDeps, assets: Assets, auditor: Auditor): Site {
  const show = (c: WebContext) => createShow(deps.clock.now(), readZone(readCookie(c.req.header('cookie'), zoneCookie)))

  async function visitOf(c: WebContext): Promise<Visit | undefined> {
    const visitor = await deps.identity.browser.visitor(readCookie(c.req.header('cookie'), sessionCookie))
    if (visitor === undefined) return undefined
    return { c, visitor, person: visitor.person, address: peerAddress(c), now: deps.clock.now(), show: show(c) }
  }

  async function visitorOf(c: WebContext): Promise<Visit> {
    const visit = await visitOf(c)
    if (visit !== undefined) return visit
    throw new Fault('SIGN_IN_REQUIRED', 'You are not signed in any more; nothing was done.', {
      hint: 'Sign in, and send it again.',
    })
  }

  async function render(c: WebContext, page: Page, visit: Visit | undefined): Promise<Response> {
    const chrome = visit && (await chromeFor(visit))
    if (page.playsTerminals === true) c.set('playsTerminals', true)
    return c.html(layout(page, assets.hrefs, chrome), page.status ?? 200)
  }

  async function chromeFor({ person }: Visit): Promise<Chrome> {
    const { access } = deps
    const [waiting, statements, ...toReview] = await Promise.all([
      access.waitingFor(person),
      access.questions.countFor(person),
      access.reviews.waiting(person),
      access.campaigns.waiting(person),
    ])
    return {
      name: displayName(person),
      toDecide: waiting.length + statements,
      toReview: toReview.every((one) => one === null)
        ? null
        : toReview.reduce<number>((sum, one) => sum + (one ?? 0), 0),
      reviewer: access.isReviewer(person),
      operator: access.isOperator(person),
    }
  }

  return {
    deps,
    app,
    auditor,
    visitOf,
    render,
    show,
    page(pattern, answer) {
      app.get(pattern, named(pattern), async (c) => {
        const visit = await visitOf(c)
        if (visit !== undefined) return answer(visit)
        // A page that looks again by itself: the provider would not answer a script, and nobody is to be signed in unasked.
        if (c.req.header('sec-fetch-dest') === 'empty') {
          throw new Fault('SIGN_IN_REQUIRED', 'You are not signed in any more.', { hint: 'Sign in to see this page.' })
        }
        const { pathname, search } = new URL(c.req.url)
        return c.redirect(query('/sign-in', { to: pathname === '/' ? undefined : `${pathname}${search}` }), 303)
      })
    },
    form(pattern, answer) {
      app.post(pattern, named(pattern), async (c) => {
        // First: it may take long to come, and what somebody wrote is shown to them when they are not signed in any more.
        const fields = await readForm(c)
        c.set('form', fields)
        return answer(await visitorOf(c), fields)
      })
    },
    open(method, pattern, answer) {
      app.on(method, pattern, named(pattern), (c: Context<WebEnv>) => answer(c))
    },
  }
}

function named(pattern: string): MiddlewareHandler<WebEnv> {
  return async (c, next) => {
    c.set('route', pattern)
    await next()
  }
}
