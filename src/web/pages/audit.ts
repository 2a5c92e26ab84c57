import { html } from 'hono/html'
import { auditTypes, type AuditEvent, type AuditValue } from '../../audit/event.ts'
import type { ChainedEvent } from '../../audit/store.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import { empty, path, query } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'

const pageSize = 100

/** The audit log for reviewers, newest first. Reading it is a fact, too. */
export function auditRoutes(site: Site): void {
  const { deps, auditor } = site

  site.page('/audit', async (visit) => {
    if (!deps.access.isReviewer(visit.person)) throw new Fault('NOT_ALLOWED', 'The audit log is for reviewers.')
    const fields = fieldsOf(new URL(visit.c.req.url).searchParams)
    const type = auditTypes.find((one) => one === fields.text('type', 40))
    const text = fields.text('text', 100)
    const before = Number(fields.text('before', 16))
    if (visit.c.req.method === 'GET') await auditor.noteVisit(visit, 'log', 'audit.read', {})
    const events = await deps.audit.search({
      ...(type !== undefined && { types: [type] }),
      ...(text !== '' && { text }),
      ...(Number.isSafeInteger(before) && before > 0 && { before }),
      limit: pageSize,
    })
    const body = html`<h1>Audit</h1>
      <p class="lead">
        Every fact about the system, chained so that a change shows. <code>curfew audit verify</code> checks the chain.
      </p>
      ${filters(type, text)}
      ${events.length === 0 ? empty('No event matches.', { href: '/audit', text: 'Show all' }) : eventsTable(visit, events)}
      ${events.length === pageSize && html`<p class="next"><a class="btn plain" href="${query('/audit', { type, text, before: events.at(-1)!.sequence })}">Older</a></p>`}`
    return site.render(visit.c, { title: 'Audit', current: 'audit', body }, visit)
  })
}

function filters(type: string | undefined, text: string): Html {
  return html`<form class="tools" role="search">
    <input
      name="text"
      value="${text}"
      maxlength="100"
      aria-label="Find in events"
      placeholder="Find: a person, a resource, a code…"
    />
    <select name="type" aria-label="Kind of event">
      <option value="">Every kind</option>
      ${auditTypes.map((one) => html`<option${one === type ? ' selected' : ''}>${one}</option>`)}</select
    ><button class="btn plain">Find</button>
  </form>`
}

function eventsTable({ show }: Visit, events: readonly ChainedEvent[]): Html {
  return html`<section class="card flat">
    <table class="log">
      <thead>
        <tr>
          <th scope="col" class="num wide">No.</th>
          <th scope="col">When</th>
          <th scope="col">What</th>
          <th scope="col" class="wide">Who</th>
          <th scope="col" class="wide">More</th>
        </tr>
      </thead>
      <tbody>
        ${events.map((event) => eventRow(show, event))}
      </tbody>
    </table>
  </section>`
}

function eventRow(show: Show, { sequence, json }: ChainedEvent): Html {
  const event = JSON.parse(json) as AuditEvent
  const refused = event.type.endsWith('refused') || event.type === 'request.denied'
  return html`<tr class="${refused && 'err'}">
    <td class="num small wide">${sequence}</td>
    <td class="time small line">${show.second(event.at)}</td>
    <td>
      <span class="mono nowrap">${event.type}</span>
      <div class="small narrow-only">${event.personName ?? 'the gateway'}</div>
    </td>
    <td class="by wide">${event.personName ?? html`<span class="small">the gateway</span>`}</td>
    <td class="wide more">
      ${Object.entries(event.data).map(([name, value]) => value !== null && datum(name, value))}
    </td>
  </tr>`
}

const linked: Readonly<Record<string, string>> = { request: 'requests', session: 'sessions' }

function datum(name: string, value: AuditValue): Html {
  const text = Array.isArray(value) ? value.join(', ') : String(value)
  const folder = linked[name]
  return html`<span class="datum"
    ><span class="small">${name}</span>
    ${folder === undefined ? text : html`<a href="${path(folder, text)}">${text}</a>`}</span
  > `
}
