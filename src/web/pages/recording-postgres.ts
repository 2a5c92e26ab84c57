import { html } from 'hono/html'
import { postgresTimeline } from '../../recording/postgres-timeline.ts'
import type { TimelineItem } from '../../recording/postgres-timeline-items.ts'
import { openRecording } from '../../recording/reading.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { empty, path, query } from '../html/parts.ts'
import { timelineTable } from '../html/timeline.ts'
import { collectItems, itemViews, type ItemsPage, type ItemView, type Wanted } from '../recording-page-items.ts'
import { at, endLine, type Looked, recordingHead, sealCard, secondsOf } from './recording-head.ts'

const itemsMax = 500
/** Up to here a page reads from the start, so that it knows every prepared statement; beyond, the index leads there. */
const readThroughBytesMax = 64 * 1024 * 1024

interface Looking extends Wanted {
  readonly fromSeconds: number
}

function readLooking(params: URLSearchParams): Looking {
  const fields = fieldsOf(params)
  return {
    view: itemViews.find((one) => one === fields.text('show', 16)) ?? 'all',
    text: fields.text('text', 100).toLowerCase(),
    fromSeconds: secondsOf(fields.text('from', 24)),
  }
}

async function readPage(file: string, looking: Looking): Promise<ItemsPage> {
  await using recording = await openRecording(file)
  const readThrough = (recording.manifest?.rawBytes ?? 0) <= readThroughBytesMax
  const { fromSeconds } = looking
  const events = recording.events(readThrough ? {} : { fromSeconds })
  return await collectItems(postgresTimeline(events), looking, { fromSeconds, itemsMax })
}

/** The statements of a PostgreSQL session, with what came of them. */
export async function postgresRecordingPage({ show }: Visit, looked: Looked): Promise<Page> {
  const { row, file, params } = looked
  const { session } = row
  const looking = readLooking(params)
  const page = await readPage(file, looking)
  const here = path('recordings', session.id)
  const narrowed = looking.text !== '' || looking.view !== 'all'
  const next = query(here, { show: looking.view, text: looking.text, from: page.next })
  const exports = ['curfew', 'jsonl', 'sql'].map((format) => ({
    href: path('recordings', session.id, 'export', format),
    name: `.${format}`,
  }))
  const checkHref = query(here, { show: looking.view, check: 'yes' })
  const body = html`${recordingHead(show, row)} ${sealCard(looked, { checkHref, exports })} ${filterForm(looking)}
  ${page.items.length === 0 ? nothing(here, narrowed, looking) : timelineTable(show, page.items, (seconds) => at(session.startedAt, seconds))}
  ${page.next === undefined && !page.items.some(saysTheEnd) && endLine(row)}
  ${page.next !== undefined && html`<p class="next"><a class="btn plain" href="${next}">${narrowed ? 'Look further' : 'Go on'}</a></p>`}`
  return { title: `${session.personName} on ${session.resource}`, current: 'recordings', body }
}

function nothing(here: string, narrowed: boolean, { fromSeconds }: Looking): Html {
  if (narrowed) return empty('Nothing matches in this part of the session.', { href: here, text: 'Show everything' })
  return empty(fromSeconds > 0 ? 'Nothing more.' : 'No statement was sent in this session, as far as it is on disk.')
}

/** The gate's last words are a row of the timeline already. */
function saysTheEnd(item: TimelineItem): boolean {
  return item.kind === 'gate' && item.what === 'cut'
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
