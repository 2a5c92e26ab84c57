import { html } from 'hono/html'
import type { Offer } from '../../access/access.ts'
import { formatDuration, parseDurationMs, writeDuration } from '../../kernel/durations.ts'
import { Fault } from '../../kernel/fault.ts'
import type { Instant } from '../../kernel/time.ts'
import type { Html, Visit } from '../context.ts'

// The fields of every form that asks for access.

const reasonCharsMax = 1000
const ticketCharsMax = 100
export const usualLengths: readonly string[] = ['15m', '30m', '1h', '2h', '4h', '8h', '12h', '1d', '2d', '7d']

/** As somebody typed it. */
interface Typed {
  readonly length: string
  readonly reason: string
  readonly ticket: string
  readonly startsAt: string
  readonly zone: string
}

export type FieldName = 'for' | 'reason' | 'ticket' | 'startsAt'
export interface Wrong {
  readonly field: FieldName | undefined
  readonly fault: Fault
}

export class StartRefused extends Fault {}

/** `2026-11-22T14:30`, as a `datetime-local` input sends it, in an IANA zone. */
export function instantIn(local: string, zone: string): Instant {
  try {
    return Temporal.PlainDateTime.from(local).toZonedDateTime(zone).epochMilliseconds as Instant
  } catch (cause) {
    throw new StartRefused('INPUT_INVALID', 'That is not a date and time.', {
      cause,
      hint: 'Such as 2026-11-22 14:30.',
    })
  }
}

export function lengthField(
  { policy }: Pick<Offer, 'policy'>,
  typed: Pick<Typed, 'length'>,
  wrong: Wrong | undefined,
): Html {
  const { defaultMs, mostMs } = policy.length
  const wishedMs = parseDurationMs(typed.length)
  const chosenMs = wishedMs !== undefined && wishedMs > 0 && wishedMs <= mostMs ? wishedMs : Math.min(defaultMs, mostMs)
  const usual = usualLengths.map((text) => parseDurationMs(text)!)
  const choices = [...new Set([...usual, defaultMs, mostMs, chosenMs])].filter((one) => one > 0 && one <= mostMs)
  return html`<label for="for">How long</label>
    <select id="for" name="for" ${marks('for', wrong)}>
      ${choices
        .toSorted((left, right) => left - right)
        .map(
          (one) =>
            html`<option value="${writeDuration(one)}" ${one === chosenMs ? ' selected' : ''}>
              ${formatDuration(one)}
            </option>`,
        )}
    </select>`
}

export function reasonField(
  { policy }: Pick<Offer, 'policy'>,
  typed: Pick<Typed, 'reason'>,
  wrong: Wrong | undefined,
): Html {
  const required = policy.reason === 'required'
  return html`<label for="reason">Why ${!required && html`<span class="optional">optional</span>`}</label>
    <textarea
      id="reason"
      name="reason"
      rows="3"
      maxlength="${reasonCharsMax}"
      aria-describedby="reason-help"
      ${required ? ' required' : ''}${marks('reason', wrong)}
    >
${typed.reason}</textarea>
    <p class="help" id="reason-help">
      A sentence that ${policy.approval.kind === 'none' ? 'a later reader of the log' : 'the approver'} understands.
    </p>`
}

export function ticketField(
  { policy }: Pick<Offer, 'policy'>,
  typed: Pick<Typed, 'ticket'>,
  wrong: Wrong | undefined,
): Html | false {
  if (policy.ticket === null) return false
  const { pattern, required } = policy.ticket
  return html`<label for="ticket">Ticket ${!required && html`<span class="optional">optional</span>`}</label>
    <input
      id="ticket"
      name="ticket"
      value="${typed.ticket}"
      maxlength="${ticketCharsMax}"
      autocomplete="off"
      aria-describedby="ticket-help"
      ${required ? ' required' : ''}${marks('ticket', wrong)}
    />
    <p class="help" id="ticket-help">${ticketForm(pattern)}</p>`
}

/** `INC-[0-9]+` is what operators write; people read an example of it. */
function ticketForm(pattern: RegExp): Html {
  const source = pattern.source.replace(/^\^(?:\(\?:)?/, '').replace(/\)?\$$/, '')
  const example = source.replaceAll(/(?:\[0-9\]|\\d)(?:[+*]|\{[\d,]+\})?/g, '4821')
  return /^[\w -]+$/.test(example) ? html`Such as <code>${example}</code>` : html`In the form <code>${source}</code>`
}

export function startField({ show }: Visit, typed: Pick<Typed, 'startsAt' | 'zone'>, wrong: Wrong | undefined): Html {
  const zones = [...new Set([typed.zone || show.zone, show.zone, 'UTC'])]
  return html`<details class="later" ${typed.startsAt !== '' || wrong?.field === 'startsAt' ? ' open' : ''}>
    <summary>Not before a certain time</summary>
    <div class="pair">
      <div>
        <label for="startsAt">From</label
        ><input
          id="startsAt"
          name="startsAt"
          type="datetime-local"
          value="${typed.startsAt}"
          ${marks('startsAt', wrong)}
        />
      </div>
      <div>
        <label for="zone">Time zone</label
        ><select id="zone" name="zone">
          ${zones.map((zone) => html`<option>${zone}</option>`)}
        </select>
      </div>
    </div>
  </details>`
}

function marks(field: FieldName, wrong: Wrong | undefined): Html | '' {
  return wrong?.field === field ? html` aria-invalid="true"` : ''
}
