import type { JWTPayload } from 'jose'
import { html, raw } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'
import type { Service } from './board-services.ts'

/** Who looks, as the gateway has signed it. */
export interface Reader {
  readonly claims: JWTPayload
}

type Fragment = ReturnType<typeof html>
/** No part of these pages is waited for. */
export type PageText = HtmlEscapedString

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: #8884; }
body { max-width: 56rem; margin: 0 auto; padding: 1.5rem; }
header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; border-bottom: 1px solid var(--line); }
header strong { font-size: 1.2rem; } header span { margin-left: auto; opacity: .75; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th:has(+ th:last-child) { text-align: right; } th, td { text-align: left; padding: .5rem .75rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; } td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.up::before, .slow::before, .down::before { content: '●'; margin-right: .4em; }
.up::before { color: #2a8; } .slow::before { color: #d90; } .down::before { color: #d33; }
input, button { font: inherit; padding: .3rem .7rem; } #log { white-space: pre-wrap; font-family: ui-monospace, monospace; }
`

function page(title: string, reader: Reader | undefined, body: Fragment): PageText {
  const who = reader === undefined ? '' : html`<span>${nameOf(reader)} as ${text(reader.claims['role'])}</span>`
  return html`<!doctype html>
    <html lang="en">
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width" />
      <title>${title} – status board</title>
      <style>
        ${raw(style)}
      </style>
      <header>
        <strong>Status board of the shop</strong> <a href="/">Board</a> <a href="/me">Who am I</a>
        <a href="/headers">Headers</a> <a href="/echo">Echo</a> ${who}
      </header>
      ${body}
    </html> ` as PageText
}

const boardScript = `
const live = document.querySelector('#live')
const source = new EventSource('/events')
source.onopen = () => (live.textContent = 'Live.')
source.onmessage = ({ data }) => {
  for (const one of JSON.parse(data)) {
    const row = document.querySelector('[data-service="' + one.name + '"]')
    row.querySelector('.number').textContent = one.answersInMs === null ? '–' : one.answersInMs + ' ms'
    if (one.acknowledgedBy !== null) row.querySelector('.who').textContent = one.acknowledgedBy
  }
}
source.onerror = () => {
  source.close()
  live.textContent = 'The live updates have ended. Reload the page to see why.'
}
`

export function boardPage(reader: Reader, services: readonly Service[]): PageText {
  const body = html` <table>
      <thead>
        <tr>
          <th>Service</th>
          <th>State</th>
          <th>Answers in</th>
          <th>Looked after by</th>
        </tr>
      </thead>
      <tbody>
        ${services.map(row)}
      </tbody>
    </table>
    <p id="live">Waiting for live updates …</p>
    <script>
      ${raw(boardScript)}
    </script>`
  return page('Board', reader, body)
}

function row({ name, state, answersInMs, acknowledgedBy }: Service): Fragment {
  const button = html`<form method="post" action="/acknowledge">
    <button name="service" value="${name}">I look after it</button>
  </form>`
  return html` <tr data-service="${name}">
    <td>${name}</td>
    <td class="${state}">${state}</td>
    <td class="number">${answersInMs === null ? '–' : `${answersInMs} ms`}</td>
    <td class="who">${acknowledgedBy ?? (state === 'up' ? '' : button)}</td>
  </tr>`
}

export function mePage(reader: Reader): PageText {
  const { claims } = reader
  const rows = Object.entries(claims).map(([name, value]) => [name, saidAs(name, value)] as const)
  const body = html` <h1>${nameOf(reader)}</h1>
    <p>
      This application has no sign-in of its own. It knows this from the header <code>Curfew-Assertion</code>, which the
      gateway signs for each session, and which it has checked with the gateway’s published keys.
    </p>
    ${table(rows)}`
  return page('Who am I', reader, body)
}

export function headersPage(reader: Reader, pairs: readonly (readonly [string, string])[]): PageText {
  const body = html` <h1>What arrived here</h1>
    <p>Every header of this request. The gateway’s own cookie and token are not among them.</p>
    ${table(pairs)}`
  return page('Headers', reader, body)
}

const echoScript = `
const log = document.querySelector('#log')
const say = (line) => (log.textContent += line + '\\n')
const socket = new WebSocket('wss://' + location.host + '/socket')
const button = document.querySelector('button')
socket.onopen = () => {
  button.disabled = false
  say('connected')
}
socket.onmessage = ({ data }) => say('« ' + data)
socket.onclose = ({ code, reason }) => {
  button.disabled = true
  say('closed: ' + code + ' ' + reason)
}
document.querySelector('form').onsubmit = (event) => {
  event.preventDefault()
  const field = document.querySelector('#message')
  if (button.disabled) return
  say('» ' + field.value)
  socket.send(field.value)
  field.value = ''
}
`

export function echoPage(reader: Reader): PageText {
  const body = html` <h1>A WebSocket that says what you say</h1>
    <form><input id="message" aria-label="Message" autocomplete="off" autofocus /> <button disabled>Send</button></form>
    <div id="log"></div>
    <script>
      ${raw(echoScript)}
    </script>`
  return page('Echo', reader, body)
}

export function refusedPage(gateway: URL): PageText {
  const body = html`<h1>Come through the gateway</h1>
    <p>This application believes nobody who does not: <a href="${gateway.href}">${gateway.host}</a></p>`
  return page('Refused', undefined, body)
}

function table(rows: readonly (readonly [string, string])[]): Fragment {
  return html`<table>
    <tbody>
      ${rows.map(
        ([name, value]) =>
          html`<tr>
            <th>${name}</th>
            <td>${value}</td>
          </tr>`,
      )}
    </tbody>
  </table>`
}

export function nameOf({ claims }: Reader): string {
  return text(claims['name'] ?? claims['email'] ?? claims.sub)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Times are seconds (RFC 7519). */
function saidAs(name: string, value: unknown): string {
  if (typeof value === 'number' && ['exp', 'iat', 'nbf'].includes(name)) return new Date(value * 1000).toISOString()
  return Array.isArray(value) ? value.join(', ') : String(value)
}
