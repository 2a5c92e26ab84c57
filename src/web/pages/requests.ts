import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import type { Review } from '../../access/review.ts'
import type { Grant, Request } from '../../access/states.ts'
import { displayName } from '../../identity/person.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { RequestId } from '../../kernel/ids.ts'
import { approversWords } from '../../policy/approval.ts'
import { windowsWords } from '../../policy/grant-words.ts'
import type { Catalogue } from '../../resources/catalogue.ts'
import type { Html, Visit } from '../context.ts'
import { unlessAlready } from '../failure.ts'
import { fieldsOf } from '../forms.ts'
import { bundleCard } from '../html/grant-life.ts'
import type { Page } from '../html/layout.ts'
import { approvalSteps } from '../html/approval-steps.ts'
import { evidenceLinks } from '../html/evidence.ts'
import { action, copyable, needs, path, query, requestChip, words } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import { termsWords } from '../html/terms.ts'
import { onwardFields, readOnward, type Onward } from '../onward.ts'
import type { Site } from '../site.ts'
import { openGrant } from './my-access.ts'
import { reviewChip } from './reviews.ts'

/** A request as its requester, or who asked for a machine, sees it: what it waits for, and what to type once it is approved. */
export function requestRoutes(site: Site): void {
  const { access, catalogue } = site.deps

  site.page('/requests/:id', async (visit) => {
    const view = await access.view(visit.person, visit.c.req.param('id') as RequestId)
    // one link for both: the requester watches here, everybody else decides or reads there
    const review = view.request.kind === 'break-glass' ? await access.reviews.ofRequest(view.request.id) : undefined
    if (![view.request.person, view.request.askedBy].includes(visit.person.id)) {
      const there = review === undefined ? path('approvals', view.request.id) : path('reviews', review.id)
      return visit.c.redirect(there, 303)
    }
    const onward = onwardOf(visit, view)
    return site.render(visit.c, requestPage(site, visit, view, onward, review), visit)
  })

  site.form('/requests/:id/cancel', async (visit) => {
    const id = visit.c.req.param('id') as RequestId
    await access.cancel(visit.person, id).catch(unlessAlready('REQUEST_CLOSED', 'REQUEST_LAPSED'))
    return visit.c.redirect(path('requests', id), 303)
  })

  /** Of the application that waits for this request. */
  function onwardOf({ c }: Visit, { request }: RequestView): Onward | undefined {
    if (catalogue.resource(request.resource)?.kind !== 'http') return undefined
    return readOnward(fieldsOf(new URL(c.req.url).searchParams), 'then')
  }
}

function requestPage(
  site: Site,
  visit: Visit,
  view: RequestView,
  onward: Onward | undefined,
  review: Review | undefined,
): Page {
  const { show } = visit
  const { request, grant } = view
  const open = request.state === 'requested'
  const starts = grant?.state === 'scheduled' && show.now < grant.expiresAt
  const active = grant?.state === 'active' && show.now < grant.expiresAt
  const wayIn = active && onward !== undefined && wayInto(request, onward)
  const body = html`<h1>${request.resource} as ${request.role}</h1>
    <p class="lead" role="status" data-news>${requestChip(request)} ${standing(show, view)}</p>
    ${request.askedBy !== null && html`<p>For the machine ${displayName(view.requester)}, asked for by you.</p>`}
    ${wayIn && goingOn(request.resource, wayIn)} ${open && linkForApprovers(site, view, onward !== undefined)}
    ${afterwards(site, show, view, onward)} ${review !== undefined && reviewNote(review)}
    <section class="card">${requestFacts(show, view, changed(show, view))}</section>
    ${approvalSteps(show, view)} ${evidenceLinks(site, visit, request)} ${bundleCard(view)}
    ${open && html`<p class="next">${action(path('requests', request.id, 'cancel'), 'Call it off')}</p>`}`
  return {
    title: `${request.resource} as ${request.role}`,
    current: 'access',
    narrow: true,
    // Looking again would call off the going on.
    ...(wayIn ? { goOnTo: wayIn } : { topic: 'request' }),
    ...((open || (starts && onward !== undefined)) && { refreshS: 5 }),
    body,
  }
}

/** The person learns what was said of their emergency, not who will look at it next. */
function reviewNote(review: Review): Html {
  return html`<section class="card row">
    <span class="grow"
      >${
        review.state === 'open'
          ? html`This was an emergency. ${approversWords(review.reviewers)} will look at it.`
          : html`Somebody looked at this emergency: ${words(`“${review.comment}”`)}`
      }</span
    >${reviewChip(review)}
  </section>`
}

function wayInto({ resource, role }: Request, onward: Onward): string {
  return query(path('open', resource), { role, ...onwardFields(onward, 'state') })
}

function goingOn(resource: string, href: string): Html {
  return html`<p class="next"><a class="btn go" href="${href}">Go on to ${resource}</a></p>`
}

/** Where the gateway writes to nobody, the person who asks has to. */
function linkForApprovers({ deps }: Site, { request }: RequestView, goesOn: boolean): Html {
  const link = new URL(path('requests', request.id), deps.publicUrl).href
  return html`<section class="card">
    <p>
      ${deps.notifications === null ? 'Send this link to somebody who may approve; nobody else tells them.' : 'Those who may approve have been told. To ask somebody yourself, send this link.'}
    </p>
    ${copyable(link, 'the link')}
    <p class="small still">This page renews itself. ${whatGoesOn(deps.catalogue, request, goesOn)}</p>
  </section>`
}

function whatGoesOn(catalogue: Catalogue, { resource: name }: Request, goesOn: boolean): string {
  if (goesOn) return `You go on to ${name} by yourself once it is approved.`
  return catalogue.resource(name)?.kind === 'http' ? '' : 'A psql or ssh that waits goes on by itself, too.'
}

/** One sentence: where it stands. */
function standing(show: Show, view: RequestView): Html {
  const { request, missing, decisions, waitsFor } = view
  switch (request.state) {
    case 'requested':
      return html`${missing === 1 ? 'One more person' : `${missing} people`} must approve:
      ${waitsFor === null ? needs(request.approval) : approversWords(waitsFor)}${place(view)}. It lapses
      ${show.clock(request.lapsesAt)}.`
    case 'approved':
      return request.approval.kind === 'none'
        ? html`Approved at once by policy “${request.policy}”, ${show.clock(request.closedAt)}.`
        : html`Approved by ${namesOf(view, 'approve')}, ${show.clock(request.closedAt)}.`
    case 'denied':
      return html`Refused by ${namesOf(view, 'deny')}, ${show.clock(request.closedAt)}.`
    case 'cancelled':
      return html`Called off by ${displayName(view.requesters.at(-1) ?? view.requester)},
      ${show.clock(request.closedAt)}.`
    case 'lapsed':
      if (request.closedAt < request.lapsesAt) {
        return html`It lapsed ${show.clock(request.closedAt)}: the access that it was about had ended.`
      }
      return html`It lapsed ${show.clock(request.closedAt)}:
      ${decisions.length === 0 ? 'nobody decided' : 'not enough people approved'} in time.`
  }
}

function place({ steps, request }: RequestView): string {
  return steps.length < 2 ? '' : `, step ${request.step + 1} of ${steps.length}`
}

function namesOf({ decisions }: RequestView, verdict: 'approve' | 'deny'): string {
  const names = decisions
    .filter(({ decision }) => decision.verdict === verdict)
    .map(({ person }) => displayName(person))
  return names.length === 0 ? 'the gateway' : names.join(' and ')
}

/** It comes with a token of its own: nothing to type here. */
function openToMachine(show: Show, { id, expiresAt }: Grant): Html {
  return html`<section class="card row">
    <span class="grow">The machine may use it until ${show.moment(expiresAt)}.</span>
    ${action(path('grants', id, 'hand-back'), 'Hand back')}
  </section>`
}

/** What to do now: type this, wait until then, or ask again. */
function afterwards(
  site: Site,
  show: Show,
  { request, requester, grant }: RequestView,
  onward: Onward | undefined,
): Html | false {
  if (request.state === 'requested') return false
  if (grant !== undefined && (grant.state === 'active' || grant.state === 'scheduled') && show.now < grant.expiresAt) {
    return request.askedBy === null
      ? openGrant(site, show, grant, { isEmergency: request.kind === 'break-glass' })
      : openToMachine(show, grant)
  }
  const again = query('/ask', {
    resource: request.resource,
    role: request.role,
    reason: request.reason,
    ticket: request.ticket ?? undefined,
    onBehalfOf: request.askedBy === null ? undefined : displayName(requester),
    ...onwardFields(onward, 'then'),
  })
  return html`<section class="card row">
    <span class="grow">${grantEnding(show, grant)}</span><a class="btn plain" href="${again}">Ask again</a>
  </section>`
}

export function grantEnding(show: Show, grant: RequestView['grant']): Html {
  if (grant === undefined) return html`No access came of it.`
  switch (grant.state) {
    case 'scheduled':
      return html`The access starts ${show.clock(grant.startsAt)}.`
    case 'active':
      return html`The access is open until ${show.clock(grant.expiresAt)}.`
    case 'expired':
      return grant.comment
        ? html`The access ended ${show.clock(grant.endedAt)}. ${grant.comment}`
        : html`The access ended on time, ${show.clock(grant.endedAt)}.`
    case 'revoked':
      return html`The access was revoked ${show.clock(grant.endedAt)}${grant.comment && html`: “${grant.comment}”`}.`
    case 'ended':
      return html`The access was handed back ${show.clock(grant.endedAt)}.`
  }
}

/** What approvers made of it, so far or in the end. */
function changed(show: Show, { request, agreed }: RequestView): Html | false {
  const less = termsWords(show, {
    ...agreed,
    lengthMs: agreed.lengthMs < request.lengthMs ? agreed.lengthMs : null,
    startsAt: agreed.startsAt === request.startsAt ? null : agreed.startsAt,
    role: agreed.role === request.role ? null : agreed.role,
  })
  if (less === false) return false
  return html`<dt>${request.state === 'requested' ? 'Approved so far' : 'Approved'}</dt>
    <dd class="time">${less}</dd>`
}

function lengthWords(show: Show, { kind, lengthMs, startsAt, recurrence }: Request): Html {
  if (kind === 'extension') return html`${formatDuration(lengthMs)} more, counted from the end`
  const hours = recurrence !== null && html`${windowsWords(recurrence.windows)}, for `
  const start = startsAt === null ? ' from the approval' : html`, not before ${show.moment(startsAt)}`
  return html`${hours}${formatDuration(lengthMs)}${start}`
}

/** What was asked, for the requester and for approvers alike. */
function requestFacts(show: Show, { request, ticketLink }: RequestView, more: Html | false = false): Html {
  return html`<dl>
    <dt>Why</dt>
    <dd>${request.reason === '' ? html`<span class="small">no reason given</span>` : words(request.reason)}</dd>
    ${
      request.ticket !== null &&
      html`<dt>Ticket</dt>
        <dd>
          ${ticketLink === null ? request.ticket : html`<a href="${ticketLink}" rel="noreferrer noopener">${request.ticket}</a>`}
        </dd>`
    }
    <dt>How long</dt>
    <dd class="time">${lengthWords(show, request)}</dd>
    ${more}
    <dt>Asked</dt>
    <dd class="time">${show.moment(request.askedAt)}, ${request.origin}</dd>
    <dt>Policy</dt>
    <dd>“${request.policy}”</dd>
  </dl>`
}
