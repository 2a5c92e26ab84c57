import { html } from 'hono/html'
import type { ExtensionOffer } from '../../access/extend.ts'
import { formatDuration, parseDurationMs } from '../../kernel/durations.ts'
import { asFault, Fault, type FaultCode } from '../../kernel/fault.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import type { GrantId } from '../../kernel/ids.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf, type Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { countdown, needs, notice, path, query } from '../html/parts.ts'
import type { Site } from '../site.ts'
import { lengthField, reasonField, ticketField, type Wrong } from '../html/ask-fields.ts'

interface Typed {
  readonly length: string
  readonly reason: string
  readonly ticket: string
}

/** What can be mended on the form. */
const fieldOf: Partial<Record<FaultCode, Wrong['field'] | 'form'>> = {
  ...{ REASON_REQUIRED: 'reason', TICKET_REQUIRED: 'ticket', LENGTH_REFUSED: 'for' },
  ...{ INPUT_INVALID: 'form', LOCKED: 'form', NOT_ALLOWED: 'form', OUTSIDE_WINDOW: 'form' },
  ...{ POLICY_DENIES: 'form', FROM_ELSEWHERE: 'form', RATE_LIMITED: 'form' },
}

/** More time for access that is open: psql, ssh and the pages link here before it ends. */
export function extendRoutes(site: Site): void {
  const { access } = site.deps

  site.page('/grants/:id/extend', async (visit) => {
    const offer = await access.extension(visit.person, idOf(visit))
    const typed = read(fieldsOf(new URL(visit.c.req.url).searchParams))
    return site.render(visit.c, extendPage(visit, offer, typed, undefined), visit)
  })

  site.form('/grants/:id/extend', async (visit, fields) => {
    const typed = read(fields)
    try {
      const { id } = await access.extend(visit.person, idOf(visit), wishOf(visit, typed))
      return visit.c.redirect(path('requests', id), 303)
    } catch (error) {
      const fault = asFault(error)
      const field = fault && fieldOf[fault.code]
      if (fault === undefined || field === undefined) throw error
      const offer = await access.extension(visit.person, idOf(visit))
      const wrong = { fault, field: field === 'form' ? undefined : field }
      return site.render(visit.c, extendPage(visit, offer, typed, wrong), visit)
    }
  })
}

function idOf({ c }: Visit): GrantId {
  return c.req.param('id') as GrantId
}

function read(fields: Fields): Typed {
  return { length: fields.text('for', 16), reason: fields.text('reason', 1000), ticket: fields.text('ticket', 100) }
}

function wishOf({ address }: Visit, { length, reason, ticket }: Typed) {
  const lengthMs = parseDurationMs(length)
  if (lengthMs === undefined) {
    throw new Fault('LENGTH_REFUSED', 'Give a length of time.', { hint: 'Such as 30m or 2h.' })
  }
  const from = { origin: `browser at ${address}`, asker: { address } }
  return { lengthMs, reason, ticket: ticket === '' ? null : ticket, ...from }
}

function extendPage({ show }: Visit, offer: ExtensionOffer, typed: Typed, wrong: Wrong | undefined): Page {
  const { grant, policy, open } = offer
  const body = html`<h1>More time for ${grant.resource} as ${grant.role}</h1>
    <p class="lead">
      It ends in ${countdown(show, grant.expiresAt)}, at ${show.clock(grant.expiresAt)}.
      ${policy.approval.kind === 'none' ? 'More time needs nobody’s approval.' : `More time needs approval by ${needs(policy.approval)}.`}
      What is connected lives on.
    </p>
    ${open !== undefined && notice('wait', html`You have asked already: <a href="${path('requests', open.id)}">see how it stands</a>.`)}
    ${open === undefined && (whyNot(offer) ?? form(offer, typed, wrong))}`
  const status = wrong === undefined ? {} : { status: faultStatus[wrong.fault.code] }
  return { title: `More time for ${grant.resource}`, current: 'access', narrow: true, ...status, body }
}

function whyNot({ grant, policy, mostMs, why }: ExtensionOffer): Html | undefined {
  const totalMs = policy.grants?.totalMs ?? null
  const spent =
    mostMs < 1000 && totalMs !== null ? `It lasts at most ${formatDuration(totalMs)} with extensions.` : null
  const reason = why ?? spent
  if (reason === null) return undefined
  const again = query('/ask', { resource: grant.resource, role: grant.role })
  return html`${notice('stop', reason)}
    <p class="next"><a class="btn plain" href="${again}">Ask for new access</a></p>`
}

function form({ grant, policy, mostMs }: ExtensionOffer, typed: Typed, wrong: Wrong | undefined): Html {
  const { defaultMs } = policy.length
  const upTo = { policy: { ...policy, length: { defaultMs: Math.min(defaultMs, mostMs), mostMs } } }
  return html`<form method="post" action="${path('grants', grant.id, 'extend')}" class="stack">
    ${wrong !== undefined && html`<p class="notice stop" role="alert">${wrong.fault.message} ${wrong.fault.hint}</p>`}
    ${lengthField(upTo, typed, wrong)} ${reasonField(upTo, typed, wrong)} ${ticketField(upTo, typed, wrong)}
    <div class="actions"><a class="btn plain" href="/">Back</a><button class="btn go">Ask</button></div>
  </form>`
}
