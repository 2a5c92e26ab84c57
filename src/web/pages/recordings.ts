import { html } from 'hono/html'
import { formatLasted } from '../../kernel/durations.ts'
import type { GrantId, SessionId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { FoundSessions, SessionPlace, SessionRow } from '../../sessions/session.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf, type Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { empty, path, query } from '../html/parts.ts'
import { createRanInShort } from '../ran-in-short.ts'
import type { Site } from '../site.ts'
import { emergencyChip, endChip, programOf } from './sessions.ts'

const shownMax = 50
/** For one page: a rare name must not have the whole table read at once. */
const looksMax = 100_000
const dayMs = 86_400_000

interface Filter {
  readonly person: string
  readonly resource: string
  /** Days, `2026-11-22`, in UTC; empty: open. */
  readonly from: string
  readonly to: string
  readonly place: SessionPlace | undefined
}

interface Shown {
  readonly shown: readonly { readonly row: SessionRow; readonly ran: string }[]
  readonly next: SessionPlace | undefined
  readonly emergencies: ReadonlySet<GrantId>
}

/** The list of recordings: reviewers see all, everybody sees their own. */
export function recordingListRoutes(site: Site): void {
  const ranInShort = createRanInShort(site.deps.recordingsFolder)

  site.page('/recordings', async (visit) => {
    const filter = readFilter(fieldsOf(new URL(visit.c.req.url).searchParams))
    const all = site.deps.access.isReviewer(visit.person)
    const found = await find(site, visit, filter, all)
    const shown = await Promise.all(found.rows.map(async (row) => ({ row, ran: await ranInShort(row) })))
    const emergencies = await site.deps.access.reviews.emergencies(found.rows.map(({ session }) => session.grant))
    return site.render(visit.c, listPage(site, visit, filter, { shown, next: found.next, emergencies }, all), visit)
  })
}

function readFilter(fields: Fields): Filter {
  const before = Number(fields.text('before', 16)) as Instant
  const behind = fields.text('behind', 40) as SessionId
  return {
    person: fields.text('person', 100),
    resource: fields.text('resource', 64),
    from: fields.text('from', 10),
    to: fields.text('to', 10),
    place: Number.isSafeInteger(before) && before > 0 ? { before, behind } : undefined,
  }
}

function find({ deps }: Site, { person }: Visit, filter: Filter, all: boolean): Promise<FoundSessions> {
  const since = startOfDay(filter.from)
  const place = earliest(filter.place, endOfDay(filter.to))
  return deps.sessions.searchRecorded({
    ...(!all && { person: person.id }),
    ...(filter.person !== '' && { name: filter.person }),
    ...(filter.resource !== '' && { resource: filter.resource }),
    ...(since !== undefined && { since }),
    ...(place !== undefined && { place }),
    ...{ limit: shownMax, looksMax },
  })
}

function startOfDay(day: string): Instant | undefined {
  const at = Date.parse(`${day}T00:00:00Z`)
  return Number.isNaN(at) ? undefined : (at as Instant)
}

function endOfDay(day: string): SessionPlace | undefined {
  const at = startOfDay(day)
  return at === undefined ? undefined : { before: (at + dayMs) as Instant }
}

function earliest(left?: SessionPlace, right?: SessionPlace): SessionPlace | undefined {
  if (left === undefined || right === undefined) return left ?? right
  return left.before <= right.before ? left : right
}

function listPage(site: Site, visit: Visit, filter: Filter, { shown, next, emergencies }: Shown, all: boolean): Page {
  const { place: _paging, ...kept } = filter
  const older = next !== undefined && query('/recordings', { ...kept, ...next })
  const isCut = next !== undefined && shown.length < shownMax
  const filtered = Object.values(kept).some((value) => value !== '')
  const body = html`<h1>Recordings</h1>
    <p class="lead">
      ${all ? 'What happened in every session.' : 'What happened in your sessions.'} Looking at one is written in the
      audit log.
    </p>
    ${filterForm(site, filter, all)}
    ${shown.length > 0 ? table(visit, shown, emergencies) : isCut ? '' : nothing(filtered)}
    ${isCut && html`<p class="small">${shown.length === 0 ? 'Nothing matches' : 'Nothing more matches'} from ${visit.show.moment(next.before)} on. Before that nobody has looked yet.</p>`}
    ${older && html`<p class="next"><a class="btn plain" href="${older}">${isCut ? 'Look further back' : 'Older'}</a></p>`}`
  return { title: 'Recordings', current: 'recordings', body }
}

function nothing(filtered: boolean): Html {
  return filtered
    ? empty('No recording matches.', { href: '/recordings', text: 'Show all' })
    : empty('Nothing is recorded yet. A recording begins with the first connection.', {
        href: '/',
        text: 'See what to type',
      })
}

function filterForm({ deps }: Site, filter: Filter, all: boolean): Html {
  const names = [...new Set([...deps.catalogue.resources.map(({ name }) => name), filter.resource])].filter(Boolean)
  return html`<form class="tools" role="search">
    ${all && html`<label>Person <input name="person" value="${filter.person}" maxlength="100" autocomplete="off" /></label>`}
    <label
      >Resource
      <select name="resource">
        <option value="">any</option>
        ${names.map((name) => html`<option${name === filter.resource ? ' selected' : ''}>${name}</option>`)}
      </select></label
    >
    <label>From <input type="date" name="from" value="${filter.from}" /></label
    ><label>To (UTC) <input type="date" name="to" value="${filter.to}" /></label>
    <button class="btn plain">Find</button>
  </form>`
}

function table({ show }: Visit, shown: Shown['shown'], emergencies: Shown['emergencies']): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          <th scope="col">Who and where</th>
          <th scope="col" class="wide">Program</th>
          <th scope="col" class="wide">Started</th>
          <th scope="col" class="wide num">Took</th>
          <th scope="col">How it ended</th>
        </tr>
      </thead>
      <tbody>
        ${shown.map(
          ({ row: { session, end }, ran }) =>
            html`<tr>
              <td>
                <a class="name" href="${path('recordings', session.id)}">${session.personName}</a>
                <span class="role"
                  ><span class="whole">on ${session.resource}</span> <span class="whole">as ${session.role}</span></span
                >
                ${ran !== '' && html`<div class="small ${session.client.protocol === 'ssh' && 'mono'}">${ran}</div>`}
                <div class="small time narrow-only">${show.moment(session.startedAt)}</div>
              </td>
              <td class="wide small">${programOf(session)}</td>
              <td class="wide time small line">${show.moment(session.startedAt)}</td>
              <td class="wide num small">${end === null ? '' : formatLasted(end.at - session.startedAt)}</td>
              <td>${endChip(end)} ${emergencies.has(session.grant) && emergencyChip()}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}
