import { html } from 'hono/html'
import { differenceKinds, differenceWords } from '../../access/reports/differences.ts'
import type { DryRun, FoundDifference } from '../../access/reports/dry-run.ts'
import { daysMost, daysUsual } from '../../access/reports/shapes.ts'
import { rulesIn } from '../../config/load-rules.ts'
import { ConfigProblems, formatProblem } from '../../config/problems.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Html, Visit } from '../context.ts'
import { empty, notice, path } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'

/** What a form carries; longer files go by the command line. */
const textCharsMost = 40_000
const shownMost = 200
const current = 'reports'

/** What changed policies would have said to what was asked for. For operators. */
export function dryRunRoutes(site: Site): void {
  const { reports } = site.deps

  site.page('/reports/dry-run', async (visit) => {
    operatorsOnly(site, visit)
    return site.render(visit.c, { title: 'Dry run', current, body: formBody('', daysUsual) }, visit)
  })

  site.form('/reports/dry-run', async (visit, fields) => {
    operatorsOnly(site, visit)
    const [text, days] = [fields.text('policies', textCharsMost), Number(fields.text('days', 4))]
    const after = read(text)
    if ('problems' in after) {
      const body = formBody(text, days, after.problems)
      return site.render(visit.c, { title: 'Dry run', current, body, status: 422 }, visit)
    }
    await site.auditor.note(visit, 'report.read', { report: 'dry-run', days })
    const run = await reports.dryRun(visit.person, after, days)
    return site.render(visit.c, { title: 'Dry run', current, body: resultBody(visit, run) }, visit)
  })
}

function operatorsOnly({ deps }: Site, { person }: Visit): void {
  if (!deps.reports.mayDryRun(person)) throw new Fault('NOT_ALLOWED', 'Dry runs are for operators.')
}

function read(text: string) {
  try {
    return rulesIn('policies', text)
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    return { problems: error.problems.map(formatProblem) }
  }
}

function formBody(text: string, days: number, problems: readonly string[] = []): Html {
  return html`<p class="small"><a href="/reports">Reports</a></p>
    <h1>Dry run</h1>
    <p class="lead">
      What changed policies would have said to what was asked for lately, and whom they would cut off. Nothing is
      changed by it.
    </p>
    ${problems.length > 0 && notice('stop', 'These are no policies that a gateway would take:')}
    ${problems.length > 0 && html`<pre class="body">${problems.join('\n')}</pre>`}
    <form method="post" class="stack">
      <label for="policies">The changed file, or its parts <code>resources</code> and <code>policies</code></label>
      <textarea id="policies" name="policies" rows="14" maxlength="${textCharsMost}" spellcheck="false" required>
${text}</textarea>
      <label for="days">Days back from now</label>
      <input id="days" name="days" type="number" min="1" max="${daysMost}" value="${days}" required />
      <p class="small">
        For a longer file: <code>curfew policy dry-run FILE</code>. Secrets are never read, only where they are.
      </p>
      <button class="btn go">Try it</button>
    </form>`
}

function resultBody({ show }: Visit, run: DryRun): Html {
  const { days, looked, counts, differences, isCut, reach } = run
  const found = differenceKinds.filter((kind) => counts[kind] > 0)
  return html`<p class="small"><a href="/reports">Reports</a></p>
    <h1>Dry run</h1>
    <p class="lead">
      ${looked.requests} requests and ${looked.attempts} refused attempts of ${days} days, and ${looked.grants} living
      grants were judged by both.
    </p>
    ${
      found.length === 0
        ? empty('Nothing of it would have been judged otherwise.')
        : html`<section class="card">
            <ul class="rows">
              ${found.map((kind) => html`<li><strong>${counts[kind]}</strong> ${differenceWords[kind]}</li>`)}
            </ul>
          </section>`
    }
    ${differences.length > 0 && differencesTable(show, differences.slice(0, shownMost))}
    ${
      (isCut || differences.length > shownMost) &&
      html`<p class="small">The first ${Math.min(shownMost, differences.length)} are shown.</p>`
    }
    ${reachPart('Who could reach more', reach.gained)} ${reachPart('Who could reach less', reach.lost)}
    <p class="small">${dryRunCaveat}</p>
    <p class="next"><a class="btn plain" href="/reports/dry-run">Try another</a></p>`
}

export const dryRunCaveat =
  'People are judged with the groups and claims that they have now, by the address that they asked from, and with the risk that was worked out then.'

function differencesTable(show: Show, differences: readonly FoundDifference[]): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          <th scope="col">Who and what</th>
          <th scope="col">How it would differ</th>
        </tr>
      </thead>
      <tbody>
        ${differences.map(
          (one) =>
            html`<tr>
              <td>
                ${nameOf(one)}
                <span class="role"
                  ><span class="whole">${one.resource}</span> <span class="whole">as ${one.role}</span></span
                >
                <div class="small time">${show.moment(one.at)}</div>
              </td>
              <td>
                <strong>${one.kinds.map((kind) => differenceWords[kind]).join(', ')}</strong>
                <div><span class="small">Now</span> ${one.before}</div>
                <div><span class="small">Changed</span> ${one.after}</div>
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

function nameOf({ what, id, person }: FoundDifference): Html {
  if (what !== 'request' || id === null) return html`<span class="name">${person}</span>`
  return html`<a class="name" href="${path('requests', id)}">${person}</a>`
}

function reachPart(title: string, lines: readonly string[]): Html | false {
  if (lines.length === 0) return false
  return html`<h2>${title}</h2>
    <section class="card">
      <ul class="rows">
        ${lines.slice(0, shownMost).map((line) => html`<li>${line}</li>`)}
      </ul>
      ${lines.length > shownMost && html`<p class="small">The first ${shownMost} of ${lines.length}.</p>`}
    </section>`
}
