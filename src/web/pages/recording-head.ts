import { html } from 'hono/html'
import { formatLasted } from '../../kernel/durations.ts'
import { later, type Instant } from '../../kernel/time.ts'
import { mayBeUnsigned, type Verification } from '../../recording/verify.ts'
import type { SessionRow } from '../../sessions/session.ts'
import type { Html } from '../context.ts'
import { formatBytes } from '../html/parts.ts'
import type { Show } from '../html/show.ts'
import type { RecordedSession } from '../recorded-session.ts'
import { endChip, programOf } from './sessions.ts'

/** A recording that somebody looks at. */
export interface Looked extends RecordedSession {
  readonly sizeBytes: number
  /** undefined: large, and nobody asked for it. */
  readonly seal: Verification | undefined
  readonly params: URLSearchParams
}

/** Who, where, as what, when, and with which program. */
export function recordingHead(show: Show, { session, end }: SessionRow): Html {
  return html`<h1>${session.personName} on ${session.resource} as ${session.role}</h1>
    <p class="lead time">
      ${show.second(session.startedAt)}${end !== null && html` to ${show.second(end.at)} · ${formatLasted(end.at - session.startedAt)}`}
      · ${programOf(session)}
    </p>`
}

interface Taken {
  readonly checkHref: string
  readonly exports: readonly { readonly href: string; readonly name: string }[]
}

/** Whether the recording is what the gateway wrote, how the session ended, and what can be taken away. */
export function sealCard({ row, seal, sizeBytes }: Looked, { checkHref, exports }: Taken): Html {
  const { session, end } = row
  const files = exports.map(({ href, name }, at) => html`${at > 0 && ' · '}<a href="${href}" download>${name}</a>`)
  const told = end?.cutLatencyMs
  return html`<section class="card">
    <div class="row">
      <div class="grow">${isOfAnother(seal, session) ? otherLine() : sealLine(seal, end, checkHref)}</div>
      ${endChip(end)}${typeof told === 'number' && html`<span class="small time">client told in ${told < 10 ? told.toFixed(1) : Math.round(told)} ms</span>`}
      <span class="small">Export ${files} <span class="time">(${formatBytes(sizeBytes)})</span></span>
    </div>
  </section>`
}

/** A whole file may have been put in the place of this one: its own seal holds. */
function isOfAnother(seal: Verification | undefined, { id }: SessionRow['session']): boolean {
  return seal !== undefined && seal.state !== 'tampered' && seal.header?.['session'] !== id
}

function otherLine(): Html {
  return html`<span class="seal stop" role="alert"
    >✗ Not the recording of this session
    <span class="small"
      >another file lies in its place, and that one is shown here. Keep the file and tell your security people.</span
    ></span
  >`
}

function sealLine(seal: Verification | undefined, end: SessionRow['end'], checkHref: string): Html {
  if (end === null)
    return html`<span class="seal wait">● Being recorded <span class="small">sealed when the session ends</span></span>`
  if (seal === undefined)
    return html`<span class="seal wait"
      >Not checked yet
      <span class="small"><a href="${checkHref}">Check the seal</a> (reads the whole recording)</span></span
    >`
  const parts = seal.segments === 1 ? '1 segment' : `${seal.segments} segments`
  if (seal.state === 'tampered') {
    return html`<span class="seal stop" role="alert"
      >✗ Not what the gateway wrote
      <span class="small"
        >${seal.problem?.what} at byte ${seal.problem?.offset}; ${parts} before it are good. Keep the file and tell your
        security people.</span
      ></span
    >`
  }
  if (seal.state === 'unsealed') return unsealedLine(parts, end)
  if (seal.key?.trusted !== true) {
    return html`<span class="seal stop"
      >✗ Signed by a key that is not this gateway’s <span class="small">${parts}</span></span
    >`
  }
  return html`<span class="seal go"
    >✓ Sealed and unchanged <span class="small">${parts}, signed by this gateway</span></span
  >`
}

/** A session is over only once its recording is signed, unless the gateway died or the disk failed. */
function unsealedLine(parts: string, { code }: NonNullable<SessionRow['end']>): Html {
  if (mayBeUnsigned(code)) {
    const why = code === 'SHUTTING_DOWN' ? 'the gateway stopped before it could sign' : 'it could no longer be written'
    return html`<span class="seal wait">Unchanged, but not sealed <span class="small">${parts}; ${why}</span></span>`
  }
  return html`<span class="seal stop" role="alert"
    >✗ Its end is missing
    <span class="small"
      >${parts}, unchanged. The session ended in order: its end was cut off since, or could not be written, of which the
      audit log tells (recording.given-up).</span
    ></span
  >`
}

export function endLine({ end }: SessionRow): Html | false {
  return (
    end !== null &&
    end.message !== null &&
    html`<p class="notice ${end.by === 'gate' ? 'stop' : 'plain'}">${end.message}</p>`
  )
}

/** When something in a recording was. */
export function at(startedAt: Instant, seconds: number): Instant {
  return later(startedAt, Math.round(seconds * 1000))
}

/** 0 for what is no place in a recording. */
export function secondsOf(text: string): number {
  const seconds = Number(text)
  return Number.isFinite(seconds) && seconds > 0 ? seconds : 0
}
