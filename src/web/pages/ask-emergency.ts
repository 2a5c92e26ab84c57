import { html } from 'hono/html'
import type { Offer } from '../../access/access.ts'
import { formatDuration, parseDurationMs } from '../../kernel/durations.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import { approversWords } from '../../policy/approval.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf, type Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { path, query } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import { onwardFields, readOnward, type Onward } from '../onward.ts'
import type { Site } from '../site.ts'
import { lengthField, ticketField } from '../html/ask-fields.ts'
import { fittingOffers, offersMax, stoppedLine, type Finding } from '../html/offers.ts'

const limits = { name: 64, length: 16, reason: 1000, ticket: 100 } as const

interface Typed {
  readonly resource: string
  readonly role: string
  readonly length: string
  readonly reason: string
  readonly ticket: string
  readonly isConfirmed: boolean
  readonly onward: Onward | undefined
}

/** Taking access as an emergency: a form of its own, so that nobody does it by habit. */
export function askEmergencyRoutes(site: Site): void {
  const { access } = site.deps

  site.page('/ask/emergency', (visit) => {
    const typed = read(fieldsOf(new URL(visit.c.req.url).searchParams))
    const offer = access.emergency(visit.person, typed.resource, typed.role, visit)
    return site.render(visit.c, formPage(visit, offer, typed, undefined), visit)
  })

  site.form('/ask/emergency', async (visit, fields) => {
    const typed = read(fields)
    const offer = access.emergency(visit.person, typed.resource, typed.role, visit)
    try {
      const { id } = await access.ask(visit.person, wishOf(visit, typed))
      return visit.c.redirect(query(path('requests', id), onwardFields(typed.onward, 'then')), 303)
    } catch (error) {
      const fault = asFault(error)
      if (fault === undefined || fault.code === 'STORE_FAILED') throw error
      return site.render(visit.c, formPage(visit, offer, typed, fault), visit)
    }
  })
}

function read(fields: Fields): Typed {
  return {
    resource: fields.text('resource', limits.name),
    role: fields.text('role', limits.name),
    length: fields.text('for', limits.length),
    reason: fields.text('reason', limits.reason),
    ticket: fields.text('ticket', limits.ticket),
    isConfirmed: fields.flag('confirm'),
    onward: readOnward(fields, 'then'),
  }
}

function wishOf({ address }: Visit, { resource, role, length, reason, ticket, isConfirmed }: Typed) {
  const lengthMs = parseDurationMs(length)
  if (lengthMs === undefined) {
    throw new Fault('LENGTH_REFUSED', 'Give a length of time.', { hint: 'Such as 30m.' })
  }
  if (!isConfirmed) {
    throw new Fault('INPUT_INVALID', 'Nothing was done.', {
      hint: 'Confirm that you know who is told, and who looks at it.',
    })
  }
  return {
    ...{ resource, role, lengthMs, reason, ticket: ticket === '' ? null : ticket, startsAt: null, emergency: true },
    ...{ origin: `browser at ${address}`, asker: { address } },
  }
}

function formPage({ show }: Visit, offer: Offer, typed: Typed, wrong: Fault | undefined): Page {
  const { resource, role, policy, stopped } = offer
  const about = `${resource.name} as ${role.name}`
  const body = html`<h1>Emergency: ${about}</h1>
    <p class="notice stop">
      <strong>This is loud.</strong> It begins at once, without asking anybody, and those who look at it afterwards
      (${reviewersOf(offer)}) and the security list are told that you did it. It lasts
      ${formatDuration(policy.length.mostMs)} at most, and afterwards one of them must say whether it was justified.
    </p>
    ${stopped !== undefined && stoppedLine(show, stopped)}
    <form method="post" action="/ask/emergency" class="stack">
      ${wrong !== undefined && html`<p class="notice stop" role="alert">${wrong.message} ${wrong.hint}</p>`}
      ${Object.entries({ resource: resource.name, role: role.name, ...onwardFields(typed.onward, 'then') }).map(
        ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
      )}
      <label for="reason">What is going on</label>
      <textarea
        id="reason"
        name="reason"
        rows="3"
        maxlength="${limits.reason}"
        required
        aria-describedby="reason-help"
        ${wrong?.code === 'REASON_REQUIRED' ? html` aria-invalid="true"` : ''}
      >
${typed.reason}</textarea>
      <p class="help" id="reason-help">A sentence; everybody who is told reads it.</p>
      ${ticketField(offer, typed, undefined)} ${lengthField(offer, typed, undefined)}
      <label class="check"
        ><input type="checkbox" name="confirm" value="yes" required /> I know that people are told at once, and that
        somebody looks at it afterwards.</label
      >
      <div class="actions"><a class="btn plain" href="/">Back</a><button class="btn stop">Take access now</button></div>
    </form>`
  const status = wrong === undefined ? {} : { status: faultStatus[wrong.code] }
  return { title: `Emergency: ${resource.name}`, current: 'access', narrow: true, ...status, body }
}

function reviewersOf({ policy }: Offer): string {
  return policy.breakGlass === undefined ? '' : approversWords(policy.breakGlass.review)
}

/** On the first page, away from what is asked for in the usual way. */
export function emergencyOffers(show: Show, all: readonly Offer[], finding: Finding): Html | false {
  const fitting = fittingOffers(all, finding)
  if (fitting.length === 0) return false
  const offers = fitting.slice(0, offersMax)
  return html`<h2>In an emergency</h2>
    <section class="card">
      <p class="small still">
        At once, without asking anybody. Security hears of it, and somebody looks at it afterwards.
      </p>
      <ul class="plain-list">
        ${offers.map(
          ({ resource, role, policy, stopped }) =>
            html`<li class="row">
              <span class="grow"
                ><span class="name">${resource.name}</span> <span class="role">as ${role.name}</span>
                <span class="small">for ${formatDuration(policy.length.mostMs)} at most</span>
                ${stopped !== undefined && stoppedLine(show, stopped)}</span
              >
              <a
                class="btn stop small-btn"
                href="${query('/ask/emergency', { resource: resource.name, role: role.name })}"
                aria-label="Emergency: ${resource.name} as ${role.name}"
                >Break glass</a
              >
            </li>`,
        )}
      </ul>
      ${fitting.length > offersMax && html`<p class="small">${offersMax} of ${fitting.length}.</p>`}
    </section>`
}
