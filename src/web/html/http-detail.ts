import { html } from 'hono/html'
import type { HttpHeaders } from '../../recording/http-events.ts'
import type { HttpBody, HttpExchange, HttpMessages } from '../../recording/http-timeline.ts'
import type { Html } from '../context.ts'
import type { BodyText } from '../http-body-text.ts'
import { endText, protocolName, statusChip } from './http-table.ts'
import { tookText } from './http-timing.ts'
import { formatBytes } from './parts.ts'
import type { Clock } from './ssh-tables.ts'
import { clipped } from './ssh-tables.ts'

/** A body with what can be read of it, and where it is downloaded. */
export interface ShownBody {
  readonly body: HttpBody
  readonly text: BodyText | undefined
  readonly href: string
}

interface Shown {
  readonly clock: Clock
  readonly up: ShownBody | undefined
  readonly down: ShownBody | undefined
}

/** All that was recorded of one request. */
export function exchangeDetail(exchange: HttpExchange, { clock, up, down }: Shown): Html {
  const { request, headers, trailers, messages, protocol } = exchange
  return html`<section class="card">
      <p class="address big"><b>${clipped(request?.method ?? '')}</b> ${clipped(addressOf(exchange))}</p>
      ${factList(exchange, clock)}
    </section>
    ${headerSection('Request headers', request?.headers ?? [])} ${up && bodySection('What was sent', up)}
    ${headerSection(protocol === null ? 'Answer headers' : 'Headers of the upgrade', headers)}
    ${down && bodySection('What came back', down)} ${trailers.length > 0 && headerSection('Trailers', trailers)}
    ${messages !== null && messageSection(exchange, messages, clock)}`
}

function addressOf({ request }: HttpExchange): string {
  return request === null ? '' : `${request.origin}${request.url}`
}

function factList(exchange: HttpExchange, clock: Clock): Html {
  const { at, request, bytesUp, bytesDown, address, code } = exchange
  const end = endText(exchange)
  const facts: readonly (readonly [string, Html | string | false])[] = [
    ['Answer', html`${statusChip(exchange)} ${end !== undefined && clipped(end)}`],
    ['Code', code !== null && clipped(code)],
    ['Id', html`<code>${clipped(request?.id ?? '')}</code>`],
    ['Came', html`${clock(at)} from ${clipped(request?.from ?? '')}, HTTP/${request?.version ?? ''}`],
    ['Took', timesText(exchange)],
    [
      'Sizes',
      bytesUp !== null && bytesDown !== null && `${formatBytes(bytesUp)} sent, ${formatBytes(bytesDown)} received`,
    ],
    ['Answered by', address !== null && clipped(address)],
    ['Protocol', exchange.protocol !== null && clipped(protocolName(exchange.protocol))],
  ]
  return html`<dl>
    ${facts.map(
      ([name, value]) =>
        value !== false &&
        value !== '' &&
        html`<dt>${name}</dt>
          <dd class="time">${value}</dd>`,
    )}
  </dl>`
}

/** `25 ms: waited 15 ms, received for 10 ms` */
function timesText({ waitMs, totalMs, protocol }: HttpExchange): string {
  const waited = waitMs === null ? '' : `waited ${tookText(waitMs)}`
  if (totalMs === null) return [waited, 'not over'].filter((part) => part !== '').join(', ')
  if (waitMs === null) return tookText(totalMs)
  const rest = tookText(Math.max(0, totalMs - waitMs))
  return `${tookText(totalMs)}: ${waited}, ${protocol === null ? 'received for' : 'then open for'} ${rest}`
}

function headerSection(title: string, headers: HttpHeaders): Html {
  if (headers.length === 0)
    return html`<h2>${title}</h2>
      <p class="small">None was recorded.</p>`
  return html`<h2>${title}</h2>
    <section class="card flat">
      <table class="headers">
        <tbody>
          ${headers.map(
            ([name, value]) =>
              html`<tr>
                <th scope="row">${clipped(name)}</th>
                <td class="mono">${clipped(value)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>`
}

const leftOutWords = {
  longer: 'Only its beginning was recorded.',
  type: 'Bodies of its type are not recorded.',
  ended: 'It was not recorded to its end.',
} as const

function bodySection(title: string, { body, text, href }: ShownBody): Html {
  if (body.bytes === 0)
    return html`<h2>${title}</h2>
      <p class="small">Not recorded. ${body.leftOut === 'type' ? leftOutWords.type : ''}</p>`
  const kind = [body.type ?? 'no type', ...(body.encoding === null ? [] : [body.encoding])].join(', ')
  const left = body.leftOut === null ? '' : leftOutWords[body.leftOut]
  return html`<h2>${title}</h2>
    <section class="card">
      <p class="small still">
        ${clipped(kind)}, ${formatBytes(body.bytes)} recorded. ${left}
        <a href="${href}" download>Download as it passed</a>
      </p>
      ${bodyWords(text)}
    </section>`
}

function bodyWords(text: BodyText | undefined): Html {
  if (text === undefined) return html`<p class="small">It is no text that can be shown here.</p>`
  // in the same line: white space inside counts
  return html`<pre class="body" tabindex="0">${visible(text.text)}</pre>
    ${text.cut && html`<p class="small">That is only its beginning.</p>`}`
}

const misleading = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu // oxlint-disable-line no-control-regex -- they are looked for

/** As `clipped`, without the cut. */
function visible(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(misleading, '\uFFFD')
}

/** @see RFC 6455, section 11.8 */
const opcodes: Readonly<Record<number, string>> = {
  0: 'continuation',
  1: 'text',
  2: 'binary',
  8: 'close',
  9: 'ping',
  10: 'pong',
}
const directions = { up: '↑ to the target', down: '↓ from the target' } as const

function messageSection({ at: began }: HttpExchange, { list, leftOut }: HttpMessages, clock: Clock): Html {
  if (list.length === 0)
    return html`<h2>Messages</h2>
      <p class="small">None passed, as far as it is on disk.</p>`
  return html`<h2>Messages</h2>
    <section class="card flat">
      <table class="messages">
        <thead>
          <tr>
            <th scope="col">At</th>
            <th scope="col" class="num">After</th>
            <th scope="col">Direction</th>
            <th scope="col">Kind</th>
            <th scope="col" class="num">Size</th>
          </tr>
        </thead>
        <tbody>
          ${list.map(
            ({ at, direction, opcode, bytes }) =>
              html`<tr>
                <td class="time line">${clock(at)}</td>
                <td class="num">${tookText(Math.max(0, at - began) * 1000)}</td>
                <td>${directions[direction]}</td>
                <td>${opcodes[opcode] ?? `opcode ${opcode}`}</td>
                <td class="num">${formatBytes(bytes)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>
    <p class="small">
      Contents of messages are not recorded.${leftOut > 0 && ` ${leftOut} more passed; the export has them.`}
    </p>`
}
