import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import type { Terms } from '../../access/states.ts'
import { displayName, isMachinePerson } from '../../identity/person.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { Role } from '../../resources/catalogue.ts'
import type { Html } from '../context.ts'
import { chip, words } from './parts.ts'
import { roleFacts } from './role-facts.ts'
import type { Show } from './show.ts'
import { termsWords, windowsWords } from './terms.ts'

/** `alice@example.com wants to be admin on prod-db` */
export function approvalTitle({ request, requester }: RequestView): string {
  const who = displayName(requester)
  const { kind, role, resource, lengthMs } = request
  const wants = request.state === 'requested' ? 'wants' : 'wanted'
  if (kind === 'extension') return `${who} ${wants} ${formatDuration(lengthMs)} more as ${role} on ${resource}`
  if (kind === 'break-glass') return `${who} broke glass to be ${role} on ${resource}`
  return `${who} ${wants} to be ${role} on ${resource}`
}

/** Who, what, why and for how long, as far as it is for deciding. @param role undefined: it is gone since. */
export function approvalFacts(show: Show, view: RequestView, role: Role | undefined): Html {
  const { request } = view
  return html`<section class="card">
    <dl>
      <dt>Why</dt>
      <dd>${request.reason === '' ? html`<span class="small">no reason given</span>` : words(request.reason)}</dd>
      ${ticketRow(view)}
      <dt>How long</dt>
      <dd class="time">${lengthWords(show, view)}</dd>
      <dt>May do</dt>
      <dd>${role === undefined ? html`<span class="small">The role is gone since.</span>` : may(role)}</dd>
      <dt>Who</dt>
      <dd>${whoWords(view)}</dd>
      ${
        request.bundle !== null &&
        html`<dt>Part of</dt>
          <dd>“${request.bundle.name}”; each part is decided by itself</dd>`
      }
      <dt>Asked</dt>
      <dd class="time">${show.moment(request.askedAt)}, ${request.origin}</dd>
      <dt>Policy</dt>
      <dd>“${request.policy}”</dd>
    </dl>
  </section>`
}

function ticketRow({ request, ticketLink }: RequestView): Html | false {
  const { ticket } = request
  if (ticket === null) return false
  return html`<dt>Ticket</dt>
    <dd>${ticketLink === null ? ticket : html`<a href="${ticketLink}" rel="noreferrer noopener">${ticket}</a>`}</dd>`
}

function lengthWords(show: Show, { request, agreed }: RequestView): Html {
  const { kind, lengthMs, startsAt, recurrence } = request
  const starts =
    startsAt !== null
      ? html`, not before ${show.moment(startsAt)}`
      : kind === 'access'
        ? ', from the approval on'
        : kind === 'extension'
          ? ' more'
          : ''
  const narrowed = request.state === 'requested' && termsWords(show, narrowing(request, agreed))
  return html`${formatDuration(lengthMs)}${starts}${
    recurrence !== null && html`<br /><span class="small">only ${windowsWords(recurrence.windows)}</span>`
  }${narrowed && html`<br /><span class="small">Approved so far: ${narrowed}</span>`}`
}

/** Where what is agreed is less than what was asked for. */
function narrowing(request: RequestView['request'], agreed: RequestView['agreed']): Terms {
  return {
    lengthMs: agreed.lengthMs === request.lengthMs ? null : agreed.lengthMs,
    startsAt: agreed.startsAt === request.startsAt ? null : agreed.startsAt,
    role: agreed.role === request.role ? null : agreed.role,
    ...{ databases: agreed.databases, networks: agreed.networks },
  }
}

function may(role: Role): Html {
  return html`${role.description !== '' && html`${role.description}<br />`}<span class="small"
      >${roleFacts(role)}</span
    >`
}

function whoWords({ requester, requesters, requesterGroups }: RequestView): Html {
  const behalf = requesters[1]
  const others = requester.groups.length - requesterGroups.length
  const rest =
    others === 0
      ? ''
      : `${requesterGroups.length === 0 ? '' : ' and '}${others} other${others === 1 ? ' group' : ' groups'}`
  return html`${isMachinePerson(requester) && html`${chip('plain', 'machine')} `}${
    requester.name !== null && requester.name !== displayName(requester) && html`${requester.name}, `
  }${displayName(requester)}${
    requester.groups.length > 0 && html`<br /><span class="small">in ${requesterGroups.join(', ')}${rest}</span>`
  }${behalf !== undefined && html`<br /><span class="small">asked for by ${displayName(behalf)}</span>`}`
}
