import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import type { Terms } from '../../access/states.ts'
import { displayName, isMachinePerson } from '../../identity/person.ts'
import { formatDuration } from '../../kernel/durations.ts'
import { windowsWords } from '../../policy/grant-words.ts'
import type { Role } from '../../resources/catalogue.ts'
import type { Html } from '../context.ts'
import { chip, path, words } from './parts.ts'
import { roleFacts } from './role-facts.ts'
import type { Show } from './show.ts'
import { termsWords } from './terms.ts'

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
      ${bundleRow(view)}
      <dt>Asked</dt>
      <dd class="time">${show.moment(request.askedAt)}, ${request.origin}</dd>
      <dt>Policy</dt>
      <dd>“${request.policy}”</dd>
    </dl>
  </section>`
}

/** What was asked for together with it. */
function bundleRow({ bundle }: RequestView): Html | false {
  if (bundle === null) return false
  return html`<dt>Part of</dt>
    <dd>
      “${bundle.name}”, each part decided by itself
      ${bundle.siblings.map(
        ({ id, resource, role, state }) =>
          html`<br /><a class="small" href="${path('approvals', id)}">${resource} as ${role}</a>
            <span class="small">${stateWords[state]}</span>`,
      )}
      ${bundle.hidden > 0 && html`<br /><span class="small">and ${bundle.hidden} more</span>`}
    </dd>`
}

const stateWords: Readonly<Record<RequestView['request']['state'], string>> = {
  requested: 'waits',
  approved: 'approved',
  denied: 'refused',
  cancelled: 'called off',
  lapsed: 'lapsed',
}

function ticketRow({ request, ticketLink }: RequestView): Html | false {
  const { ticket } = request
  if (ticket === null) return false
  return html`<dt>Ticket</dt>
    <dd>${ticketLink === null ? ticket : html`<a href="${ticketLink}" rel="noreferrer noopener">${ticket}</a>`}</dd>`
}

function lengthWords(show: Show, view: RequestView): Html {
  const { request, agreed } = view
  const narrowed = request.state === 'requested' && termsWords(show, narrowing(request, agreed))
  return html`${formatDuration(request.lengthMs)}${startWords(show, view)}${
    request.recurrence !== null &&
    html`<br /><span class="small">only ${windowsWords(request.recurrence.windows)}</span>`
  }${narrowed && html`<br /><span class="small">Approved so far: ${narrowed}</span>`}`
}

function startWords(show: Show, { request, grant }: RequestView): Html | string {
  const { kind, startsAt, state } = request
  if (kind === 'extension') {
    return state === 'requested' && grant !== undefined ? html` more, after ${show.clock(grant.expiresAt)}` : ' more'
  }
  if (startsAt !== null) return html`, not before ${show.moment(startsAt)}`
  return kind === 'access' ? ', from the approval on' : ''
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
