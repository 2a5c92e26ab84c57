import { html } from 'hono/html'
import type { PastUse } from '../../access/past-use.ts'
import { formatLasted } from '../../kernel/durations.ts'
import type { Client, SessionRow } from '../../sessions/session.ts'
import type { Html } from '../context.ts'
import type { Done } from '../done-in-short.ts'
import { grantChip, path } from './parts.ts'
import type { Show } from './show.ts'

/** A grant of before, with what is known of its sessions. */
export interface Past extends PastUse {
  /** By the id of the session; absent where it was not looked at. */
  readonly done: ReadonlyMap<string, Done>
}

const linksMax = 3

/** What somebody did with their last grants on a resource. @param mayReplay links lead to the recordings. */
export function pastUsesCard(show: Show, resource: string, past: readonly Past[], mayReplay: boolean): Html {
  if (past.length === 0) {
    return html`<section class="card">
      <h2 class="inside">Last times on ${resource}</h2>
      <p class="small still">None: this is the first time, as far as this gateway knows.</p>
    </section>`
  }
  return html`<section class="card">
    <h2 class="inside">Last times on ${resource}</h2>
    <ul class="rows">
      ${past.map((one) => pastItem(show, one, mayReplay))}
    </ul>
  </section>`
}

function pastItem(show: Show, past: Past, mayReplay: boolean): Html {
  const { grant } = past
  const lastedMs = ('endedAt' in grant ? grant.endedAt : grant.expiresAt) - grant.startsAt
  return html`<li>
    <div class="between">
      <span>${grant.role} <span class="small time">${show.clock(grant.startsAt)}</span></span
      >${grantChip(grant)}
    </div>
    <div class="small time">for ${formatLasted(Math.max(0, lastedMs))} · ${digest(show, past)}</div>
    ${mayReplay && recordings(show, past)}
  </li>`
}

/** `2 sessions, 41 min, 128 statements` */
function digest(show: Show, { sessions, isCut, done }: Past): string {
  if (sessions.length === 0) return isCut ? 'too much to count' : 'never used'
  const connectedMs = sessions.reduce((sum, { session, end }) => sum + (end?.at ?? show.now) - session.startedAt, 0)
  const deeds = deedsOf(sessions, done)
  return [
    `${isCut ? 'more than ' : ''}${counted(sessions.length, 'session')}`,
    formatLasted(Math.max(0, connectedMs)),
    ...(deeds === undefined ? [] : [deeds]),
  ].join(', ')
}

const deedWords: Readonly<Record<Client['protocol'], string>> = {
  postgres: 'statement',
  ssh: 'command',
  http: 'request',
}

/** All sessions of one grant speak one protocol. */
function deedsOf(sessions: readonly SessionRow[], done: Past['done']): string | undefined {
  const known = sessions.flatMap(({ session }) => done.get(session.id) ?? [])
  if (known.length === 0) return undefined
  const count = known.reduce((sum, one) => sum + one.count, 0)
  const isMore = known.length < sessions.length || known.some((one) => one.isMore)
  return `${isMore ? 'at least ' : ''}${counted(count, deedWords[sessions[0]!.session.client.protocol])}`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function recordings(show: Show, { sessions }: Past): Html | false {
  const recorded = sessions.filter(({ recording }) => recording !== null)
  if (recorded.length === 0) return false
  return html`<div class="small">
    ${recorded.length === 1 ? 'Recording' : 'Recordings'}:
    ${recorded.slice(0, linksMax).map(({ session }) => html` <a class="tap" href="${path('recordings', session.id)}">${show.clock(session.startedAt)}</a>`)}
    ${recorded.length > linksMax && ` and ${recorded.length - linksMax} more`}
  </div>`
}
