import { html } from 'hono/html'
import { Fault } from '../../kernel/fault.ts'
import { peerAddress, type WebContext } from '../context.ts'
import { readCookie, staleCookies, writeCookie } from '../../kernel/cookies.ts'
import { flowCookiePrefix, sessionCookie } from '../cookies.ts'
import { readForm } from '../forms.ts'
import { createRateLimit } from '../rate-limit.ts'
import type { Site } from '../site.ts'

/** Who comes back too late is still taken to where they wanted to go, by another sign-in. */
const flowS = 12 * 3600
const returnToCharsMax = 2000

/** Sign-in at the identity provider, and out again. */
export function signInRoutes(site: Site): void {
  const { deps } = site
  const { browser } = deps.identity
  // An office has one address, and everybody there comes in the morning, with several tabs.
  const starts = createRateLimit(deps.clock, { burst: 300, perMs: 500 })
  // Of their own, so that who was let begin is let end.
  const ends = createRateLimit(deps.clock, { burst: 300, perMs: 500 })
  const notices = createRateLimit(deps.clock, { burst: 300, perMs: 100 })

  site.open('GET', '/sign-in', async (c) => {
    starts.take(peerAddress(c))
    const { redirect, flowCookie } = await browser.begin(returnPath(c.req.query('to')))
    for (const name of staleCookies(c.req.header('cookie'), flowCookiePrefix)) setCookie(c, name, '', 0)
    setCookie(c, flowName(redirect.searchParams.get('state')), flowCookie, flowS)
    return c.redirect(redirect.href, 303)
  })

  site.open('GET', '/sign-in/callback', async (c) => {
    ends.take(peerAddress(c))
    const cookies = c.req.header('cookie')
    const flow = flowName(c.req.query('state'))
    const place = browser.placeOfLate(readCookie(cookies, flow))
    if (place !== undefined) {
      setCookie(c, flow, '', 0)
      return c.redirect(`/sign-in?to=${encodeURIComponent(place)}`, 303)
    }
    const signedIn = await browser.complete(callbackUrl(c, deps.publicUrl), readCookie(cookies, flow), {
      address: peerAddress(c),
      userAgent: (c.req.header('user-agent') ?? '').slice(0, 200),
      sessionCookie: readCookie(cookies, sessionCookie),
    })
    setCookie(c, flow, '', 0)
    setCookie(c, sessionCookie, signedIn.sessionCookie, signedIn.expiresInMs / 1000)
    const returnTo = returnPath(signedIn.returnTo)
    return returnTo.startsWith('/open/') ? site.render(c, signedInFor(returnTo), undefined) : c.redirect(returnTo, 303)
  })

  site.open('POST', '/sign-out', async (c) => {
    const visit = await site.visitOf(c)
    c.header('Set-Cookie', writeCookie(sessionCookie, '', 0))
    if (visit === undefined) return c.redirect('/signed-out', 303)
    const atProvider = await browser.signOut(visit.visitor)
    return site.render(c, goingOn(atProvider), undefined)
  })

  site.open('GET', '/signed-out', (c) => site.render(c, signedOut, undefined))

  // OpenID Connect Back-Channel Logout 1.0, section 2.5: the provider calls, without a browser
  site.open('POST', '/sign-in/back-channel-logout', async (c) => {
    notices.take(peerAddress(c))
    const token = (await readForm(c)).text('logout_token', 16_384)
    if (token === '') throw new Fault('SIGN_IN_FAILED', 'There is no logout_token.')
    await browser.backChannelLogout(token)
    return c.body(null, 200)
  })
}

function setCookie(c: WebContext, name: string, value: string, maxAgeS: number): void {
  c.header('Set-Cookie', writeCookie(name, value, maxAgeS), { append: true })
}

/** Of what begins as a state, whoever says it. */
function flowName(state: string | null | undefined): string {
  return `${flowCookiePrefix}${/^[\w-]{8}/.exec(state ?? '')?.[0] ?? ''}`
}

/** A path of our own: never another host, never `//host`, never a way back into the sign-in itself. */
function returnPath(to: string | undefined): string {
  const inside = to !== undefined && to.length <= returnToCharsMax && /^\/(?![/\\])[!-~]*$/.test(to)
  return inside && !to.startsWith('/sign-in?') && !to.startsWith('/sign-in/') && to !== '/sign-in' ? to : '/'
}

/** The query as it came, on the address that the provider knows us by. */
function callbackUrl(c: WebContext, publicUrl: URL): URL {
  return new URL(`/sign-in/callback${new URL(c.req.url).search}`, publicUrl)
}

/** A page instead of a redirect: the provider's `form-action` need not allow one that leads on to an application's host. */
function signedInFor(returnTo: string) {
  const body = html`<h1>You are signed in</h1>
    <p class="lead">Going on to the application.</p>
    <p class="next"><a class="btn go" href="${returnTo}">Go on</a></p>`
  return { title: 'Signed in', narrow: true, goOnTo: returnTo, body }
}

/** A page instead of a redirect: `form-action 'self'` would stop one that leads from a form to the provider. */
function goingOn(atProvider: URL) {
  const body = html`<h1>You are signed out of Curfew</h1>
    <p class="lead">
      Sessions that hung on this sign-in have ended. Going on to sign you out at your identity provider, too.
    </p>
    <p class="next"><a class="btn plain" href="${atProvider.href}">Go on</a></p>`
  return { title: 'Signed out', narrow: true, goOnTo: atProvider.href, body }
}

const signedOut = {
  title: 'Signed out',
  narrow: true,
  body: html`<h1>You are signed out</h1>
    <p class="lead">Nothing of yours is open in this browser any more.</p>
    <p class="next"><a class="btn go" href="/sign-in">Sign in again</a></p>`,
}
