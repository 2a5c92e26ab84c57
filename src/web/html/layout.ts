import { html } from 'hono/html'
import type { AssetHrefs } from '../assets.ts'
import type { Html } from '../context.ts'

export type NavKey =
  | 'access'
  | 'approvals'
  | 'reviews'
  | 'sessions'
  | 'recordings'
  | 'audit'
  | 'reports'
  | 'locks'
  | 'notifications'
  | 'sign-ins'

/** Who is signed in, and which pages are theirs. */
export interface Chrome {
  readonly name: string
  readonly toDecide: number
  /** Null: they review nothing. */
  readonly toReview: number | null
  readonly reviewer: boolean
  readonly operator: boolean
}

export interface Page {
  readonly title: string
  readonly body: Html
  readonly current?: NavKey
  /** One column for reading and deciding, also on a phone. */
  readonly narrow?: boolean
  /** For somebody who came by a link, to do one thing: only the way to the rest is on top. */
  readonly slim?: boolean
  /** Another one tells somebody in whose hands the page is that something changed. */
  readonly version?: string
  /** The page renews itself when something of this topic changes (see events.ts). */
  readonly topic?: string
  /** With the script: look again after so many seconds, while the page is looked at. */
  readonly renewS?: number
  /** Without the script: load again after so many seconds. */
  readonly refreshS?: number
  /** Without the script or with it: go on to this address at once. */
  readonly goOnTo?: string
  /** Terminals are played on it: with the player's files, and its WebAssembly allowed (see guards.ts). */
  readonly playsTerminals?: boolean
  readonly status?: 200 | 201 | 400 | 401 | 403 | 404 | 408 | 409 | 410 | 413 | 422 | 429 | 500 | 502 | 503 | 507
}

const mark = html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">
  <circle cx="12" cy="12" r="9" />
  <path d="M12 7v5l3 2" />
</svg>`

/**
 * The whole document.
 * @param assets addresses that change with the content.
 * @param chrome undefined for a visitor who is not signed in: then only the name of the product is on top.
 */
export function layout(page: Page, assets: AssetHrefs, chrome: Chrome | undefined): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${page.title} · Curfew</title>
        ${page.playsTerminals === true && html`<link rel="stylesheet" href="${assets.playerCss}" />`}
        <link rel="stylesheet" href="${assets.css}" />
        <link rel="icon" href="${assets.icon}" type="image/svg+xml" />
        <script type="module" src="${assets.js}"></script>
        ${
          page.playsTerminals === true &&
          html`<script defer src="${assets.playerJs}"></script>
            <script type="module" src="${assets.replayJs}"></script>`
        }
        ${page.refreshS !== undefined && html`<noscript><meta http-equiv="refresh" content="${page.refreshS}" /></noscript>`}
        ${page.goOnTo !== undefined && html`<meta http-equiv="refresh" content="0; url=${page.goOnTo}" />`}
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        ${chrome === undefined ? bareTop() : page.slim === true ? slimTop(chrome) : top(chrome, page.current)}
        <main
          id="main"
          class="${page.narrow ? 'narrow' : 'wide'}"
          data-topic="${page.topic ?? ''}"
          data-renew="${page.renewS ?? ''}"
          data-version="${page.version ?? ''}"
        >
          ${page.body}
        </main>
      </body>
    </html> `
}

function bareTop(): Html {
  return html`<header class="top">
    <div class="in"><a class="brand" href="/">${mark}Curfew</a></div>
  </header>`
}

function slimTop(chrome: Chrome): Html {
  return html`<header class="top slim">
    <div class="in">
      <a class="brand" href="/">${mark}Curfew</a>
      <nav aria-label="Main">
        <a href="/approvals">Approvals${chrome.toDecide > 0 && countOf(chrome)}</a>
      </nav>
      <div class="me"><span class="who" title="${chrome.name}">${chrome.name}</span></div>
    </div>
  </header>`
}

function countOf({ toDecide }: Chrome): Html {
  return html` <span class="count" aria-label="${toDecide} to decide">${toDecide}</span>`
}

function top(chrome: Chrome, current: NavKey | undefined): Html {
  const link = (key: NavKey, href: string, text: string, count = 0) =>
    html`<a href="${href}" ${current === key ? html` aria-current="page"` : ''}
      >${text}${count > 0 && html` <span class="count" aria-label="${count} to decide">${count}</span>`}</a
    >`
  return html`<header class="top">
    <div class="in">
      <a class="brand" href="/">${mark}Curfew</a>
      <nav aria-label="Main">
        ${link('access', '/', 'My access')} ${link('approvals', '/approvals', 'Approvals', chrome.toDecide)}
        ${chrome.toReview !== null && link('reviews', '/reviews', 'Reviews', chrome.toReview)}
        ${link('sessions', '/sessions', 'Sessions')} ${link('recordings', '/recordings', 'Recordings')}
        ${chrome.reviewer && link('audit', '/audit', 'Audit')}
        ${(chrome.reviewer || chrome.operator) && link('reports', '/reports', 'Reports')}
        ${chrome.operator && link('locks', '/locks', 'Locks')}
        ${chrome.operator && link('notifications', '/operations/notifications', 'Notifications')}
        ${link('sign-ins', '/sign-ins', 'Sign-ins')}
      </nav>
      <div class="me">
        <span class="who" title="${chrome.name}">${chrome.name}</span>
        <form method="post" action="/sign-out"><button class="quiet">Sign out</button></form>
      </div>
    </div>
  </header>`
}
