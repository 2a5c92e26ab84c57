import { html } from 'hono/html'
import { seesRisk } from '../../access/assess.ts'
import { reviewCommentLengthMax, type ReviewView } from '../../access/reviews.ts'
import type { Review, ReviewVerdict } from '../../access/review.ts'
import { displayName } from '../../identity/person.ts'
import { formatLasted } from '../../kernel/durations.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import type { ReviewId } from '../../kernel/ids.ts'
import { approversWords } from '../../policy/approval.ts'
import type { SessionRow } from '../../sessions/session.ts'
import type { Html, Visit } from '../context.ts'
import { evidenceLinks } from '../html/evidence.ts'
import type { Page } from '../html/layout.ts'
import { chip, empty, grantChip, path, query, words } from '../html/parts.ts'
import { riskFactors } from '../html/risk.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'
import { endChip, programOf } from './sessions.ts'

const closedShownMax = 20

/** Looking at emergencies afterwards: those that wait, those that were looked at, and one with everything about it. */
export function reviewRoutes(site: Site): void {
  const { reviews, campaigns } = site.deps.access

  site.page('/reviews', async (visit) => {
    if ((await reviews.waiting(visit.person)) === null) {
      // those who only decide in campaigns
      if ((await campaigns.waiting(visit.person)) !== null) return visit.c.redirect('/reviews/campaigns', 303)
      throw new Fault('NOT_ALLOWED', 'Reviews are for reviewers.')
    }
    const [open, closed] = await Promise.all([reviews.open(visit.person), reviews.closed(visit.person, closedShownMax)])
    return site.render(visit.c, listPage(visit.show, open, closed), visit)
  })

  site.page('/reviews/:id', async (visit) => {
    const view = await reviews.view(visit.person, visit.c.req.param('id') as ReviewId)
    const late = new URL(visit.c.req.url).searchParams.get('late') === 'yes'
    return site.render(visit.c, reviewPage(site, visit, view, late), visit)
  })

  site.form('/reviews/:id', async (visit, fields) => {
    const id = visit.c.req.param('id') as ReviewId
    const verdict = readVerdict(fields.text('verdict', 16))
    const late = await closeOrLate(site, visit, id, verdict, fields.text('comment', reviewCommentLengthMax))
    return visit.c.redirect(query(path('reviews', id), { late: late ? 'yes' : undefined }), 303)
  })
}

function readVerdict(text: string): ReviewVerdict {
  if (text === 'justified' || text === 'not-justified') return text
  throw new Fault('INPUT_INVALID', 'Say whether it was justified or not.')
}

/** Somebody was quicker: the page itself says who. */
async function closeOrLate({ deps }: Site, visit: Visit, id: ReviewId, verdict: ReviewVerdict, comment: string) {
  try {
    await deps.access.reviews.close(visit.person, id, verdict, comment)
    return false
  } catch (error) {
    if (asFault(error)?.code !== 'REVIEW_CLOSED') throw error
    const { review, closedBy } = await deps.access.reviews.view(visit.person, id)
    const isSecondTap = review.state === 'closed' && review.verdict === verdict && closedBy?.id === visit.person.id
    return !isSecondTap
  }
}

function listPage(show: Show, open: readonly ReviewView[], closed: readonly ReviewView[]): Page {
  const body = html`<h1>Reviews</h1>
    <p class="lead">
      Emergencies that somebody else has to look at. Standing access is looked at in
      <a href="/reviews/campaigns">access reviews</a>.
    </p>
    <h2>Open</h2>
    ${open.length === 0 ? empty('No emergency waits for its review.') : open.map((view) => card(show, view))}
    ${
      closed.length > 0 &&
      html`<h2>Closed</h2>
        ${closed.map((view) => card(show, view))}`
    }`
  return { title: 'Reviews', current: 'reviews', topic: 'reviews', body }
}

function card(show: Show, view: ReviewView): Html {
  const { review, request, person, grant, mayClose } = view
  const about = `${request.resource} as ${grant.role}`
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <a class="name" href="${path('reviews', review.id)}">${displayName(person)}</a>
        <span class="role">took ${about}</span>
        ${words(request.reason)}
        <div class="small">${show.ago(review.openedAt)} · to review: ${approversWords(review.reviewers)}</div>
      </div>
      ${reviewChip(review)} ${grantChip(grant)}
      ${mayClose && html`<a class="btn go" href="${path('reviews', review.id)}" aria-label="Review ${about} of ${displayName(person)}">Review</a>`}
    </div>
  </section>`
}

/** Whether somebody has looked at it, and what they said. */
export function reviewChip(review: Review): Html {
  if (review.state === 'open') return chip('wait', 'review open')
  return review.verdict === 'justified' ? chip('go', 'justified') : chip('stop', 'not justified')
}

function reviewPage(site: Site, visit: Visit, view: ReviewView, late: boolean): Page {
  const { show, person: visitor } = visit
  const { review, request, person, grant } = view
  const body = html`<h1>Emergency of ${displayName(person)}: ${request.resource} as ${grant.role}</h1>
    <p class="lead">${reviewChip(review)} ${grantChip(grant)} ${standing(show, view)}</p>
    ${late && html`<p class="notice wait" role="status">Somebody closed it before you; your word was not taken.</p>`}
    <section class="card">
      <dl>
        <dt>Why</dt>
        <dd>${words(request.reason)}</dd>
        ${
          request.ticket !== null &&
          html`<dt>Ticket</dt>
            <dd>${request.ticket}</dd>`
        }
        <dt>When</dt>
        <dd class="time">
          ${show.moment(grant.startsAt)} until ${show.moment('endedAt' in grant ? grant.endedAt : grant.expiresAt)},
          ${request.origin}
        </dd>
        <dt>Policy</dt>
        <dd>“${request.policy}”</dd>
        <dt>To review</dt>
        <dd>${approversWords(review.reviewers)}</dd>
      </dl>
    </section>
    ${seesRisk({ request, requester: person }, visitor) && riskFactors(request.risk)}
    ${sessionsList(site, show, view.sessions)} ${view.mayClose && closeForm(view)}
    ${evidenceLinks(site, visit, request)}`
  // A page that renews itself would take away what was typed.
  const topic = view.mayClose ? {} : { topic: 'reviews' }
  return { title: `Emergency of ${displayName(person)}`, current: 'reviews', narrow: true, ...topic, body }
}

function standing(show: Show, { review, closedBy }: ReviewView): Html {
  if (review.state === 'open') return html`Nobody has looked at it yet.`
  return html`${closedBy === null ? 'Somebody' : displayName(closedBy)} looked at it ${show.clock(review.closedAt)}:
  ${words(`“${review.comment}”`)}`
}

function sessionsList({ deps }: Site, show: Show, sessions: readonly SessionRow[]): Html {
  if (sessions.length === 0) return empty('It was not used: no session began under it.')
  return html`<h2>What was done</h2>
    <section class="card">
      <ul class="plain-list">
        ${sessions.map(
          ({ session, end, recording }) =>
            html`<li class="row">
              <span class="grow"
                ><a href="${path('sessions', session.id)}">${programOf(session)}</a>
                <span class="small time"
                  >${show.second(session.startedAt)},
                  ${formatLasted((end?.at ?? deps.clock.now()) - session.startedAt)}</span
                ></span
              >
              ${endChip(end)}
              ${recording === null ? html`<span class="small">not recorded</span>` : html`<a class="btn plain small-btn" href="${path('recordings', session.id)}">Recording</a>`}
            </li>`,
        )}
      </ul>
    </section>`
}

function closeForm({ review, lives }: ReviewView): Html {
  return html`<h2>Close the review</h2>
    <section class="card">
      <form method="post" action="${path('reviews', review.id)}" class="stack">
        <label for="comment">What you found</label>
        <textarea id="comment" name="comment" rows="3" maxlength="${reviewCommentLengthMax}" required></textarea>
        <p class="help">
          It stays on record, and the person reads it. A review is closed once.
          ${lives && 'That it was justified can be said when the access is over.'}
        </p>
        <div class="actions">
          <button class="btn stop" name="verdict" value="not-justified">
            Not justified${lives && ': end the access now'}
          </button>
          ${lives || html`<button class="btn go" name="verdict" value="justified">Justified</button>`}
        </div>
      </form>
    </section>`
}
