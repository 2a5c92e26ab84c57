import { html } from 'hono/html'
import type { Offer } from '../../access/access.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import { empty, needs, query } from './parts.ts'
import type { Show } from './show.ts'

/** A page has no more; who needs another one types a part of its name. */
export const offersMax = 100
/** So few are seen at a glance. */
const findFrom = 20
const findCharsMax = 100

export interface Finding {
  /** What was typed. */
  readonly text: string
  /** The page's path. */
  readonly at: string
}

export function readFinding({ c }: Visit, at: string): Finding {
  return { text: fieldsOf(new URL(c.req.url).searchParams).text('find', findCharsMax), at }
}

/** Those in whose names, descriptions, kind or labels each word stands, in any case. */
export function fittingOffers(offers: readonly Offer[], { text }: Finding): readonly Offer[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  return words.length === 0 ? offers : offers.filter((offer) => words.every((word) => textOf(offer).includes(word)))
}

function textOf({ resource, role }: Offer): string {
  const labels = Object.entries(resource.labels).map(([key, value]) => `${key}=${value}`)
  const all = [resource.name, resource.kind, resource.description, role.name, role.description, ...labels]
  return all.join('\n').toLowerCase()
}

export function offersTable(show: Show, offers: readonly Offer[], finding: Finding): Html {
  if (offers.length === 0)
    return empty('There is nothing here for your groups. Your operations people can change that in the policies.')
  const fitting = fittingOffers(offers, finding)
  return html`${(offers.length >= findFrom || finding.text !== '') && findForm(finding)}
  ${fitting.length === 0 ? empty('Nothing that you can ask for matches.', { href: finding.at, text: 'Show all' }) : table(show, fitting.slice(0, offersMax))}
  ${fitting.length > offersMax && html`<p class="small">${offersMax} of ${fitting.length}. Type a part of a name to find the others.</p>`}`
}

function findForm({ text, at }: Finding): Html {
  return html`<form class="tools" role="search" action="${at}">
    <input
      type="search"
      name="find"
      value="${text}"
      maxlength="${findCharsMax}"
      aria-label="Find what you can ask for"
      placeholder="Find: a name, a role, a label…"
      autocomplete="off"
    /><button class="btn plain">Find</button>
  </form>`
}

function table(show: Show, offers: readonly Offer[]): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          <th scope="col">Resource</th>
          <th scope="col">Role</th>
          <th scope="col" class="wide">Takes</th>
          <th scope="col" class="wide">At most</th>
          <th scope="col"><span class="unseen">Ask</span></th>
        </tr>
      </thead>
      <tbody>
        ${offers.map(
          ({ resource, role, policy, stopped }) =>
            html`<tr>
              <td>
                <span class="name">${resource.name}</span>
                <span class="small">${resource.kind}</span
                >${resource.description !== '' && html`<div class="small">${resource.description}</div>`}
              </td>
              <td class="as">
                ${role.name}${role.description !== '' && html`<div class="small">${role.description}</div>`}
                ${stopped !== undefined && stoppedLine(show, stopped)}
              </td>
              <td class="wide">${needs(policy.approval)}</td>
              <td class="wide">${formatDuration(policy.length.mostMs)}</td>
              <td class="num">
                <a
                  class="btn plain small-btn"
                  href="${query('/ask', { resource: resource.name, role: role.name })}"
                  aria-label="Ask for ${resource.name} as ${role.name}"
                  >Ask</a
                >
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

/** Why it cannot be used now, and from when on. */
export function stoppedLine(show: Show, { code, why, opensAt }: NonNullable<Offer['stopped']>): Html {
  const opens = opensAt === null ? 'Not now.' : html`Not now: opens ${show.clock(opensAt)}.`
  return html`<div class="small"><strong>${opens}</strong>${code !== 'OUTSIDE_WINDOW' && html` ${why}`}</div>`
}
