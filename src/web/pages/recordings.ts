import { html } from 'hono/html'
import { formatLasted } from '../../kernel/durations.ts'
import type { GrantId, SessionId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { SessionRow } from '../../sessions/session.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf, type Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { empty, path, query } from '../html/parts.ts'
import { createRanInShort } from '../ran-in-short.ts'
import type { Site } from '../site.ts'
import { emergencyChip, endChip, programOf } from './sessions.ts'

const shownMax = 50
/** Sessions looked at for one page of matches: a rare name must not read the whole table at once. */
const lookedAtMax = 2000
const batch = 200
const dayMs = 86_400_000

interface Filter {
  readonly person: string
  readonly resource: string
  /** Days, `2026-11-22`, in UTC; empty: open. */
  readonly from: string
  readonly to: string
  readonly place: Place | undefined
}

/** Where a page goes on: behind a session that started then. Several may start in one millisecond. */
interface Place {
  readonly before: Instant
  readonly behind?: SessionId
}

interface Found {
  readonly rows: readonly SessionRow[]
  /** Where the next page goes on; undefined at the end. */
  readonly next: Place | undefined
}

interface Shown {
  readonly shown: readonly { readonly row: SessionRow; readonly ran: string }[]
  readonly next: Place | undefined
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

/** Goes back through the sessions in batches until the page is full or enough was looked at. */
async function find({ deps }: Site, { person }: Visit, filter: Filter, all: boolean): Promise<Found> {
  const rows: SessionRow[] = []
  let place = earliest(filter.place, endOfDay(filter.to))
  for (let lookedAt = 0; lookedAt < lookedAtMax; lookedAt += batch) {
    const some = await deps.sessions.sessions({
      ...(!all && { person: person.id }),
      ...place,
      limit: batch,
    })
    for (const row of some) {
      if (row.session.startedAt < (startOfDay(filter.from) ?? 0)) return { rows, next: undefined }
      place = { before: row.session.startedAt, behind: row.session.id }
      if (row.recording !== null && matches(row, filter)) rows.push(row)
      if (rows.length === shownMax) return { rows, next: place }
    }
    if (some.length < batch) return { rows, next: undefined }
  }
  return { rows, next: place }
}

function matches({ session }: SessionRow, { person, resource }: Filter): boolean {
  return (
    session.personName.toLowerCase().includes(person.toLowerCase()) &&
    (resource === '' || session.resource === resource)
  )
}

function startOfDay(day: string): number | undefined {
  const at = Date.parse(`${day}T00:00:00Z`)
  return Number.isNaN(at) ? undefined : at
}

function endOfDay(day: string): Place | undefined {
  const at = startOfDay(day)
  return at === undefined ? undefined : { before: (at + dayMs) as Instant }
}

function earliest(left: Place | undefined, right: Place | undefined): Place | undefined {
  if (left === undefined || right === undefined) return left ?? right
  return left.before <= right.before ? left : right
}

function listPage(site: Site, visit: Visit, filter: Filter, { shown, next, emergencies }: Shown, all: boolean): Page {
  const { place: _paging, ...kept } = filter
  const older = next !== undefined && query('/recordings', { ...kept, ...next })
  const filtered = Object.values(kept).some((value) => value !== '')
  const body = html`<h1>Recordings</h1>
    <p class="lead">
      ${all ? 'What happened in every session.' : 'What happened in your sessions.'} Looking at one is written in the
      audit log.
    </p>
    ${filterForm(site, filter, all)} ${shown.length === 0 ? nothing(filtered) : table(visit, shown, emergencies)}
    ${older && html`<p class="next"><a class="btn plain" href="${older}">Older</a></p>`}`
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
