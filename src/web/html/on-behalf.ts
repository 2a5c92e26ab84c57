import { html } from 'hono/html'
import type { Offer } from '../../access/access.ts'
import type { BundleOffer } from '../../access/ask-bundle.ts'
import { displayName, type Person } from '../../identity/person.ts'
import type { Html, Visit } from '../context.ts'
import type { Site } from '../site.ts'
import { needs, path, query, requestChip } from './parts.ts'

/** A machine that somebody may ask for, and what it may have. */
export interface MachineOffers {
  readonly machine: Person
  readonly offers: readonly Offer[]
  readonly bundles: readonly BundleOffer[]
}

/** Those that may have something at all. Where it asks from is not known. */
export async function machineOffersFor({ deps }: Site, { person }: Visit): Promise<readonly MachineOffers[]> {
  const machines = await deps.access.machinesFor(person)
  return machines
    .map((machine) => ({ machine, offers: deps.access.offers(machine), bundles: deps.access.bundles(machine) }))
    .filter(({ offers }) => offers.length > 0)
}

/** Below what people may ask for themselves. */
export function machineOffersList(all: readonly MachineOffers[]): readonly Html[] {
  return all.map(
    ({ machine, offers, bundles }) =>
      html`<h2>For the machine ${displayName(machine)}</h2>
        <section class="card flat">
          <table>
            <tbody>
              ${bundles.map((offer) => machineBundle(displayName(machine), offer))}
              ${offers.map((offer) => machineOffer(displayName(machine), offer))}
            </tbody>
          </table>
        </section>`,
  )
}

function machineOffer(onBehalfOf: string, { resource, role, policy }: Offer): Html {
  const link = query('/ask', { resource: resource.name, role: role.name, onBehalfOf })
  return html`<tr>
    <td><span class="name">${resource.name}</span> <span class="small">${resource.kind}</span></td>
    <td>${role.name}</td>
    <td class="wide">${needs(policy.approval)}</td>
    ${askCell(link, `${resource.name} as ${role.name} for ${onBehalfOf}`)}
  </tr>`
}

function machineBundle(onBehalfOf: string, { bundle }: BundleOffer): Html {
  return html`<tr>
    <td><span class="name">${bundle.name}</span> <span class="small">all together</span></td>
    <td colspan="2">${bundle.items.map(({ resource, role }) => `${resource} as ${role}`).join(', ')}</td>
    ${askCell(query('/ask', { bundle: bundle.name, onBehalfOf }), `${bundle.name} for ${onBehalfOf}`)}
  </tr>`
}

function askCell(link: string, what: string): Html {
  return html`<td class="num"><a class="btn plain small-btn" href="${link}" aria-label="Ask for ${what}">Ask</a></td>`
}

/** Whom it is for. Only people who may ask for some machine that may have it see the choice. */
export function forField(
  { resource, role }: Offer,
  all: readonly MachineOffers[],
  { forThemselves, chosen }: { readonly forThemselves: boolean; readonly chosen: string },
): Html | false {
  const isThere = (offer: Offer) => offer.resource.name === resource.name && offer.role.name === role.name
  const names = all.filter(({ offers }) => offers.some(isThere)).map(({ machine }) => displayName(machine))
  if (names.length === 0) return false
  return html`<label for="onBehalfOf">For</label>
    <select id="onBehalfOf" name="onBehalfOf">
      ${forThemselves && html`<option value="">me</option>`}
      ${names.map(
        (name) => html`<option value="${name}" ${name === chosen ? ' selected' : ''}>the machine ${name}</option>`,
      )}
    </select>`
}

const filedShownMax = 8

/** What somebody asked for machines lately; nothing for those who never did. */
export async function filedForMachines({ deps }: Site, { person, show }: Visit): Promise<Html | false> {
  const { access } = deps
  const filed = await access.requestsAskedBy(person, filedShownMax)
  if (filed.length === 0) return false
  const views = await Promise.all(filed.map(({ id }) => access.view(person, id)))
  return html`<h2>Asked for machines</h2>
    <section class="card flat">
      <table>
        <tbody>
          ${views.map(
            ({ request, requester }) =>
              html`<tr>
                <td>
                  <a href="${path('requests', request.id)}">${request.resource}</a>
                  <span class="small">as ${request.role} for ${displayName(requester)}</span>
                </td>
                <td class="wide">${show.moment(request.askedAt)}</td>
                <td class="num">${requestChip(request)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>`
}
