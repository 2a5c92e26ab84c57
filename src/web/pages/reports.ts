import { html } from 'hono/html'
import {
  daysMost,
  daysUsual,
  reportNames,
  reportShapes,
  type Cell,
  type Column,
  type Report,
  type ReportName,
} from '../../access/reports/shapes.ts'
import { formatLasted } from '../../kernel/durations.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Instant } from '../../kernel/time.ts'
import { csvAnswer, forStaff, reportCalled } from '../api-reports.ts'
import type { Html, Visit } from '../context.ts'
import { empty, formatBytes, notice, path, query } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import { cellOf, reportCsv, reportJson } from '../report-json.ts'
import type { Site } from '../site.ts'

/** The page shows the first; the files have all. */
const shownMost = 300
const dayChoices = [7, 30, 90, 365]

/** What happened, and what could, summed up. For reviewers and operators; reading one is written in the audit log. */
export function reportRoutes(site: Site): void {
  const { reports } = site.deps

  site.page('/reports', async (visit) => {
    staffOnly(site, visit)
    return site.render(visit.c, { title: 'Reports', current: 'reports', body: listBody(site, visit) }, visit)
  })

  site.page('/reports/:name', async (visit) => {
    staffOnly(site, visit)
    const name = reportCalled(visit.c.req.param('name'))
    const days = daysOf(visit)
    await site.auditor.noteVisit(visit, name, 'report.read', { report: name, days })
    const report = await reports.read(visit.person, name, days)
    const body = reportBody(visit, report, days)
    return site.render(visit.c, { title: reportShapes[name].title, current: 'reports', body }, visit)
  })

  site.page('/reports/:name/download', async (visit) => {
    staffOnly(site, visit)
    const name = reportCalled(visit.c.req.param('name'))
    const [days, format] = [daysOf(visit), visit.c.req.query('format')]
    if (format !== 'csv' && format !== 'json') throw new Fault('NOT_FOUND', 'Reports come as csv or json.')
    await site.auditor.note(visit, 'report.read', { report: name, days, format })
    const report = await reports.read(visit.person, name, days)
    visit.c.header('Content-Disposition', `attachment; filename="curfew-${name}.${format}"`)
    return format === 'csv' ? csvAnswer(visit.c, reportCsv(report)) : visit.c.json(reportJson(report))
  })
}

export function staffOnly({ deps }: Site, { person }: Visit): void {
  if (!deps.reports.mayRead(person)) throw forStaff()
}

/** @throws Fault INPUT_INVALID */
function daysOf({ c }: Visit): number {
  const text = c.req.query('days') ?? String(daysUsual)
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (days >= 1 && days <= daysMost) return days
  throw new Fault('INPUT_INVALID', `A report looks back 1 to ${daysMost} days.`)
}

function listBody({ deps }: Site, { person }: Visit): Html {
  const row = (href: string, title: string, says: string) =>
    html`<li>
      <a class="name" href="${href}">${title}</a>
      <div class="small">${says}</div>
    </li>`
  return html`<h1>Reports</h1>
    <p class="lead">Reading one is written in the audit log.</p>
    <section class="card">
      <ul class="rows">
        ${reportNames.map((name) => row(path('reports', name), reportShapes[name].title, reportShapes[name].says))}
        ${
          deps.reports.mayDryRun(person) &&
          row('/reports/dry-run', 'Dry run', 'What changed policies would have said to what was asked for lately.')
        }
      </ul>
    </section>`
}

function reportBody({ show }: Visit, report: Report, days: number): Html {
  const { title, says, isOverTime } = reportShapes[report.name]
  const shown = report.rows.slice(0, shownMost)
  const rows = report.rows.length
  return html`<p class="small"><a href="/reports">Reports</a></p>
    <h1>${title}</h1>
    <p class="lead">${says}</p>
    ${isOverTime && daysForm(days)}
    ${report.isCut && notice('wait', 'There is more than this report looks at. Look back fewer days to see all of it.')}
    ${rows === 0 ? empty(nothingWords[report.name]) : reportTable(show, report, shown)}
    ${rows > shown.length && html`<p class="small">The first ${shown.length} of ${rows} rows. The files have all.</p>`}
    ${rows > 0 && downloads(report.name, isOverTime ? days : undefined)}`
}

const nothingWords: Readonly<Record<ReportName, string>> = {
  'without-a-human': 'No policy lets anybody in without an approval.',
  standing: 'Nobody has access now, and no token works for long.',
  unused: 'Everything was used in these days.',
  requests: 'Nobody asked for anything in these days.',
  failed: 'Nothing was refused in these days.',
  use: 'Nobody had a session in these days.',
}

function daysForm(days: number): Html {
  const choices = [...new Set([...dayChoices, days])].toSorted((left, right) => left - right)
  return html`<form class="tools" role="search">
    <label
      >Back from now
      <select name="days">
        ${choices.map((one) => html`<option value="${one}" ${one === days ? html` selected` : ''}>${one} days</option>`)}
      </select></label
    ><button class="btn plain">Show</button>
  </form>`
}

function downloads(name: ReportName, days: number | undefined): Html {
  const link = (format: string) =>
    html`<a class="btn plain" href="${query(`${path('reports', name)}/download`, { format, days })}" download
      >${format.toUpperCase()}</a
    >`
  return html`<p class="next">${link('csv')} ${link('json')}</p>`
}

/** First columns stand for themselves; what else there is follows in one, on a phone below. */
function reportTable(show: Show, { name }: Report, rows: Report['rows']): Html {
  const columns: readonly Column[] = reportShapes[name].columns
  const first = columns.filter(({ isFirst }) => isFirst === true)
  const others = columns.filter(({ isFirst }) => isFirst !== true)
  return html`<section class="card flat">
    <table class="report">
      <thead>
        <tr>
          ${first.map((column) => html`<th scope="col" class="${classOf(column)}">${column.head}</th>`)}
          <th scope="col" class="wide">More</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map((row) => {
          const more = others.map((column) => moreOf(show, column, cellOf(row, column)))
          return html`<tr>
              ${first.map((column) => html`<td class="${classOf(column)}" data-head="${column.head}">${cellHtml(show, column, cellOf(row, column))}</td>`)}
              <td class="wide more">${more}</td>
            </tr>
            <tr class="narrow-only below">
              <td colspan="${first.length}">${more}</td>
            </tr>`
        })}
      </tbody>
    </table>
  </section>`
}

function classOf({ kind }: Column): string {
  return ['count', 'bytes', 'share'].includes(kind) ? 'num' : ''
}

function moreOf(show: Show, column: Column, cell: Cell): Html | '' {
  const isNothing = cell === null || cell === false || cell === '' || (Array.isArray(cell) && cell.length === 0)
  if (isNothing && column.kind !== 'moment') return ''
  return html`<span class="datum"><span class="small">${column.head}</span> ${cellHtml(show, column, cell)}</span> `
}

function cellHtml(show: Show, { kind }: Column, cell: Cell): Html | string {
  if (cell === null) return kind === 'moment' ? 'never' : html`<span class="small">–</span>`
  switch (kind) {
    case 'moment':
      return show.moment(cell as Instant)
    case 'length':
      return formatLasted(cell as number)
    case 'bytes':
      return formatBytes(cell as number)
    case 'share':
      return `${Math.round((cell as number) * 100)} %`
    case 'flag':
      return cell === true ? 'yes' : 'no'
    default:
      return typeof cell === 'object' ? cell.join('; ') : String(cell)
  }
}
