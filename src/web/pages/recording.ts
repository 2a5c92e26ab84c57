import { stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { html } from 'hono/html'
import { formatDuration } from '../../kernel/durations.ts'
import { Fault } from '../../kernel/fault.ts'
import { later, type Instant } from '../../kernel/time.ts'
import { postgresTimeline, type TimelineItem } from '../../recording/postgres-timeline.ts'
import { openRecording } from '../../recording/reading.ts'
import { verifyRecording, type Verification } from '../../recording/verify.ts'
import type { SessionRow } from '../../sessions/session.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { empty, formatBytes, path, query } from '../html/parts.ts'
import { timelineTable } from '../html/timeline.ts'
import { createRateLimit } from '../rate-limit.ts'
import { exportStream, exportTypes, isExportFormat } from '../recording-export.ts'
import { collectItems, itemViews, type ItemsPage, type ItemView, type Wanted } from '../recording-page-items.ts'
import type { Site } from '../site.ts'
import { endChip, programOf, seenSession } from './sessions.ts'

const itemsMax = 500
/** Up to here a page reads from the start, so that it knows every prepared statement; beyond, the index leads there. */
const readThroughBytesMax = 64 * 1024 * 1024
/** Up to here the seal is checked each time the page is opened; beyond, when it is asked for. */
const checkBytesMax = 64 * 1024 * 1024

interface Looking extends Wanted {
  readonly fromSeconds: number
  readonly check: boolean
}

/** What happened in one session, and whether it is sealed. Looking and taking away are both written down. */
export function recordingRoutes(site: Site): void {
  const { deps, auditor } = site
  // Each look reads, checks and parses a file on the thread that also cuts sessions off.
  const looks = createRateLimit(deps.clock, { burst: 30, perMs: 1000 })

  site.page('/recordings/:id', async (visit) => {
    looks.take(visit.person.id)
    const { row, file } = await recordedSession(site, visit)
    const looking = readLooking(new URL(visit.c.req.url).searchParams)
    if (visit.c.req.method === 'GET') {
      await auditor.noteVisit(visit, row.session.id, 'recording.replayed', noteOf(row))
    }
    const { size } = await stat(file)
    const check = size <= checkBytesMax || looking.check
    const seal = row.end !== null && check ? await verifyRecording(file, deps.publicKeys()) : undefined
    const page = await readPage(file, looking)
    return site.render(visit.c, recordingPage(visit, row, { looking, page, seal, size }), visit)
  })

  site.page('/recordings/:id/export/:format', async (visit) => {
    looks.take(visit.person.id)
    const { row, file } = await recordedSession(site, visit)
    const format = visit.c.req.param('format') ?? ''
    if (!isExportFormat(format)) throw new Fault('NOT_FOUND', 'Recordings are exported as curfew, jsonl or sql.')
    visit.c.header('Content-Type', exportTypes[format])
    visit.c.header('Content-Disposition', `attachment; filename="${row.session.id}.${format}"`)
    if (visit.c.req.method === 'HEAD') return visit.c.body(null)
    await checkReadable(file)
    await auditor.note(visit, 'recording.exported', { ...noteOf(row), format })
    return visit.c.body(exportStream(format, file))
  })
}

/** Reviewers see all recordings, a person their own. @throws Fault NOT_FOUND, also for a session without a recording. */
async function recordedSession(site: Site, visit: Visit): Promise<{ row: SessionRow; file: string }> {
  const row = await seenSession(site, visit, visit.c.req.param('id') ?? '')
  const own = row.session.person === visit.person.id
  if (row.recording === null || !(own || site.deps.access.isReviewer(visit.person))) {
    throw new Fault('NOT_FOUND', 'There is no such recording that you may see.')
  }
  const folder = resolve(site.deps.recordingsFolder)
  const file = join(folder, row.recording)
  if (!file.startsWith(folder + sep)) throw new Fault('NOT_FOUND', 'The recording lies outside its folder.')
  return { row, file }
}

/** While there is still a page to say it on. @throws Fault RECORDING_UNREADABLE */
async function checkReadable(file: string): Promise<void> {
  await using _recording = await openRecording(file)
}

function noteOf({ session }: SessionRow) {
  return { session: session.id, holder: session.person, resource: session.resource, role: session.role }
}

function readLooking(params: URLSearchParams): Looking {
  const fields = fieldsOf(params)
  const from = Number(fields.text('from', 24))
  return {
    view: itemViews.find((one) => one === fields.text('show', 16)) ?? 'all',
    text: fields.text('text', 100).toLowerCase(),
    fromSeconds: Number.isFinite(from) && from > 0 ? from : 0,
    check: fields.flag('check'),
  }
}

async function readPage(file: string, looking: Looking): Promise<ItemsPage> {
  await using recording = await openRecording(file)
  const readThrough = (recording.manifest?.rawBytes ?? 0) <= readThroughBytesMax
  const { fromSeconds } = looking
  const events = recording.events(readThrough ? {} : { fromSeconds })
  return await collectItems(postgresTimeline(events), looking, { fromSeconds, itemsMax })
}

interface Shown {
  readonly looking: Looking
  readonly page: ItemsPage
  readonly seal: Verification | undefined
  readonly size: number
}

function recordingPage({ show }: Visit, row: SessionRow, shown: Shown): Page {
  const { session, end } = row
  const { looking, page } = shown
  const here = path('recordings', session.id)
  const narrowed = looking.text !== '' || looking.view !== 'all'
  const next = query(here, { show: looking.view, text: looking.text, from: page.next })
  const body = html`<h1>${session.personName} on ${session.resource} as ${session.role}</h1>
    <p class="lead time">
      ${show.second(session.startedAt)}${end !== null && html` to ${show.second(end.at)} · ${formatDuration(end.at - session.startedAt)}`}
      · ${programOf(session)}
    </p>
    ${sealCard(row, shown)} ${filterForm(looking)}
    ${page.items.length === 0 ? nothing(here, narrowed, looking) : timelineTable(show, page.items, (seconds) => at(session.startedAt, seconds))}
    ${page.next === undefined && !page.items.some(saysTheEnd) && endLine(row)}
    ${page.next !== undefined && html`<p class="next"><a class="btn plain" href="${next}">${narrowed ? 'Look further' : 'Go on'}</a></p>`}`
  return { title: `${session.personName} on ${session.resource}`, current: 'recordings', body }
}

function at(startedAt: Instant, seconds: number): Instant {
  return later(startedAt, Math.round(seconds * 1000))
}

function nothing(here: string, narrowed: boolean, { fromSeconds }: Looking): Html {
  if (narrowed) return empty('Nothing matches in this part of the session.', { href: here, text: 'Show everything' })
  return empty(fromSeconds > 0 ? 'Nothing more.' : 'No statement was sent in this session, as far as it is on disk.')
}

/** The gate's last words are a row of the timeline already. */
function saysTheEnd(item: TimelineItem): boolean {
  return item.kind === 'gate' && item.what === 'cut'
}

function endLine({ end }: SessionRow): Html | false {
  return (
    end !== null &&
    end.message !== null &&
    html`<p class="notice ${end.by === 'gate' ? 'stop' : 'plain'}">${end.message}</p>`
  )
}

function sealCard({ session, end }: SessionRow, { seal, size, looking }: Shown): Html {
  const here = path('recordings', session.id)
  const files = Object.keys(exportTypes).map(
    (format, index) =>
      html`${index > 0 && ' · '}<a href="${path('recordings', session.id, 'export', format)}" download>.${format}</a>`,
  )
  const told = end?.cutLatencyMs
  return html`<section class="card">
    <div class="row">
      <div class="grow">${sealLine(seal, end !== null, query(here, { show: looking.view, check: 'yes' }))}</div>
      ${endChip(end)}${typeof told === 'number' && html`<span class="small time">client told in ${told < 10 ? told.toFixed(1) : Math.round(told)} ms</span>`}
      <span class="small">Export ${files} <span class="time">(${formatBytes(size)})</span></span>
    </div>
  </section>`
}

function sealLine(seal: Verification | undefined, ended: boolean, checkHref: string): Html {
  if (!ended)
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
  if (seal.state === 'unsealed') {
    return html`<span class="seal wait"
      >Unchanged, but not sealed <span class="small">${parts}; the gateway stopped before it could sign</span></span
    >`
  }
  if (seal.key?.trusted !== true) {
    return html`<span class="seal stop"
      >✗ Signed by a key that is not this gateway’s <span class="small">${parts}</span></span
    >`
  }
  return html`<span class="seal go"
    >✓ Sealed and unchanged <span class="small">${parts}, signed by this gateway</span></span
  >`
}

const viewWords: Readonly<Record<ItemView, string>> = {
  all: 'All statements',
  changes: 'Changes',
  errors: 'Errors',
  slowest: 'Slowest first',
}

function filterForm({ view, text }: Looking): Html {
  return html`<form class="tools" role="search">
    <input
      name="text"
      value="${text}"
      maxlength="100"
      aria-label="Find in statements"
      placeholder="Find in statements: table, value, error…"
    />
    <select name="show" aria-label="Show">
      ${itemViews.map((one) => html`<option value="${one}" ${one === view ? ' selected' : ''}>${viewWords[one]}</option>`)}</select
    ><button class="btn plain">Find</button>
  </form>`
}
