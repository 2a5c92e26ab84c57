import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import { displayName } from '../../identity/person.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { Html, Visit } from '../context.ts'
import type { Page } from '../html/layout.ts'
import { chip, empty, grantChip, path, query, requestChip, words, type Tone } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'
import { closedStatements, waitingStatements } from './statements.ts'

const shownMax = 25
const decidedMax = 20

/** One page of what waits for somebody. `page` counts from 1. */
interface Waiting {
  readonly total: number
  readonly page: number
  readonly views: readonly RequestView[]
}

/** What others ask for and somebody may decide: the list. */
export function approvalListRoutes(site: Site): void {
  site.page('/approvals', async (visit) => {
    const waiting = await waitingOn(site, visit)
    const isFirst = waiting.page === 1
    const { access } = site.deps
    const [decidedLately, asked, closed] = isFirst
      ? await Promise.all([
          access.decided(visit.person, decidedMax),
          access.questions.waitingFor(visit.person),
          access.questions.closed(visit.person, decidedMax),
        ])
      : [[], [], []]
    const around = { above: waitingStatements(visit.show, asked), below: closedStatements(visit.show, closed) }
    return site.render(visit.c, listPage(visit.show, waiting, decidedLately, around), visit)
  })
}

/** A request that was called off between two looks is left out. */
async function waitingOn({ deps }: Site, { c, person }: Visit): Promise<Waiting> {
  const { access } = deps
  const all = await access.waitingFor(person)
  const last = Math.max(1, Math.ceil(all.length / shownMax))
  const wanted = Number(c.req.query('page') ?? 1)
  const page = Number.isInteger(wanted) ? Math.min(last, Math.max(1, wanted)) : 1
  const some = all.slice((page - 1) * shownMax, page * shownMax)
  return { total: all.length, page, views: await Promise.all(some.map(({ id }) => access.view(person, id))) }
}

function listPage(
  show: Show,
  waiting: Waiting,
  decided: readonly RequestView[],
  around: { readonly above: Html | false; readonly below: Html | false },
): Page {
  const { total, views } = waiting
  const body = html`<h1>Approvals</h1>
    <p class="lead">What others ask for and you may decide.</p>
    ${around.above}
    <h2>To decide${total > 1 && html` <span class="small">${total}, the oldest first</span>`}</h2>
    ${views.length === 0 ? empty('Nothing waits for you. New requests appear here, and their number in the menu.') : views.map((view) => openCard(show, view))}
    ${paging(waiting)}
    ${
      decided.length > 0 &&
      html`<h2>Decided lately</h2>
        ${decidedTable(show, decided)}`
    }
    ${around.below}`
  return { title: 'Approvals', current: 'approvals', topic: 'approvals', body }
}

function paging({ total, page }: Waiting): Html | false {
  const last = Math.ceil(total / shownMax)
  if (last <= 1) return false
  const to = (where: number, text: string) =>
    html`<a class="btn plain" href="${query('/approvals', { page: where > 1 ? where : undefined })}">${text}</a>`
  return html`<p class="next row">
    ${page > 1 && to(page - 1, 'Older')} ${page < last && to(page + 1, 'Newer')}
    <span class="small">page ${page} of ${last}</span>
  </p>`
}

const riskTones: Readonly<Record<string, Tone>> = { medium: 'wait', high: 'stop' }

function openCard(show: Show, { request, requester, missing, steps }: RequestView): Html {
  const tone = riskTones[request.risk?.level ?? '']
  return html`<section class="card">
    <div class="row">
      <div class="grow">
        <span class="name">${displayName(requester)}</span>
        <span class="role"
          >wants to be ${request.role} on ${request.resource}, for ${formatDuration(request.lengthMs)}</span
        >
        ${tone !== undefined && chip(tone, `${request.risk?.level} risk`)} ${words(request.reason)}
        <div class="small">
          ${request.ticket !== null && `${request.ticket} · `}asked ${show.ago(request.askedAt)} ·
          ${missing === 1 ? 'one more approval' : `${missing} approvals`}
          needed${steps.length > 1 && ` in step ${request.step + 1} of ${steps.length}`} · lapses
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
          <th scope="col">Who and what</th>
          <th scope="col">How it went</th>
          <th scope="col" class="wide">When</th>
        </tr>
      </thead>
      <tbody>
        ${views.map(
          ({ request, requester, grant }) =>
            html`<tr>
              <td>
                <a href="${path('approvals', request.id)}">${displayName(requester)}</a>
                <span class="role">${request.role} on ${request.resource}</span>
              </td>
              <td>${requestChip(request)} ${grant !== undefined && grantChip(grant)}</td>
              <td class="wide time small">${show.moment(request.askedAt)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}
