import { html } from 'hono/html'
import type { BundleOffer } from '../../access/ask-bundle.ts'
import type { Offer } from '../../access/access.ts'
import { formatDuration, parseDurationMs, writeDuration } from '../../kernel/durations.ts'
import { asFault, Fault } from '../../kernel/fault.ts'
import { faultStatus } from '../../kernel/fault-status.ts'
import type { Html, Visit } from '../context.ts'
import type { Fields } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { needs, path, query } from '../html/parts.ts'
import type { Site } from '../site.ts'
import { instantIn, reasonField, startField, ticketField, usualLengths, type Wrong } from '../html/ask-fields.ts'
import { stoppedLine } from '../html/offers.ts'

interface Typed {
  readonly bundle: string
  readonly length: string
  readonly reason: string
  readonly ticket: string
  readonly startsAt: string
  readonly zone: string
  /** A machine's name; empty: themselves. */
  readonly onBehalfOf: string
}

/** Asking for several things at once: one form, a request for each. */
export function askBundleRoutes(site: Site): void {
  // where the form leads to: after a new sign-in, or by the address bar
  site.page('/ask/bundle', (visit) => visit.c.redirect('/ask', 303))

  site.form('/ask/bundle', async (visit, fields) => {
    const typed = readBundle(fields)
    const offer = await bundleOf(site, visit, typed)
    try {
      const requests = await site.deps.access.askBundle(visit.person, wishOf(visit, typed))
      const shown = requests.find(({ state }) => state === 'requested') ?? requests[0]!
      return visit.c.redirect(path('requests', shown.id), 303)
    } catch (error) {
      const fault = asFault(error)
      if (fault === undefined || fault.code === 'STORE_FAILED') throw error
      return site.render(visit.c, bundlePage(visit, offer, typed, { field: undefined, fault }), visit)
    }
  })
}

export function readBundle(fields: Fields): Typed {
  return {
    bundle: fields.text('bundle', 64),
    length: fields.text('for', 16),
    reason: fields.text('reason', 1000),
    ticket: fields.text('ticket', 100),
    startsAt: fields.text('startsAt', 64),
    zone: fields.text('zone', 64),
    onBehalfOf: fields.text('onBehalfOf', 64),
  }
}

/** @throws Fault RESOURCE_UNKNOWN, NOT_ALLOWED */
export async function bundleOf({ deps }: Site, visit: Visit, { bundle, onBehalfOf }: Typed): Promise<BundleOffer> {
  const { access } = deps
  if (onBehalfOf === '') return access.bundle(visit.person, bundle, visit)
  return access.bundle(await access.holder(visit.person, onBehalfOf), bundle)
}

function wishOf({ address }: Visit, { bundle, length, reason, ticket, startsAt, zone, onBehalfOf }: Typed) {
  const lengthMs = length === '' ? null : parseDurationMs(length)
  if (lengthMs === undefined) {
    throw new Fault('LENGTH_REFUSED', 'Give a length of time.', { hint: 'Such as 30m or 2h.' })
  }
  return {
    ...{ bundle, lengthMs, reason, ticket: ticket === '' ? null : ticket },
    startsAt: startsAt === '' ? null : instantIn(startsAt, zone),
    ...{ origin: `browser at ${address}`, asker: { address }, onBehalfOf: onBehalfOf || undefined },
  }
}

export function bundlePage(visit: Visit, offer: BundleOffer, typed: Typed, wrong: Wrong | undefined): Page {
  const { bundle, offers } = offer
  const machine = typed.onBehalfOf === '' ? '' : `, for the machine ${typed.onBehalfOf}`
  const together = `You ask for all of it at once${machine}`
  const body = html`<h1>Ask for “${bundle.name}”</h1>
    ${bundle.description !== '' && html`<p class="lead">${bundle.description}</p>`}
    <p class="small still">${together}; each part is decided by itself.</p>
    ${partsTable(visit, offer)}
    <form method="post" action="/ask/bundle" class="stack">
      ${wrong !== undefined && html`<p class="notice stop" role="alert">${wrong.fault.message} ${wrong.fault.hint}</p>`}
      <input type="hidden" name="bundle" value="${bundle.name}" />
      ${typed.onBehalfOf !== '' && html`<input type="hidden" name="onBehalfOf" value="${typed.onBehalfOf}" />`}
      ${lengthChoice(offers, typed)} ${reasonField(strictest(offers), typed, wrong)}
      ${ticketField(offers.find(({ policy }) => policy.ticket !== null) ?? offers[0]!, typed, wrong)}
      ${startField(visit, typed, wrong)}
      <div class="actions"><a class="btn plain" href="/">Back</a><button class="btn go">Ask for all of it</button></div>
    </form>`
  const status = wrong === undefined ? {} : { status: faultStatus[wrong.fault.code] }
  return { title: `Ask for ${bundle.name}`, current: 'access', narrow: true, ...status, body }
}

function strictest(offers: readonly Offer[]): Offer {
  return offers.find(({ policy }) => policy.reason === 'required') ?? offers[0]!
}

function partsTable({ show }: Visit, { bundle, offers }: BundleOffer): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">Takes</th>
          <th scope="col">How long</th>
        </tr>
      </thead>
      <tbody>
        ${bundle.items.map(({ resource, role, lengthMs }, at) => {
          const { policy, stopped } = offers[at]!
          return html`<tr>
            <td>
              <span class="name">${resource}</span> <span class="role">as ${role}</span>
              ${stopped !== undefined && stoppedLine(show, stopped)}
            </td>
            <td>${needs(policy.approval)}</td>
            <td>${formatDuration(lengthMs ?? policy.length.defaultMs)}</td>
          </tr>`
        })}
      </tbody>
    </table>
  </section>`
}

/** As the table says, or one length for each part, which every policy gives. */
function lengthChoice(offers: readonly Offer[], typed: Typed): Html {
  const mostMs = Math.min(...offers.map(({ policy }) => policy.length.mostMs))
  const choices = usualLengths.map((text) => parseDurationMs(text)!).filter((one) => one <= mostMs)
  const chosenMs = parseDurationMs(typed.length)
  return html`<label for="for">How long</label>
    <select id="for" name="for">
      <option value="">as above</option>
      ${choices.map(
        (one) =>
          html`<option value="${writeDuration(one)}" ${one === chosenMs ? ' selected' : ''}>
            ${formatDuration(one)} each
          </option>`,
      )}
    </select>`
}

/** On the first page, before what is asked for one by one. */
export function bundleOffers(bundles: readonly BundleOffer[]): Html | false {
  if (bundles.length === 0) return false
  return html`<h2>You can ask for together</h2>
    <section class="card">
      <ul class="plain-list">
        ${bundles.map(
          ({ bundle }) =>
            html`<li class="row">
              <span class="grow"
                ><span class="name">${bundle.name}</span> ${bundle.description}
                <div class="small">
                  ${bundle.items.map(({ resource, role }) => `${resource} as ${role}`).join(', ')}
                </div></span
              >
              <a
                class="btn plain small-btn"
                href="${query('/ask', { bundle: bundle.name })}"
                aria-label="Ask for ${bundle.name}"
                >Ask</a
              >
            </li>`,
        )}
      </ul>
    </section>`
}
