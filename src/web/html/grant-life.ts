import { html } from 'hono/html'
import { isUsedUp, waitsForUse } from '../../access/grant-life.ts'
import { whyNotExtendable } from '../../access/extendable.ts'
import type { Grant, Request } from '../../access/states.ts'
import type { RequestView } from '../../access/access.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { GrantId } from '../../kernel/ids.ts'
import { windowsWords } from '../../policy/grant-words.ts'
import type { Html } from '../context.ts'
import { path, requestChip } from './parts.ts'
import type { Show } from './show.ts'

/** What narrows a living grant beyond its end, for whoever has it. */
export function grantLimits(show: Show, grant: Grant): Html | false {
  const { windows, databases, networks, useBy, firstUsedAt, uses, lengthMs } = grant
  const parts: readonly (Html | string)[] = [
    ...(windows === null ? [] : [`Only ${windowsWords(windows)}`]),
    ...(databases === null ? [] : [`Only ${databases.join(', ')}`]),
    ...(networks === null ? [] : [`Only from ${networks.join(', ')}`]),
    ...(uses === 'once' ? [isUsedUp(grant) ? 'Its one session has begun' : 'For one session'] : []),
    ...(waitsForUse(grant) ? [`Its ${formatDuration(lengthMs)} begin with the first session`] : []),
    ...(firstUsedAt === null && useBy !== null ? [html`Use it by ${show.clock(useBy)}, or it is over`] : []),
  ]
  return parts.length > 0 && html`<div class="small">${parts.map((part, at) => html`${at > 0 && ' · '}${part}`)}</div>`
}

/** Where more time is asked for; nothing where it cannot be. */
export function moreTime(grant: Grant, isEmergency: boolean): Html | false {
  if (grant.state !== 'active' || whyNotExtendable(grant, isEmergency) !== undefined) return false
  return moreTimeFor(grant.id, `${grant.resource} as ${grant.role}`)
}

export function moreTimeFor(grant: GrantId, about: string): Html {
  return html`<a class="btn plain" href="${path('grants', grant, 'extend')}" aria-label="More time: ${about}"
    >More time</a
  >`
}

/** What was asked for together with it. */
export function bundleCard({ bundle }: RequestView): Html | false {
  if (bundle === null) return false
  return html`<h2>Together with it</h2>
    <section class="card">
      <p class="small still">Parts of “${bundle.name}”, each decided by itself.</p>
      <ul class="plain-list">
        ${bundle.siblings.map(siblingLine)}${bundle.hidden > 0 && html`<li class="small">and ${bundle.hidden} more</li>`}
      </ul>
    </section>`
}

function siblingLine(request: Request): Html {
  return html`<li class="row">
    <a class="grow" href="${path('requests', request.id)}">${request.resource} as ${request.role}</a>
    ${requestChip(request)}
  </li>`
}
