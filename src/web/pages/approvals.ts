import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import { seesRisk } from '../../access/assess.ts'
import { displayName, type Person } from '../../identity/person.ts'
import { formatDuration } from '../../kernel/durations.ts'
import { asFault } from '../../kernel/fault.ts'
import type { GrantId, RequestId } from '../../kernel/ids.ts'
import type { PastUse } from '../../access/past-use.ts'
import type { Html, Visit } from '../context.ts'
import { createDoneInShort, type Done } from '../done-in-short.ts'
import type { Page } from '../html/layout.ts'
import { empty, grantChip, needs, notice, path, query, requestChip, words } from '../html/parts.ts'
import { riskFactors } from '../html/risk.ts'
import { pastUsesCard, type Past } from '../html/past-uses.ts'
import { roleFacts } from '../html/role-facts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'
import { decisionsList, grantEnding, requestFacts, standing } from './requests.ts'

const commentCharsMax = 500
const decidedMax = 20
/** Recordings that are opened for one page. */
const countedMax = 12

/** Deciding on what others ask: the list, and the one small page. */
export function approvalRoutes(site: Site): void {
  const { access } = site.deps
  const doneInShort = createDoneInShort(site.deps.recordingsFolder)

  async function pastOf(uses: readonly PastUse[]): Promise<readonly Past[]> {
    const newest = uses.flatMap(({ sessions }) => sessions).slice(0, countedMax)
    const done = new Map<string, Done>()
    for (const row of newest) {
      const known = await doneInShort(row)
      if (known !== undefined) done.set(row.session.id, known)
    }
    return uses.map((use) => ({ ...use, done }))
  }

  site.page('/approvals', async (visit) => {
    const [open, decided] = await Promise.all([access.toDecide(visit.person), access.decided(visit.person, decidedMax)])
    return site.render(visit.c, listPage(visit.show, open, decided), visit)
  })

  site.page('/approvals/:id', async (visit) => {
    const view = await access.view(visit.person, visit.c.req.param('id') as RequestId)
    const past = await pastOf(await access.pastUses(view))
    return site.render(visit.c, approvalPage(site, visit, view, past), visit)
  })

  site.form('/approvals/:id', async (visit, fields) => {
    const id = visit.c.req.param('id') as RequestId
    const verdict = fields.text('verdict', 16) === 'approve' ? 'approve' : 'deny'
    const late = await decideOrLate(site, visit, id, verdict, fields.text('comment', commentCharsMax))
    return visit.c.redirect(query(path('approvals', id), { late }), 303)
  })

  site.form('/grants/:id/revoke', async (visit, fields) => {
    const request = fields.text('request', 64)
    await access.revoke(visit.person, visit.c.req.param('id') as GrantId, fields.text('comment', commentCharsMax))
    return visit.c.redirect(request === '' ? '/sessions' : path('approvals', request), 303)
  })
}

/** A second tap, or somebody quicker: the page itself tells the truth, so both lead back to it. */
async function decideOrLate(site: Site, visit: Visit, id: RequestId, verdict: 'approve' | 'deny', comment: string) {
  try {
    await site.deps.access.decide(visit.person, id, verdict, comment, visit)
    return undefined
  } catch (error) {
    const code = asFault(error)?.code
    if (code === 'ALREADY_DECIDED') return undefined
    if (code === 'REQUEST_CLOSED' || code === 'REQUEST_LAPSED') return verdict
    throw error
  }
}

function listPage(show: Show, open: readonly RequestView[], decided: readonly RequestView[]): Page {
  const body = html`<h1>Approvals</h1>
    <p class="lead">What others ask for and you may decide.</p>
    <h2>To decide</h2>
    ${open.length === 0 ? empty('Nothing waits for you. New requests appear here, and their number in the menu.') : open.map((view) => openCard(show, view))}
    ${
      decided.length > 0 &&
      html`<h2>Decided lately</h2>
        ${decidedTable(show, decided)}`
    }`
  return { title: 'Approvals', current: 'approvals', topic: 'approvals', body }
}

function openCard(show: Show, { request, requester, missing }: RequestView): Html {
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <span class="name">${displayName(requester)}</span>
        <span class="role"
          >wants to be ${request.role} on ${request.resource}, for ${formatDuration(request.lengthMs)}</span
        >
        ${words(request.reason)}
        <div class="small">
          ${request.ticket !== null && `${request.ticket} · `}asked ${show.ago(request.askedAt)} ·
          ${missing === 1 ? 'one more approval' : `${missing} approvals`} needed · lapses
          ${show.clock(request.lapsesAt)}
        </div>
      </div>
      <a
        class="btn go"
        href="${path('approvals', request.id)}"
        aria-label="Decide on ${request.resource} for ${displayName(requester)}"
        >Decide</a
      >
    </div>
  </section>`
}

function decidedTable(show: Show, views: readonly RequestView[]): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          <th scope="col">Who</th>
          <th scope="col">What</th>
          <th scope="col">How it went</th>
          <th scope="col" class="wide">When</th>
        </tr>
      </thead>
      <tbody>
        ${views.map(
          ({ request, requester, grant }) =>
            html`<tr>
              <td>${displayName(requester)}</td>
              <td>
                <a href="${path('approvals', request.id)}">${request.resource}</a>
                <span class="role">as ${request.role}</span>
              </td>
              <td>${requestChip(request)} ${grant !== undefined && grantChip(grant)}</td>
              <td class="wide time small">${show.moment(request.askedAt)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

function approvalPage(site: Site, { c, person, show }: Visit, view: RequestView, past: readonly Past[]): Page {
  const { request, requester } = view
  const who = displayName(requester)
  const mayDecide = canDecide(site, person, view)
  const body = html`<h1>
      ${who} ${request.state === 'requested' ? 'wants' : 'wanted'} to be ${request.role} on ${request.resource}
    </h1>
    <p class="lead">Asked ${show.ago(request.askedAt)}, for ${formatDuration(request.lengthMs)}.</p>
    ${whyNotOpen(site, person, show, view, c.req.query('late'))}
    <section class="card">${requestFacts(show, view, whatItMeans(site, view))}</section>
    ${seesRisk(view, person) && riskFactors(request.risk)} ${request.state === 'requested' && decisionsList(show, view)}
    ${(request.state === 'requested' || past.length > 0) && pastUsesCard(show, request.resource, past, site.deps.access.isReviewer(person))}
    ${mayDecide && decideForm(request.id, who)} ${request.state !== 'requested' && decisionsList(show, view)}
    ${revokeForm(site, person, view)}`
  return { title: `${who} asks for ${request.resource}`, current: 'approvals', narrow: true, topic: 'request', body }
}

function canDecide({ deps }: Site, person: Person, view: RequestView): boolean {
  return deps.clock.now() < view.request.lapsesAt && deps.access.mayDecide(person, view)
}

/** Says how it stands, where there is nothing (more) to decide for this person. */
function whyNotOpen(site: Site, person: Person, show: Show, view: RequestView, late: string | undefined): Html | false {
  const { request, requester, decisions, grant } = view
  if (request.state !== 'requested') {
    const tooLate =
      late === 'approve' ? 'Your approval came too late. ' : late === 'deny' ? 'Your refusal came too late. ' : ''
    const tone = request.state === 'approved' ? 'go' : request.state === 'denied' ? 'stop' : 'wait'
    return notice(tone, html`${tooLate}${standing(show, view)} ${grant !== undefined && grantEnding(show, grant)}`)
  }
  if (show.now >= request.lapsesAt)
    return notice('wait', html`It lapsed ${show.clock(request.lapsesAt)}: nobody decided in time.`)
  if (requester.id === person.id)
    return notice(
      'wait',
      html`This is your own request: somebody else must decide.
        <a href="${path('requests', request.id)}">See how it stands</a>.`,
    )
  const mine = decisions.find(({ decision }) => decision.person === person.id)
  if (mine !== undefined) {
    return notice(
      'go',
      html`You ${mine.decision.verdict === 'approve' ? 'approved' : 'refused'} ${show.clock(mine.decision.at)}.
      ${standing(show, view)}`,
    )
  }
  if (!site.deps.access.mayDecide(person, view)) return notice('wait', standing(show, view))
  return false
}

function whatItMeans({ deps }: Site, { request, decisions, missing }: RequestView): Html {
  const role = deps.catalogue.role(request.resource, request.role)
  const approvers = decisions
    .filter(({ decision }) => decision.verdict === 'approve')
    .map(({ person }) => displayName(person))
  return html`${
    role !== undefined &&
    html`<dt>May do</dt>
      <dd>${role.description !== '' && html`${role.description} · `}${roleFacts(role)}</dd>`
  }
  ${
    request.state === 'requested' &&
    html`<dt>Needs</dt>
      <dd>
        ${needs(request.approval)}${approvers.length > 0 && ` · ${approvers.join(' and ')} approved`}${missing > 1 && ` · ${missing} still missing`}
      </dd>`
  }`
}

function decideForm(id: RequestId, who: string): Html {
  return html`<form method="post" action="${path('approvals', id)}" class="stack decide">
    <label for="comment">Comment <span class="optional">${who} sees it</span></label>
    <textarea id="comment" name="comment" rows="2" maxlength="${commentCharsMax}"></textarea>
    <div class="actions">
      <button class="btn stop" name="verdict" value="deny">Refuse</button
      ><button class="btn go" name="verdict" value="approve">Approve</button>
    </div>
  </form>`
}

/** While the access lives, those who could have refused it can end it. The access room has the last word. */
function revokeForm({ deps }: Site, person: Person, view: RequestView): Html | false {
  const { grant, request, requester } = view
  const living = grant !== undefined && (grant.state === 'active' || grant.state === 'scheduled')
  if (!living || deps.clock.now() >= grant.expiresAt) return false
  if (requester.id === person.id || !(deps.access.decidesOn(person, view) || deps.access.isOperator(person)))
    return false
  return html`<h2>End it now</h2>
    <form method="post" action="${path('grants', grant.id, 'revoke')}" class="stack">
      <input type="hidden" name="request" value="${request.id}" />
      <label for="why">Why <span class="optional">${displayName(requester)} sees it</span></label
      ><input id="why" name="comment" maxlength="${commentCharsMax}" />
      <div class="actions"><button class="btn stop">Revoke, and cut live sessions</button></div>
    </form>`
}
