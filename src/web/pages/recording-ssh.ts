import { html } from 'hono/html'
import { openRecording, type Recording } from '../../recording/reading.ts'
import { sshTimeline, type SshChannel } from '../../recording/ssh-timeline.ts'
import type { Html, Visit } from '../context.ts'
import { fieldsOf } from '../forms.ts'
import type { Page } from '../html/layout.ts'
import { empty, path, query } from '../html/parts.ts'
import {
  channelTable,
  type Clock,
  type Cut,
  clipped,
  fileTable,
  forwardTable,
  gateTable,
  nameOf,
  offsetText,
} from '../html/ssh-tables.ts'
import { terminalPlayer } from '../html/terminal.ts'
import { Kept } from '../kept.ts'
import type { Site } from '../site.ts'
import { collectSshItems, filesShownMax, type FilesWanted, type SshPageItems } from '../ssh-page-items.ts'
import { findPlaces, type Places } from '../terminal-search.ts'
import { at, endLine, type Looked, recordingHead, sealCard, secondsOf } from './recording-head.ts'
import { cutWords, endForm, mayEnd } from './sessions.ts'

interface Looking extends FilesWanted {
  readonly channel: number | undefined
  /** Where the player stands. */
  readonly atSeconds: number
  /** As it was typed; empty: nothing to find. */
  readonly find: string
  readonly findFrom: number
}

/** Sealed recordings do not change: who filters or searches one again need not wait for it to be read again. */
const keptMax = 8

/** What happened on one SSH connection: what ran, its terminals to play, files, forwards, and what the gateway said. */
export function createSshRecordingPage(site: Site): (visit: Visit, looked: Looked) => Promise<Page> {
  const kept = new Kept<SshPageItems>(keptMax)

  async function itemsOf(recording: Recording, { file, sizeBytes }: Looked, looking: Looking): Promise<SshPageItems> {
    const key = JSON.stringify([file, sizeBytes, looking.path, looking.op, looking.skip])
    const known = kept.get(key)
    if (known !== undefined) return known
    const items = await collectSshItems(sshTimeline(recording.events()), looking)
    if (recording.manifest !== null) kept.set(key, items)
    return items
  }

  return async (visit, looked) => {
    const looking = readLooking(looked.params)
    await using recording = await openRecording(looked.file)
    const items = await itemsOf(recording, looked, looking)
    const channel = channelToPlay(items.channels, looking.channel)
    const places = channel && (await placesIn(recording, channel, looking))
    const { session } = looked.row
    const body = html`${recordingHead(visit.show, looked.row)} ${seal(looked, looking)}
    ${liveNotice(site, visit, looked)} ${new View(visit, looked, looking, items).sections(channel, places)}
    ${!items.said.some(({ what }) => what === 'cut') && endLine(looked.row)}`
    const title = `${session.personName} on ${session.resource}`
    return { title, current: 'recordings', body, playsTerminals: channel !== undefined }
  }
}

function readLooking(params: URLSearchParams): Looking {
  const fields = fieldsOf(params)
  const channel = Number(fields.text('ch', 12) || NaN)
  const skip = Number(fields.text('skip', 12))
  return {
    channel: Number.isSafeInteger(channel) ? channel : undefined,
    atSeconds: secondsOf(fields.text('at', 24)),
    find: fields.text('find', 100),
    findFrom: secondsOf(fields.text('from', 24)),
    path: fields.text('path', 200).toLowerCase(),
    op: fields.text('op', 16),
    skip: Number.isSafeInteger(skip) && skip > 0 ? skip : 0,
  }
}

/** The one that was asked for, or the first terminal, or the first command that showed something. */
function channelToPlay(channels: readonly SshChannel[], wanted: number | undefined): SshChannel | undefined {
  const shown = channels.filter(({ outputBytes }) => outputBytes > 0)
  return shown.find(({ ch }) => ch === wanted) ?? shown.find(({ terminal }) => terminal !== null) ?? shown[0]
}

async function placesIn(
  recording: Recording,
  { ch: channel }: SshChannel,
  { find, findFrom }: Looking,
): Promise<Places | undefined> {
  const text = find.toLowerCase()
  if (text === '') return undefined
  const events = recording.events({ fromSeconds: findFrom })
  return findPlaces(events, { channel, text, begun: findFrom > 0 })
}

function seal(looked: Looked, { channel }: Looking): Html {
  const { id } = looked.row.session
  const exports = ['curfew', 'jsonl'].map((format) => ({
    href: path('recordings', id, 'export', format),
    name: `.${format}`,
  }))
  return sealCard(looked, { checkHref: query(path('recordings', id), { ch: channel, check: 'yes' }), exports })
}

function liveNotice(site: Site, visit: Visit, { row }: Looked): Html | false {
  if (row.end !== null) return false
  const here = path('recordings', row.session.id)
  return html`<section class="card">
    <p class="still">The session is open: this is what is on disk so far. <a href="${here}">Show what came since</a></p>
    ${
      mayEnd(site, visit, row) &&
      html`<details class="later">
        <summary>End it</summary>
        ${endForm(row.session.id)}
      </details>`
    }
  </section>`
}

const operations = [
  ['', 'Changes and contents'],
  ['all', 'All operations'],
  ['up', 'To the target'],
  ['down', 'From the target'],
  ...['read', 'write', 'remove', 'rename', 'mkdir', 'rmdir', 'setstat', 'list', 'stat', 'symlink', 'link'].map(
    (op) => [op, op] as const,
  ),
] as const

/** The parts of one page, in the order in which they stand there. */
class View {
  readonly #here: string
  readonly #session: string
  readonly #startedAt: Looked['row']['session']['startedAt']
  readonly #looking: Looking
  readonly #items: SshPageItems
  readonly #clock: Clock

  constructor({ show }: Visit, { row: { session } }: Looked, looking: Looking, items: SshPageItems) {
    this.#session = session.id
    this.#startedAt = session.startedAt
    this.#here = path('recordings', session.id)
    this.#looking = looking
    this.#items = items
    this.#clock = (seconds) => show.time(at(session.startedAt, seconds))
  }

  sections(channel: SshChannel | undefined, places: Places | undefined): Html {
    return html`${this.#channels(channel)} ${channel && this.#replay(channel, places)} ${this.#files()}
    ${this.#forwards()} ${this.#gate()}`
  }

  #href(fields: Readonly<Record<string, string | number | undefined>>, anchor: string): string {
    return `${query(this.#here, fields)}#${anchor}`
  }

  #channels(current: SshChannel | undefined): Html {
    const { channels, channelCount, forwardCount } = this.#items
    if (channels.length === 0 && forwardCount > 0) return html``
    if (channels.length === 0) return empty('Nothing ran on this connection, as far as it is on disk.')
    const left = channelCount - channels.length
    return html`<h2>What ran</h2>
      ${channelTable(channels, this.#clock, {
        current: current?.ch,
        cut: this.#cut(),
        hrefOf: ({ ch, outputBytes }) => (outputBytes === 0 ? undefined : this.#href({ ch }, 'replay')),
      })}
      ${left > 0 && html`<p class="small">And ${left} more; the export has them all.</p>`}`
  }

  /** When the gateway cut the session off, and the words for it. */
  #cut(): Cut | undefined {
    const said = this.#items.said.find(({ what }) => what === 'cut')
    return said && { at: said.at, words: cutWords(said.code ?? null) }
  }

  #replay(channel: SshChannel, places: Places | undefined): Html {
    const { ch } = channel
    const exports = [
      ['cast', '.cast', 'asciicast v3'],
      ['cast-v2', '.cast v2', 'for asciinema 2'],
      ['txt', '.txt', 'plain text'],
    ] as const
    const links = exports.map(
      ([format, name, what], index) =>
        html`${index > 0 && ' · '}<a
            href="${query(path('recordings', this.#session, 'export', format), { ch })}"
            title="${what}"
            download
            >${name}</a
          >`,
    )
    return html`<h2 id="replay">Replay: <span class="mono">${headingOf(channel)}</span></h2>
      <section class="card" aria-label="Replay">
        ${terminalPlayer({ session: this.#session, channel: ch, startedAt: this.#startedAt, atSeconds: this.#looking.atSeconds })}
        <form class="tools find" role="search" data-replay-find>
          <input type="hidden" name="ch" value="${ch}" />
          <input
            name="find"
            value="${this.#looking.find}"
            maxlength="100"
            aria-label="Find what was shown"
            placeholder="Find what was shown: command, file, error…"
          />
          <button class="btn plain">Find</button>
          <span class="small">Export ${links}</span>
        </form>
        <div id="places" aria-live="polite">${places && this.#places(places, ch)}</div>
      </section>`
  }

  #places({ places, next }: Places, ch: number): Html {
    const { find } = this.#looking
    const further =
      next !== undefined &&
      html`<p class="small"><a href="${this.#href({ ch, find, from: next }, 'replay')}">Look further</a></p>`
    if (places.length === 0)
      return html`<p class="small">Nothing like that was shown${next !== undefined && ' in this part'}.</p>
        ${further}`
    return html`<ul class="places plain-list">
        ${places.map(
          ({ seconds, before, match, after }) =>
            html`<li>
              <a class="time" href="${this.#href({ ch, find, at: seconds }, 'replay')}" data-seek="${seconds}"
                >${offsetText(seconds)}</a
              >
              <span class="sql">${clipped(before)}<mark>${clipped(match)}</mark>${clipped(after)}</span>
            </li>`,
        )}
      </ul>
      ${further}`
  }

  #files(): Html | false {
    const { files, fileCount, matchCount, lookCount } = this.#items
    const { path: wanted, op, skip, channel: ch } = this.#looking
    if (fileCount === 0) return false
    const more = matchCount - skip - files.length
    return html`<h2 id="files">Files</h2>
      <form class="tools" role="search" action="#files">
        ${ch !== undefined && html`<input type="hidden" name="ch" value="${ch}" />`}
        <input name="path" value="${wanted}" maxlength="200" aria-label="Find in paths" placeholder="Find in paths" />
        <select name="op" aria-label="Operation">
          ${operations.map(([value, words]) => html`<option value="${value}" ${value === op ? ' selected' : ''}>${words}</option>`)}
        </select>
        <button class="btn plain">Find</button>
      </form>
      ${files.length === 0 ? empty('No file operation matches.', { href: this.#href({ ch, op: 'all' }, 'files'), text: 'Show all' }) : fileTable(files, this.#clock)}
      ${files.length > 0 && lookCount > 0 && html`<p class="small">${lookCount} that only looked (stat, realpath and the like) ${lookCount === 1 ? 'is' : 'are'} left out. <a href="${this.#href({ ch, path: wanted, op: 'all' }, 'files')}">Show all</a></p>`}
      ${more > 0 && html`<p class="next"><a class="btn plain" href="${this.#href({ ch, path: wanted, op, skip: skip + filesShownMax }, 'files')}">Go on</a> <span class="small">${more} more</span></p>`}`
  }

  #forwards(): Html | false {
    const { forwards, forwardCount, listens } = this.#items
    if (forwardCount === 0 && listens.length === 0) return false
    const left = forwardCount - forwards.length
    return html`<h2>Forwarded connections</h2>
      ${forwardTable(this.#items, this.#clock)}
      ${left > 0 && html`<p class="small">And ${left} more; the export has them all.</p>`}`
  }

  #gate(): Html | false {
    const { refusals, refusalCount, said } = this.#items
    if (refusals.length === 0 && said.length === 0) return false
    const left = refusalCount - refusals.length
    return html`<h2>What the gateway did</h2>
      ${gateTable(this.#items, this.#clock)}
      ${left > 0 && html`<p class="small">And ${left} more refusals; the export has them all.</p>`}`
  }
}

const headingCharsMax = 80

function headingOf(channel: SshChannel): string {
  const name = nameOf(channel)
  return name.length > headingCharsMax ? `${name.slice(0, headingCharsMax)}…` : name
}
