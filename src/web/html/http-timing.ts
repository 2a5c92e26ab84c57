import { html } from 'hono/html'
import type { HttpExchange } from '../../recording/http-timeline.ts'
import type { Html } from '../context.ts'

/** How long the longest bar stands for: of those that belong to one answer, not of streams that are open for hours. */
export function scaleOf(exchanges: readonly HttpExchange[]): number {
  const usual = exchanges.filter(endsByItself)
  const times = (usual.length > 0 ? usual : exchanges).map(({ totalMs }) => totalMs ?? 0)
  times.sort((left, right) => left - right)
  // one that took far longer than all others must not make them vanish
  const ninth = times[Math.floor((times.length - 1) * 0.9)] ?? 0
  const longest = times.at(-1) ?? 0
  return Math.max(1, Math.min(longest, ninth * 3))
}

function endsByItself({ protocol, headers, result }: HttpExchange): boolean {
  const type = headers.find(([name]) => name === 'content-type')?.[1] ?? ''
  return protocol === null && result !== null && !type.startsWith('text/event-stream')
}

const widthUnits = 1000
const leastUnits = 6

/**
 * Waiting for the answer, then receiving it. Longer than the scale: it goes to the edge, and its parts are as they are
 * to each other. None for an upgrade.
 */
export function timingBar({ waitMs, totalMs, protocol }: HttpExchange, scaleMs: number): Html {
  if (protocol !== null) return html``
  const wholeMs = Math.max(scaleMs, totalMs ?? 0)
  const units = (ms: number) => Math.min(widthUnits, Math.round((ms / wholeMs) * widthUnits))
  const end = Math.max(leastUnits, units(totalMs ?? waitMs ?? 0))
  const waited = Math.min(end, waitMs === null ? end : units(waitMs))
  return html`<svg class="timing" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="waited" x="0" y="0" width="${waited}" height="10" />
    <rect class="received" x="${waited}" y="0" width="${end - waited}" height="10" />
  </svg>`
}

/** What the bars of a page mean. */
export function timingKey(scaleMs: number): Html {
  return html`<p class="small">
    Bars: <span class="swatch waited"></span> waiting for the answer, <span class="swatch received"></span> receiving
    it; a whole line is ${tookText(scaleMs)}.
  </p>`
}

/** `3.2 ms`, `840 ms`, `12.0 s`, `2 h 5 min` */
export function tookText(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
