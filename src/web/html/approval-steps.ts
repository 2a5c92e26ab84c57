import { html } from 'hono/html'
import type { RequestView, StepView } from '../../access/access.ts'
import { displayName } from '../../identity/person.ts'
import { approversWords, stepWords } from '../../policy/approval.ts'
import type { Html } from '../context.ts'
import { chip, words, type Tone } from './parts.ts'
import type { Show } from './show.ts'
import { termsWords } from './terms.ts'

const states: Readonly<Record<StepView['state'], readonly [Tone, string]>> = {
  done: ['go', 'done'],
  waits: ['wait', 'now'],
  'to-come': ['plain', 'to come'],
  stopped: ['plain', 'not reached'],
}

/** Who must agree, and who has said what; nothing where nobody is needed. */
export function approvalSteps(show: Show, view: RequestView): Html | false {
  if (view.steps.length === 0) return false
  return html`<section class="card">
    <h2 class="inside">Who must agree</h2>
    <ol class="rows">
      ${view.steps.map((step, index) => stepItem(show, view, step, index))}
    </ol>
  </section>`
}

function stepItem(show: Show, view: RequestView, { step, state }: StepView, index: number): Html {
  const said = view.decisions.filter(({ decision }) => decision.step === index)
  const isRefused = state === 'stopped' && view.request.state === 'denied' && index === view.request.step
  return html`<li>
    <div class="between">
      <span>${sentence(stepWords(step))}</span>${isRefused ? chip('stop', 'refused') : chip(...states[state])}
    </div>
    ${said.map((one) => saidItem(show, one))}${state === 'waits' && waitsWords(show, view)}
  </li>`
}

function saidItem(show: Show, { decision, person }: RequestView['decisions'][number]): Html {
  const terms = decision.terms !== null && termsWords(show, decision.terms)
  return html`<div class="small">
    <strong>${displayName(person)}</strong> ${decision.verdict === 'approve' ? 'approved' : 'refused'}
    <span class="time">${show.clock(decision.at)}</span>${terms && html`, ${terms}`}
    ${decision.comment !== '' && words(`“${decision.comment}”`)}
  </div>`
}

function waitsWords(show: Show, { waitsFor, request }: RequestView): Html | false {
  if (waitsFor === null) return false
  const { missing, refused, refusals, others } = waitsFor
  return html`<div class="small time">
    ${missing === 1 ? 'One more person' : `${missing} more people`}, until ${show.clock(request.lapsesAt)}.
    ${refusals > 1 && `${refusals} refusals refuse it; ${refused} so far.`}
    ${
      others !== null &&
      (others.called
        ? html`Nobody decided in time, so ${approversWords(others)} may as well, since ${show.clock(others.at)}.`
        : html`If nobody decides by ${show.clock(others.at)}, ${approversWords(others)} may as well.`)
    }
  </div>`
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
}
