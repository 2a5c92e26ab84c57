import { approvalWords } from '../../policy/approval.ts'
import { html } from 'hono/html'
import { formatLeft } from '../../kernel/durations.ts'
import type { Approval } from '../../policy/approval.ts'
import type { Grant, Request } from '../../access/states.ts'
import type { Html } from '../context.ts'
import type { Show } from './show.ts'

/** The path of something of ours; every part is a name or an id. */
export function path(...segments: readonly string[]): string {
  return `/${segments.map(encodeURIComponent).join('/')}`
}

export function query(base: string, fields: Readonly<Record<string, string | number | undefined>>): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined && value !== '') params.set(name, `${value}`)
  return params.size === 0 ? base : `${base}?${params.toString()}`
}

export type Tone = 'go' | 'stop' | 'wait' | 'plain'

export function chip(tone: Tone, text: string): Html {
  return html`<span class="chip ${tone}">${text}</span>`
}

/** Says what a person can do where there is nothing to see. */
export function empty(text: string, action?: { href: string; text: string }): Html {
  return html`<div class="card empty">
    <p>${text}</p>
    ${action && html`<a class="btn plain" href="${action.href}">${action.text}</a>`}
  </div>`
}

export function notice(tone: Tone, text: Html | string): Html {
  return html`<p class="notice ${tone}" role="status">${text}</p>`
}

/** Something to copy: a button appears when the script runs; without it the text can be selected. */
export function copyable(text: string, label: string): Html {
  return html`<div class="copy">
    <code tabindex="0">${text}</code
    ><button type="button" data-copy="${text}" aria-label="Copy ${label}" hidden>Copy</button>
  </div>`
}

/** Somebody's own words, line by line. */
export function words(text: string): Html {
  return html`<span class="words">${text}</span>`
}

/** A form that does one thing. */
export function action(href: string, text: string, kind: 'plain' | 'go' | 'stop' = 'plain', about?: string): Html {
  return html`<form method="post" action="${href}">
    <button class="btn ${kind}" ${about === undefined ? '' : html` aria-label="${text}: ${about}"`}>${text}</button>
  </form>`
}

/** First in a form whose buttons say different things: Enter in a field would press the first of them (HTML, "Implicit submission"). */
export const noneByEnter: Html = html`<button disabled hidden>None</button>`

/** `nobody, at once` or `2 of dba, sre-leads` */
export function needs(approval: Approval): string {
  if (approval.kind === 'none') return 'nobody, at once'
  return approvalWords(approval)
}

const requestTones: Readonly<Record<Request['state'], Tone>> = {
  requested: 'wait',
  approved: 'go',
  denied: 'stop',
  cancelled: 'plain',
  lapsed: 'plain',
}
const requestWords: Readonly<Record<Request['state'], string>> = {
  requested: 'waits for a decision',
  approved: 'approved',
  denied: 'refused',
  cancelled: 'called off',
  lapsed: 'lapsed',
}

export function requestChip(request: Request): Html {
  return chip(requestTones[request.state], requestWords[request.state])
}

/** How a grant stands, or how it ended. */
export function grantChip(grant: Grant): Html {
  const words: Readonly<Record<Grant['state'], readonly [Tone, string]>> = {
    scheduled: ['wait', 'scheduled'],
    active: ['go', 'open'],
    expired: ['plain', 'ended on time'],
    revoked: ['stop', 'revoked'],
    ended: ['plain', 'handed back'],
  }
  return chip(...words[grant.state])
}

/** A countdown that is right when it leaves the server; the script keeps it so. */
export function countdown(show: Show, expiresAt: number): Html {
  const leftMs = Math.max(0, expiresAt - show.now)
  return html`<strong data-left-until="${expiresAt}">${formatLeft(leftMs)}</strong>`
}

export function progress(show: Show, startsAt: number, expiresAt: number): Html {
  const wholeS = Math.max(1, Math.round((expiresAt - startsAt) / 1000))
  const leftS = Math.max(0, Math.min(wholeS, Math.round((expiresAt - show.now) / 1000)))
  const late = leftS < Math.min(300, wholeS / 4)
  return html`<progress
    class="left ${late && 'late'}"
    max="${wholeS}"
    value="${leftS}"
    data-progress-until="${expiresAt}"
    aria-label="Time left"
  >
    ${formatLeft(leftS * 1000)} left
  </progress>`
}

/** A sum of bytes for people: `214 B`, `3.1 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[power]}`
}
