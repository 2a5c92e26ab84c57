import { html } from 'hono/html'
import type { HttpExchange } from '../../recording/http-timeline.ts'
import type { Html } from '../context.ts'
import { hasFailed, type HttpPageItems } from '../http-page-items.ts'
import { scaleOf, timingBar, timingKey, tookText } from './http-timing.ts'
import { chip, formatBytes } from './parts.ts'
import { clipped, type Clock } from './ssh-tables.ts'

interface Shown {
  readonly clock: Clock
  /** Where all of it is shown. */
  readonly hrefOf: (exchange: HttpExchange) => string
}

/** Requests as a person reads them: what was asked for when, and what came of it. */
export function requestTable({ exchanges, said }: HttpPageItems, shown: Shown): Html {
  const scaleMs = scaleOf(exchanges)
  const origins = new Set(exchanges.map(({ request }) => request?.origin))
  const words = [...said]
  const rows = exchanges.map((exchange) => {
    const before = words.splice(0, countUpTo(words, exchange.at))
    return html`${before.map((one) => saidRow(one, shown))}${requestRow(exchange, shown, scaleMs, origins.size > 1)}`
  })
  return html`<section class="card flat">
      <table class="requests">
        <thead>
          <tr>
            <th scope="col">At</th>
            <th scope="col">Request</th>
            <th scope="col">Answer</th>
            <th scope="col" class="wide num">Size</th>
            <th scope="col" class="wide num">Took</th>
            <th scope="col" class="wide"><span class="unseen">Waiting and receiving</span></th>
          </tr>
        </thead>
        <tbody>
          ${rows}${words.map((one) => saidRow(one, shown))}
        </tbody>
      </table>
    </section>
    ${exchanges.length > 0 && html`<div class="wide-only">${timingKey(scaleMs)}</div>`}`
}

function countUpTo(said: HttpPageItems['said'], at: number): number {
  const found = said.findIndex((one) => one.at > at)
  return found === -1 ? said.length : found
}

function saidRow({ at, what, text }: HttpPageItems['said'][number], { clock }: Shown): Html {
  return html`<tr class="${what === 'cut' ? 'end' : 'word'}">
    <td class="time line">${clock(at)}</td>
    <td colspan="5">${what === 'cut' ? '' : 'The gateway said: '}${clipped(text)}</td>
  </tr>`
}

function requestRow(exchange: HttpExchange, { clock, hrefOf }: Shown, scaleMs: number, withOrigin: boolean): Html {
  const { at, request, bytesDown, totalMs } = exchange
  const size = bytesDown === null ? '' : formatBytes(bytesDown)
  const took = totalMs === null ? '' : tookText(totalMs)
  return html`<tr class="${hasFailed(exchange) && 'err'}">
    <td class="time line">${clock(at)}</td>
    <td>
      <a class="address" href="${hrefOf(exchange)}"
        ><b>${clipped(request?.method ?? '')}</b> ${clipped(request?.url ?? '')}</a
      >${withOrigin && html`<span class="bind small">${clipped(request?.origin ?? '')}</span>`}${facts(exchange)}<span
        class="bind small narrow-only"
        >${[size, took].filter((part) => part !== '').join(', ')}${timingBar(exchange, scaleMs)}</span
      >
    </td>
    <td>${statusChip(exchange)}</td>
    <td class="wide num small">${size}</td>
    <td class="wide num small">${took}</td>
    <td class="wide bar">${timingBar(exchange, scaleMs)}</td>
  </tr>`
}

function facts(exchange: HttpExchange): Html {
  const { protocol, messages, bytesUp } = exchange
  const parts = [
    ...(protocol === null ? [] : [protocolName(protocol)]),
    ...(messages === null ? [] : [`messages: ${messages.up.count} up, ${messages.down.count} down`]),
    ...(bytesUp === null || bytesUp === 0 || protocol !== null ? [] : [`${formatBytes(bytesUp)} sent`]),
  ]
  const end = endText(exchange)
  return html`${parts.length > 0 && html`<span class="bind small">${clipped(parts.join(' · '))}</span>`}${end !== undefined && html`<span class="bind small">${clipped(end)}</span>`}`
}

export function protocolName(protocol: string): string {
  return protocol === 'websocket' ? 'WebSocket' : protocol
}

const endWords = {
  client: 'The client ended it.',
  target: 'The target ended it.',
  gate: 'The gateway ended it.',
  refused: 'The gateway refused it.',
} as const

/** Who ended an exchange before its time, and why; undefined when nobody did. */
export function endText({ result, code, why, protocol }: HttpExchange): string | undefined {
  // that is how a WebSocket ends
  const isUsual = result === 'ok' || result === null || (protocol !== null && code === null && why === null)
  if (isUsual) return undefined
  return [endWords[result], why ?? code ?? ''].join(' ').trim()
}

export function statusChip({ status, result, protocol }: HttpExchange): Html {
  if (status === null && result === null) return chip('wait', protocol === null ? 'goes on' : 'open')
  if (status === null) return chip('stop', 'no answer')
  const word = result === null ? ', goes on' : ''
  const tone = status >= 400 ? 'stop' : result === null ? 'wait' : status >= 300 ? 'plain' : 'go'
  return chip(tone, `${status}${word}`)
}
