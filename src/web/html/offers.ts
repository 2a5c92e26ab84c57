import { html } from 'hono/html'
import type { Offer } from '../../access/access.ts'
import { formatDuration } from '../../kernel/durations.ts'
import type { Html } from '../context.ts'
import { empty, needs, query } from './parts.ts'
import type { Show } from './show.ts'

export function offersTable(show: Show, offers: readonly Offer[]): Html {
  if (offers.length === 0)
    return empty('There is nothing here for your groups. Your operations people can change that in the policies.')
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
