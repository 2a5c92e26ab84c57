import { html } from 'hono/html'
import { Fault } from '../../kernel/fault.ts'
import { httpTimeline, type HttpBody, type HttpExchange } from '../../recording/http-timeline.ts'
import { openRecording } from '../../recording/reading.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import { exchangeDetail, type ShownBody } from '../html/http-detail.ts'
import { requestTable } from '../html/http-table.ts'
import type { Page } from '../html/layout.ts'
import { empty, path, query } from '../html/parts.ts'
import type { Clock } from '../html/ssh-tables.ts'
import { bodyText } from '../http-body-text.ts'
import {
  collectHttpItems,
  findExchange,
  type HttpPageItems,
  type HttpPlace,
  type HttpView,
  httpViews,
  type HttpWanted,
} from '../http-page-items.ts'
import { Kept } from '../kept.ts'
import type { Site } from '../site.ts'
import { at, endLine, type Looked, recordingHead, sealCard, secondsOf } from './recording-head.ts'
import { endForm, mayEnd } from './sessions.ts'

interface Looking extends HttpWanted, HttpPlace {
  /** As it was typed. */
  readonly typed: string
  /** The one request that is shown, and where it began. */
  readonly request: number | undefined
  readonly atSeconds: number
}

/** Sealed recordings do not change: who filters or goes through one again need not wait for it to be read again. */
const keptMax = 8
/** How often the page of an open session looks again: with the script, and without it, where all of it is loaded again. */
const growing = { renewS: 3, refreshS: 10 } as const

/** What was asked for in one HTTP session, and what came of it: the list, or one request with all that is known of it. */
export function createHttpRecordingPage(site: Site): (visit: Visit, looked: Looked) => Promise<Page> {
  const kept = new Kept<HttpPageItems>(keptMax)

  async function itemsOf({ file, sizeBytes }: Looked, looking: Looking): Promise<HttpPageItems> {
    const key = JSON.stringify([file, sizeBytes, looking.view, looking.text, looking.fromSeconds, looking.after])
    const known = kept.get(key)
    if (known !== undefined) return known
    await using recording = await openRecording(file)
    const events = recording.events({ fromSeconds: looking.fromSeconds })
    const items = await collectHttpItems(httpTimeline(events, { messagesMax: 0 }), looking, looking)
    if (recording.manifest !== null) kept.set(key, items)
    return items
  }

  return async (visit, looked) => {
    const looking = readLooking(looked.params)
    const view = new View(visit, looked, looking)
    if (looking.request !== undefined) return view.detailPage(await exchangeOf(looked, looking.request, looking))
    return view.listPage(await itemsOf(looked, looking), mayEnd(site, visit, looked.row))
  }
}

/** @throws Fault NOT_FOUND */
async function exchangeOf({ file }: Looked, n: number, { atSeconds }: Looking): Promise<HttpExchange> {
  await using recording = await openRecording(file)
  const exchange = await findExchange(recording.events({ fromSeconds: atSeconds }), n)
  if (exchange === undefined) throw new Fault('NOT_FOUND', 'The recording has no such request.')
  return exchange
}

function readLooking(params: URLSearchParams): Looking {
  const fields = fieldsOf(params)
  const typed = fields.text('text', 200)
  return {
    view: httpViews.find((one) => one === fields.text('show', 16)) ?? 'all',
    typed,
    text: typed.toLowerCase(),
    fromSeconds: secondsOf(fields.text('from', 24)),
    after: countOf(fields.text('after', 12)) ?? 0,
    request: countOf(fields.text('request', 12)),
    atSeconds: secondsOf(fields.text('at', 24)),
  }
}

function countOf(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined
}

const viewWords: Readonly<Record<HttpView, string>> = {
  all: 'All requests',
  failed: 'Failed',
  2: 'Answered 2xx',
  3: 'Answered 3xx',
  4: 'Answered 4xx',
  5: 'Answered 5xx',
  websockets: 'WebSockets',
  slowest: 'Slowest first',
}

class View {
  readonly #visit: Visit
  readonly #looked: Looked
  readonly #looking: Looking
  readonly #here: string
  readonly #clock: Clock

  constructor(visit: Visit, looked: Looked, looking: Looking) {
    const { session } = looked.row
    this.#visit = visit
    this.#looked = looked
    this.#looking = looking
    this.#here = path('recordings', session.id)
    this.#clock = (seconds) => visit.show.time(at(session.startedAt, seconds))
  }

  listPage(items: HttpPageItems, endable: boolean): Page {
    const { row } = this.#looked
    const { exchanges, next, unknown } = items
    const body = html`${recordingHead(this.#visit.show, row)} ${this.#seal()} ${row.end === null && this.#live(endable)}
    ${this.#filter()}
    ${exchanges.length === 0 && (this.#narrowed() || items.said.length === 0) ? this.#nothing() : requestTable(items, { clock: this.#clock, hrefOf: (one) => this.#hrefOf(one) })}
    ${unknown > 0 && html`<p class="small">${unknown} ${unknown === 1 ? 'line' : 'lines'} of a kind that this version does not know.</p>`}
    ${next === undefined && !items.said.some(({ what }) => what === 'cut') && endLine(row)}
    ${next !== undefined && this.#next(next)}`
    // a page that is full does not grow any more
    const grows = row.end === null && next === undefined
    return { ...this.#page(body), ...(grows && growing) }
  }

  async detailPage(exchange: HttpExchange): Promise<Page> {
    const { row } = this.#looked
    const [up, down] = await Promise.all([this.#body(exchange, 'up'), this.#body(exchange, 'down')])
    const body = html`${recordingHead(this.#visit.show, row)}
      <p><a href="${this.#list({})}">Back to the list</a></p>
      ${exchangeDetail(exchange, { clock: this.#clock, up, down })}`
    return { ...this.#page(body), ...(row.end === null && exchange.result === null && growing) }
  }

  #page(body: Html): Page {
    const { session } = this.#looked.row
    return { title: `${session.personName} on ${session.resource}`, current: 'recordings', body }
  }

  async #body(exchange: HttpExchange, direction: 'up' | 'down'): Promise<ShownBody | undefined> {
    const body: HttpBody | null = direction === 'up' ? exchange.bodyUp : exchange.bodyDown
    if (body === null) return undefined
    const fields = { request: exchange.n, at: exchange.at, direction }
    const href = query(path('recordings', this.#looked.row.session.id, 'export', 'body'), fields)
    return { body, text: await bodyText(body), href }
  }

  /** This list, elsewhere in it. */
  #list(more: Readonly<Record<string, number>>): string {
    const { view, typed, fromSeconds, after } = this.#looking
    const stays = { show: view === 'all' ? undefined : view, text: typed }
    return query(this.#here, { ...stays, from: fromSeconds || undefined, after: after || undefined, ...more })
  }

  #hrefOf({ n, at: seconds }: HttpExchange): string {
    return this.#list({ request: n, at: seconds })
  }

  #next({ fromSeconds, after }: HttpPlace): Html {
    const { view, text } = this.#looking
    const narrowed = text !== '' || view !== 'all'
    const href = this.#list({ from: fromSeconds, after })
    return html`<p class="next"><a class="btn plain" href="${href}">${narrowed ? 'Look further' : 'Go on'}</a></p>`
  }

  #narrowed(): boolean {
    const { text, view } = this.#looking
    return text !== '' || view !== 'all'
  }

  #seal(): Html {
    const { id } = this.#looked.row.session
    const exports = ['curfew', 'jsonl', 'har'].map((format) => ({
      href: path('recordings', id, 'export', format),
      name: `.${format}`,
    }))
    return sealCard(this.#looked, { checkHref: query(this.#here, { show: this.#looking.view, check: 'yes' }), exports })
  }

  #live(endable: boolean): Html {
    const { session } = this.#looked.row
    const lately = Math.max(0, Math.floor((this.#visit.now - session.startedAt) / 1000) - 60)
    return html`<section class="card">
      <p class="still">
        The session is open: this is what is on disk so far. <a href="${this.#here}">From the beginning</a> ·
        <a href="${query(this.#here, { from: lately || undefined })}">The last minute</a>
      </p>
      ${
        endable &&
        html`<details class="later">
          <summary>End it</summary>
          ${endForm(session.id)}
        </details>`
      }
    </section>`
  }

  #nothing(): Html {
    const { fromSeconds } = this.#looking
    if (this.#narrowed()) {
      return empty('No request in this part of the session matches.', { href: this.#here, text: 'Show all' })
    }
    return empty(fromSeconds > 0 ? 'Nothing more.' : 'Nothing was asked for in this session, as far as it is on disk.')
  }

  #filter(): Html {
    const { typed, view } = this.#looking
    return html`<form class="tools" role="search">
      <input
        name="text"
        value="${typed}"
        maxlength="200"
        aria-label="Find in requests"
        placeholder="Find in requests: method, path, host…"
      />
      <select name="show" aria-label="Show">
        ${httpViews.map((one) => html`<option value="${one}" ${one === view ? ' selected' : ''}>${viewWords[one]}</option>`)}</select
      ><button class="btn plain">Find</button>
    </form>`
  }
}
