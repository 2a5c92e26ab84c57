import { html } from 'hono/html'
import type { RequestView } from '../../access/access.ts'
import { displayName } from '../../identity/person.ts'
import { formatDuration, writeDuration } from '../../kernel/durations.ts'
import type { Fault } from '../../kernel/fault.ts'
import type { Html } from '../context.ts'
import { databaseField, type TypedTerms } from '../terms-wish.ts'
import { noneByEnter, path } from './parts.ts'
import type { Show } from './show.ts'

export const commentCharsMax = 500

/** What came back from a decision that could not be taken, with everything that was typed. */
export interface Refused {
  readonly fault: Fault
  readonly comment: string
  readonly terms: TypedTerms
}

/** What may be made of a request on its page. */
export interface Choices {
  readonly roles: readonly string[]
  /** Of the role that was asked for. */
  readonly databases: readonly string[]
}

const minuteMs = 60_000
const shorterMs: readonly number[] = [5, 15, 30, 60, 120, 240, 480, 1440, 2880].map((minutes) => minutes * minuteMs)
const shorterShownMax = 5

/** Comment, changes, and the two buttons, which stay in reach of a thumb. */
export function approvalForm(show: Show, view: RequestView, choices: Choices, refused: Refused | undefined): Html {
  return html`<form id="decide" method="post" action="${path('approvals', view.request.id)}" autocomplete="off">
      ${noneByEnter}
      ${refused !== undefined && html`<p class="notice stop" role="alert">${refused.fault.message} ${refused.fault.hint}</p>`}
      <label for="comment">Comment <span class="optional">${displayName(view.requester)} sees it</span></label>
      <textarea id="comment" name="comment" rows="2" maxlength="${commentCharsMax}">${refused?.comment}</textarea>
      ${changes(show, view, choices, refused?.terms)}
    </form>
    <div class="decide-bar">
      <p class="small" role="status" data-stale hidden>
        Something changed here while you wrote. <a href="${path('approvals', view.request.id)}">Look again</a>
      </p>
      <div class="actions">
        <button class="btn stop" form="decide" name="verdict" value="deny">Refuse</button
        ><button class="btn go" form="decide" name="verdict" value="approve">Approve</button>
      </div>
    </div>`
}

function changes(show: Show, view: RequestView, choices: Choices, typed: TypedTerms | undefined): Html {
  const isAccess = view.request.kind === 'access'
  return html`<details class="later" ${typed === undefined ? '' : ' open'}>
    <summary>Change before you approve</summary>
    ${lengthFields(view, typed)}
    ${isAccess && html`${startFields(show, view, typed)} ${roleField(choices, typed)} ${databaseFields(choices, typed)} ${networkField(typed)}`}
  </details>`
}

function lengthFields({ agreed }: RequestView, typed: TypedTerms | undefined): Html {
  const shorter = shorterMs.filter((one) => one < agreed.lengthMs).slice(-shorterShownMax)
  return html`<div class="pair">
    <div>
      <label for="for">Shorten to</label>
      <select id="for" name="for">
        <option value="">${formatDuration(agreed.lengthMs)}, as it is</option>
        ${shorter.toReversed().map((one) => {
          const text = writeDuration(one)
          return html`<option value="${text}" ${typed?.length === text ? ' selected' : ''}>
            ${formatDuration(one)}
          </option>`
        })}
      </select>
    </div>
    <div>
      <label for="forOther">or to</label
      ><input id="forOther" name="forOther" value="${typed?.otherLength}" maxlength="10" placeholder="45m" />
    </div>
  </div>`
}

function startFields(show: Show, { request }: RequestView, typed: TypedTerms | undefined): Html {
  const zones = [...new Set([typed?.zone || show.zone, show.zone, 'UTC'])]
  return html`<div class="pair">
    <div>
      <label for="startsAt">${request.startsAt === null ? 'Not before' : 'Later start'}</label
      ><input id="startsAt" name="startsAt" type="datetime-local" value="${typed?.startsAt}" />
    </div>
    <div>
      <label for="zone">Time zone</label
      ><select id="zone" name="zone">
        ${zones.map((zone) => html`<option>${zone}</option>`)}
      </select>
    </div>
  </div>`
}

function roleField({ roles }: Choices, typed: TypedTerms | undefined): Html | false {
  if (roles.length < 2) return false
  return html`<label for="role">Role</label>
    <select id="role" name="role">
      ${roles.map((role, index) => html`<option value="${index === 0 ? '' : role}" ${typed?.role === role ? ' selected' : ''}>${role}${index === 0 && ', as asked'}</option>`)}
    </select>`
}

function databaseFields({ databases }: Choices, typed: TypedTerms | undefined): Html | false {
  if (databases.length < 2) return false
  return html`<fieldset>
    <legend>Databases</legend>
    <input type="hidden" name="choosesDatabases" value="yes" />
    ${databases.map((name) => {
      const isTicked = typed?.databases?.includes(name) ?? true
      return html`<label class="check"
        ><input type="checkbox" name="${databaseField(name)}" value="yes" ${isTicked ? ' checked' : ''} />
        ${name}</label
      >`
    })}
  </fieldset>`
}

function networkField(typed: TypedTerms | undefined): Html {
  return html`<label for="networks">Only from <span class="optional">addresses or networks</span></label
    ><input
      id="networks"
      name="networks"
      value="${typed?.networks}"
      maxlength="1000"
      placeholder="203.0.113.9, 10.0.0.0/8"
      autocapitalize="none"
      spellcheck="false"
    />`
}
