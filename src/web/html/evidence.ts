import { html } from 'hono/html'
import type { Request } from '../../access/states.ts'
import type { Html, Visit } from '../context.ts'
import type { Site } from '../site.ts'
import { path, query } from './parts.ts'

/** For those who may take evidence away. */
export function evidenceLinks({ deps }: Site, { person }: Visit, { id }: Request): Html | false {
  if (!deps.evidence.mayExport(person, false)) return false
  const href = path('requests', id, 'evidence')
  return html`<p class="small">
    <a href="${href}" download>Evidence</a>, to be checked without this
    gateway${deps.evidence.mayExport(person, true) && html` · <a href="${query(href, { recordings: 'true' })}" download>with the recordings</a>`}
  </p>`
}
