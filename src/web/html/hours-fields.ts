import { html } from 'hono/html'
import { formatDuration, parseDurationMs, writeDuration } from '../../kernel/durations.ts'
import { Fault } from '../../kernel/fault.ts'
import { readClock } from '../../policy/recurrence.ts'
import type { Policy, Weekly } from '../../policy/rules.ts'
import { weekdays } from '../../policy/wall-clock.ts'
import type { Html } from '../context.ts'
import type { Fields } from '../forms.ts'
import type { Show } from './show.ts'

/** Recurring hours as somebody typed them. Without `from` and `to` nobody asks for any. */
export interface TypedHours {
  readonly days: readonly string[]
  readonly from: string
  readonly to: string
  readonly zone: string
  /** For how long they recur. */
  readonly stretch: string
}

const dayNames = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const
const usualStretches = ['1d', '2d', '7d', '14d', '28d', '90d', '180d', '365d']

export function readHoursFields(fields: Fields): TypedHours {
  return {
    days: weekdays.filter((day) => fields.flag(`on-${day}`)),
    from: fields.text('hoursFrom', 8),
    to: fields.text('hoursTo', 8),
    zone: fields.text('hoursZone', 64),
    stretch: fields.text('stretch', 16),
  }
}

/** @throws Fault INPUT_INVALID, LENGTH_REFUSED for what is not hours */
export function hoursWished(
  typed: TypedHours,
): { readonly lengthMs: number; readonly windows: readonly Weekly[] } | null {
  const { days, from, to, zone, stretch } = typed
  if (from === '' && to === '') return null
  const [fromMinute, toMinute, lengthMs] = [readClock(from), readClock(to), parseDurationMs(stretch)]
  if (fromMinute === undefined || toMinute === undefined) {
    throw new Fault('INPUT_INVALID', 'Give the hours from and to.', { hint: 'Such as 09:00 and 17:00.' })
  }
  if (lengthMs === undefined) throw new Fault('LENGTH_REFUSED', 'Say for how long the hours recur.')
  const numbers = days.map((day) => weekdays.findIndex((one) => one === day) + 1)
  // A time field cannot say 24:00.
  return { lengthMs, windows: [{ days: numbers, fromMinute, toMinute: toMinute === 0 ? 1440 : toMinute, zone }] }
}

/** Nothing where the policy does not offer it. Works without a script. */
export function hoursFields(show: Show, { grants, length }: Policy, typed: TypedHours | undefined): Html | false {
  const recurringMs = grants?.recurringMs ?? null
  if (recurringMs === null) return false
  const isOpen = typed !== undefined && (typed.from !== '' || typed.to !== '')
  const days = isOpen ? typed.days : weekdays.slice(0, 5)
  const zones = [...new Set([typed?.zone || show.zone, show.zone, 'UTC'])]
  return html`<details class="later" ${isOpen ? ' open' : ''}>
    <summary>Only at these hours, again and again</summary>
    <fieldset class="days">
      <legend>On these days</legend>
      ${weekdays.map(
        (day, index) =>
          html`<label class="check"
            ><input type="checkbox" name="on-${day}" value="yes" ${days.includes(day) ? ' checked' : ''} />
            ${dayNames[index]}</label
          >`,
      )}
    </fieldset>
    <div class="pair">
      <div>
        <label for="hoursFrom">From</label
        ><input
          id="hoursFrom"
          name="hoursFrom"
          type="time"
          value="${typed?.from ?? ''}"
          aria-describedby="hours-help"
        />
      </div>
      <div>
        <label for="hoursTo">To</label
        ><input id="hoursTo" name="hoursTo" type="time" value="${typed?.to ?? ''}" aria-describedby="hours-help" />
      </div>
    </div>
    <div class="pair">
      <div>
        <label for="hoursZone">Time zone</label
        ><select id="hoursZone" name="hoursZone">
          ${zones.map((zone) => html`<option>${zone}</option>`)}
        </select>
      </div>
      <div>
        <label for="stretch">For</label
        ><select id="stretch" name="stretch">
          ${stretches(recurringMs, typed?.stretch)}
        </select>
      </div>
    </div>
    <p class="help" id="hours-help">
      Each time at most ${formatDuration(length.mostMs)}. What is chosen above under “How long” does not count then.
    </p>
  </details>`
}

function stretches(recurringMs: number, typed: string | undefined): readonly Html[] {
  const usual = usualStretches.map((text) => parseDurationMs(text)!).filter((one) => one < recurringMs)
  const chosenMs = parseDurationMs(typed ?? '') ?? Math.min(recurringMs, 14 * 86_400_000)
  return [...usual, recurringMs].map(
    (one) =>
      html`<option value="${writeDuration(one)}" ${one === chosenMs ? ' selected' : ''}>
        ${formatDuration(one)}
      </option>`,
  )
}
