import { html } from 'hono/html'
import { Fault } from '../../kernel/fault.ts'
import type { GrantId, SessionId } from '../../kernel/ids.ts'
import { formatLasted } from '../../kernel/durations.ts'
import type { Instant } from '../../kernel/time.ts'
import { liveShownMax } from '../../sessions/live.ts'
import type { Client, SessionEnd, SessionRow } from '../../sessions/session.ts'
import type { Html, Visit } from '../context.ts'
import type { Page } from '../html/layout.ts'
import { moreTimeFor } from '../html/grant-life.ts'
import { chip, countdown, empty, formatBytes, path, progress } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { Site } from '../site.ts'

const commentCharsMax = 300

/** Live sessions, with the button that ends them, and one session with how it went. */
export function sessionRoutes(site: Site): void {
  const { deps } = site

  site.page('/sessions', async (visit) => {
    const all = deps.access.isOperator(visit.person)
    const rows = await deps.live.live(all ? {} : { person: visit.person.id })
    const emergencies = await deps.access.reviews.emergencies(rows.map(({ session }) => session.grant))
    return site.render(visit.c, livePage(visit, rows, all, emergencies), visit)
  })

  site.page('/sessions/:id', async (visit) => {
    const row = await seenSession(site, visit, visit.c.req.param('id') ?? '')
    const live = row.end === null ? await deps.live.live({ person: row.session.person }) : []
    const expiresAt = live.find(({ session }) => session.id === row.session.id)?.expiresAt
    return site.render(visit.c, sessionPage(visit, row, expiresAt, mayEnd(site, visit, row)), visit)
  })

  site.form('/sessions/:id/end', async (visit, fields) => {
    const id = visit.c.req.param('id') as SessionId
    await deps.live.kill(visit.person, id, fields.text('comment', commentCharsMax))
    return visit.c.redirect(path('sessions', id), 303)
  })
}

/** A session that this person may see: their own, or in an emergency that they review; operators and reviewers see all. @throws Fault NOT_FOUND */
export async function seenSession({ deps }: Site, { person }: Visit, id: string): Promise<SessionRow> {
  const row = await deps.sessions.session(id as SessionId)
  const seesAll = deps.access.isOperator(person) || deps.access.isReviewer(person)
  const isTheirs = row !== undefined && (row.session.person === person.id || seesAll)
  if (row === undefined || !(isTheirs || (await deps.access.reviews.looksAt(person, row.session.grant)))) {
    throw new Fault('NOT_FOUND', 'There is no such session that you may see.')
  }
  return row
}

export function mayEnd({ deps }: Site, { person }: Visit, { session, end }: SessionRow): boolean {
  return end === null && (session.person === person.id || deps.access.isOperator(person))
}

function livePage(
  { show, person }: Visit,
  rows: readonly (SessionRow & { expiresAt: Instant })[],
  all: boolean,
  emergencies: ReadonlySet<GrantId>,
): Page {
  const body = html`<h1>Sessions</h1>
    <p class="lead">
      ${all ? 'Every connection that is open now.' : 'Your connections that are open now.'} Earlier ones are under
      <a href="/recordings">Recordings</a>.
    </p>
    ${rows.length === 0 ? empty('No connection is open.', { href: '/', text: 'See what to type' }) : rows.map((row) => liveCard(show, row, emergencies.has(row.session.grant), row.session.person === person.id))}
    ${rows.length === liveShownMax && html`<p class="small">These are the newest ${liveShownMax}; there may be more. A lock ends all of a person, a resource or a role.</p>`}`
  return { title: 'Sessions', current: 'sessions', topic: 'sessions', body }
}

function liveCard(
  show: Show,
  { session, expiresAt }: SessionRow & { expiresAt: Instant },
  isEmergency: boolean,
  isOwn: boolean,
): Html {
  return html`<section class="card" aria-label="Session of ${session.personName} on ${session.resource}">
    <div class="row">
      <div class="grow">
        <a class="name" href="${path('sessions', session.id)}">${session.personName}</a>
        <span class="role">on ${session.resource} as ${session.role}</span>
        ${isEmergency && emergencyChip()}
        <div class="small">${programOf(session)} · since ${show.clock(session.startedAt)}</div>
      </div>
      <div class="time">${countdown(show, expiresAt)} <span class="small">until ${show.clock(expiresAt)}</span></div>
      ${isOwn && !isEmergency && moreTimeFor(session.grant, `${session.resource} as ${session.role}`)}
    </div>
    ${progress(show, session.startedAt, expiresAt)}
    <details class="later">
      <summary>End it</summary>
      ${endForm(session.id)}
    </details>
  </section>`
}

export function emergencyChip(): Html {
  return chip('stop', 'emergency')
}

export function endForm(id: string): Html {
  return html`<form method="post" action="${path('sessions', id, 'end')}" class="inline">
    <div class="grow">
      <label for="c-${id}">Why <span class="optional">the person sees it</span></label
      ><input id="c-${id}" name="comment" maxlength="${commentCharsMax}" />
    </div>
    <button class="btn stop">End session</button>
  </form>`
}

const protocolNames: Readonly<Record<Client['protocol'], string>> = { postgres: 'PostgreSQL', ssh: 'SSH', http: 'Web' }

/** `PostgreSQL, psql from 203.0.113.9`. SSH is always encrypted, without TLS. */
export function programOf({ client }: SessionRow['session']): string {
  const names = [protocolNames[client.protocol], client.application].filter(Boolean).join(', ')
  const inTheOpen = client.protocol !== 'ssh' && !client.tls
  return `${names} from ${client.address}${inTheOpen ? ', without TLS' : ''}`
}

function sessionPage(
  { show }: Visit,
  { session, end, recording }: SessionRow,
  expiresAt: Instant | undefined,
  endable: boolean,
): Page {
  const body = html`<h1>${session.personName} on ${session.resource} as ${session.role}</h1>
    <p class="lead">
      ${endChip(end)}
      ${end === null ? html`open since ${show.moment(session.startedAt)}` : html`${show.second(session.startedAt)}, for ${formatLasted(end.at - session.startedAt)}`}
    </p>
    ${
      expiresAt !== undefined &&
      html`<section class="card">
        <div class="time">
          ${countdown(show, expiresAt)} <span class="small">left, until ${show.clock(expiresAt)}</span>
        </div>
        ${progress(show, session.startedAt, expiresAt)}
      </section>`
    }
    <section class="card">
      <dl>
        <dt>Program</dt>
        <dd>${programOf(session)}</dd>
        ${
          session.database !== null &&
          html`<dt>Database</dt>
            <dd>${session.database}</dd>`
        }
        <dt>Gateway</dt>
        <dd>${session.node}</dd>
        <dt>Session</dt>
        <dd class="mono">${session.id}</dd>
        ${end !== null && endFacts(show, end)}
      </dl>
    </section>
    ${recording === null ? html`<p class="small">This role is not recorded.</p>` : html`<p class="next"><a class="btn plain" href="${path('recordings', session.id)}">See the recording</a></p>`}
    ${
      endable &&
      html`<h2>End it now</h2>
        <section class="card">${endForm(session.id)}</section>`
    }`
  return { title: `${session.personName} on ${session.resource}`, current: 'sessions', topic: 'sessions', body }
}

export function endChip(end: SessionEnd | null): Html {
  if (end === null) return chip('go', 'open')
  if (end.by === 'gate') return chip('stop', cutWords(end.code))
  return chip(
    end.code === null ? 'plain' : 'stop',
    end.by === 'client' ? 'closed by the client' : 'closed by the target',
  )
}

/** `cut: grant expired` */
export function cutWords(code: string | null): string {
  return `cut: ${(code ?? 'by the gateway').toLowerCase().replaceAll('_', ' ')}`
}

function endFacts(show: Show, end: SessionEnd): Html {
  return html`<dt>Ended</dt>
    <dd class="time">${show.second(end.at)}</dd>
    ${
      end.message !== null &&
      html`<dt>Reason</dt>
        <dd>${end.message}</dd>`
    }
    ${
      end.cutLatencyMs !== null &&
      html`<dt>Client told in</dt>
        <dd class="time">${end.cutLatencyMs < 10 ? end.cutLatencyMs.toFixed(1) : Math.round(end.cutLatencyMs)} ms</dd>`
    }
    <dt>Traffic</dt>
    <dd class="time">${formatBytes(end.bytesFromClient)} sent, ${formatBytes(end.bytesFromTarget)} received</dd>`
}
