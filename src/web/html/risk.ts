import { html } from 'hono/html'
import type { Risk, RiskLevel } from '../../policy/risk.ts'
import type { Html } from '../context.ts'
import { chip, type Tone } from './parts.ts'

const tones: Readonly<Record<RiskLevel, Tone>> = { low: 'go', medium: 'wait', high: 'stop' }

/** `low risk, 15 of 100`. */
export function riskChip({ level, score }: Risk): Html {
  return chip(tones[level], `${level} risk, ${score} of 100`)
}

/** What speaks for looking twice, factor by factor. Nothing where it was not worked out. */
export function riskFactors(risk: Risk | null): Html | false {
  if (risk === null) return false
  return html`<section class="card">
    <h2 class="inside">Risk ${chip(tones[risk.level], `${risk.level}, ${risk.score} of 100`)}</h2>
    ${
      risk.factors.length === 0
        ? html`<p class="small still">As usual for them: nothing speaks for looking twice.</p>`
        : html`<ul class="factors">
            ${risk.factors.map(({ label, weight }) => html`<li><span>${label}</span><b>+${weight}</b></li>`)}
          </ul>`
    }
  </section>`
}
