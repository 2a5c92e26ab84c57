import { html } from 'hono/html'
import { formatDuration } from '../../kernel/durations.ts'
import { isoTime, type Instant } from '../../kernel/time.ts'
import type { Html } from '../context.ts'

/** Writes instants for one visitor: in their zone when it is known, else in UTC; the zone is always written. */
export interface Show {
  readonly now: Instant
  readonly zone: string
  /** `22 Nov 2026, 14:48 CET` */
  moment(at: Instant): Html
  /** `22 Nov 2026, 14:48:07 CET` */
  second(at: Instant): Html
  /** `14:48 CET` today, with the date otherwise. */
  clock(at: Instant): Html
  /** `14:48:07`, for rows below a heading that tells day and zone. */
  time(at: Instant): Html
  /** `3 min ago`, `just now`. */
  ago(at: Instant): Html
}

type Form = 'moment' | 'second' | 'clock' | 'time'

const parts: Readonly<Record<Form, Intl.DateTimeFormatOptions>> = {
  moment: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' },
  second: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' },
  clock: { hour: '2-digit', minute: '2-digit' },
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
}

export function createShow(now: Instant, zone: string): Show {
  const zoneOf = (form: Form) => ({ timeZone: zone, ...(form !== 'time' && { timeZoneName: 'short' as const }) })
  const write = (form: Form, at: Instant) => {
    const text = new Intl.DateTimeFormat('en-GB', { ...parts[form], ...zoneOf(form) }).format(at)
    return html`<time datetime="${isoTime(at)}" data-form="${form}">${text}</time>`
  }
  const dayOf = (at: Instant) => new Intl.DateTimeFormat('en-GB', { dateStyle: 'short', timeZone: zone }).format(at)
  return {
    now,
    zone,
    moment: (at) => write('moment', at),
    second: (at) => write('second', at),
    clock: (at) => write(dayOf(at) === dayOf(now) ? 'clock' : 'moment', at),
    time: (at) => write('time', at),
    ago: (at) => html`<time datetime="${isoTime(at)}" title="${isoTime(at)}" data-ago>${agoText(now - at)}</time>`,
  }
}

function agoText(agoMs: number): string {
  return agoMs < 60_000 ? 'just now' : `${formatDuration(Math.floor(agoMs / 60_000) * 60_000)} ago`
}

/** The zone that the page's script left in a cookie; UTC when there is none that this machine knows. */
export function readZone(cookie: string | undefined): string {
  if (cookie === undefined || cookie.length > 64) return 'UTC'
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone: cookie }).resolvedOptions().timeZone
  } catch {
    return 'UTC' // an unknown name is a RangeError
  }
}
