import { html } from 'hono/html'
import type { SshChannel } from '../../recording/ssh-timeline.ts'
import type { Html } from '../context.ts'
import type { FileItem, SshPageItems } from '../ssh-page-items.ts'
import { chip, formatBytes } from './parts.ts'

/** Writes the time of day of a second of the recording. */
export type Clock = (seconds: number) => Html

const shownCharsMax = 2000

/** The end that the gateway made: in seconds of the recording, and in words. */
export interface Cut {
  readonly at: number
  readonly words: string
}

interface ChannelsShown {
  /** The one that is played below. */
  readonly current: number | undefined
  /** What was open then was cut off. */
  readonly cut: Cut | undefined
  /** Where a channel is played; undefined for one that showed nothing. */
  readonly hrefOf: (channel: SshChannel) => string | undefined
}

export function channelTable(channels: readonly SshChannel[], clock: Clock, shown: ChannelsShown): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          <th scope="col">At</th>
          <th scope="col">What ran</th>
          <th scope="col">How it ended</th>
          <th scope="col" class="wide num">Took</th>
          <th scope="col" class="wide num">Up, down</th>
          <th scope="col"><span class="unseen">Replay</span></th>
        </tr>
      </thead>
      <tbody>
        ${channels.map((channel) => channelRow(channel, clock, shown))}
      </tbody>
    </table>
  </section>`
}

function channelRow(channel: SshChannel, clock: Clock, { current, cut, hrefOf }: ChannelsShown): Html {
  const { openedAt, closedAt, bytesUp, bytesDown } = channel
  const isCurrent = channel.ch === current
  const href = hrefOf(channel)
  return html`<tr>
    <td class="time line">${openedAt !== null && clock(openedAt)}</td>
    <td>${whatRan(channel)}</td>
    <td>${exitChip(channel, cut)}</td>
    <td class="wide num small">${openedAt !== null && closedAt !== null && tookText(closedAt - openedAt)}</td>
    <td class="wide num small">
      ${bytesUp !== null && bytesDown !== null && `${formatBytes(bytesUp)}, ${formatBytes(bytesDown)}`}
    </td>
    <td class="num">
      ${href !== undefined && html`<a href="${href}" ${isCurrent ? html` aria-current="true"` : ''} aria-label="Replay ${nameOf(channel)}">${isCurrent ? 'below' : 'Replay'}</a>`}
    </td>
  </tr>`
}

/** In one line, for headings and labels. */
export function nameOf({ ch, ran }: SshChannel): string {
  if (ran === null) return `channel ${ch}`
  if (ran.what === 'shell') return `shell (channel ${ch})`
  return `${clipped(ran.command ?? '')} (channel ${ch})`
}

function whatRan({ ran, terminal, lost, files, outputBytes, sha256Up }: SshChannel): Html {
  const facts = [
    ...(terminal === null ? [] : [`${terminal.type || 'terminal'}, ${terminal.cols} x ${terminal.rows}`]),
    ...(files === 0 ? [] : [files === 1 ? '1 file operation' : `${files} file operations`]),
    ...(outputBytes === 0 ? [] : [`${formatBytes(outputBytes)} shown`]),
    ...(lost === null ? [] : [`file operations not understood from some place on: ${lost}`]),
  ].join(' · ')
  return html`${ranText(ran)}${facts !== '' && html`<span class="bind small">${clipped(facts)}</span>`}${sha256Up !== null && html`<span class="bind small">sent to it: ${hash(sha256Up)}</span>`}`
}

function ranText(ran: SshChannel['ran']): Html {
  if (ran === null) return html`<span class="small">nothing was started</span>`
  if (ran.what === 'shell') return html`shell`
  if (ran.what === 'subsystem') return html`<span class="sql">${clipped(ran.command ?? '')}</span>`
  const whole =
    ran.commandBytes !== null &&
    html` <span class="small">… ${formatBytes(ran.commandBytes)} in all; its beginning was recorded</span>`
  return html`<span class="sql">${clipped(ran.command ?? '')}</span>${whole}`
}

function exitChip({ exit, closedAt }: SshChannel, cut: Cut | undefined): Html {
  if (exit?.status === 0) return chip('plain', 'exit 0')
  if (typeof exit?.status === 'number') return chip('stop', `exit ${exit.status}`)
  if (typeof exit?.signal === 'string') return chip('stop', `killed by ${clipped(exit.signal)}`)
  if (cut !== undefined && (closedAt === null || closedAt >= cut.at)) return chip('stop', cut.words)
  return closedAt === null ? chip('wait', 'not closed') : chip('plain', 'closed')
}

export function fileTable(files: readonly FileItem[], clock: Clock): Html {
  return html`<section class="card flat">
    <table class="files">
      <thead>
        <tr>
          <th scope="col">At</th>
          <th scope="col">Operation</th>
          <th scope="col">Path</th>
          <th scope="col" class="wide num">Size</th>
          <th scope="col" class="wide">SHA-256</th>
          <th scope="col" class="wide">Result</th>
        </tr>
      </thead>
      <tbody>
        ${files.map((file) => fileRow(file, clock(file.at)))}
      </tbody>
    </table>
  </section>`
}

const directions = { up: '↑ to the target', down: '↓ from the target' } as const

function fileRow(file: FileItem, time: Html): Html {
  const { op, direction, bytes, sha256, result, count } = file
  const failed = result !== 'ok'
  const size = bytes === undefined ? '' : formatBytes(bytes)
  return html`<tr class="${failed && 'err'}">
    <td class="time line">${time}</td>
    <td>
      ${op}${count !== undefined && ` x ${count}`}${direction !== undefined && html`<span class="bind small">${directions[direction]}</span>`}
    </td>
    <td>
      ${filePath(file)}<span class="bind small narrow-only"
        >${size}${sha256 !== undefined && html` ${hash(sha256)}`}${failed && html` ${clipped(result)}`}</span
      >
    </td>
    <td class="wide num">${size}</td>
    <td class="wide">${sha256 !== undefined && hash(sha256)}</td>
    <td class="wide ${!failed && 'small'}">${clipped(result)}</td>
  </tr>`
}

function filePath({ path, to, name, names, set }: FileItem): Html {
  const facts = [
    ...(name === undefined ? [] : [`as ${name}`]),
    ...(names === undefined ? [] : [names === 1 ? '1 name' : `${names} names`]),
    ...Object.entries(set ?? {}).map(([what, value]) => `${what} ${String(value)}`),
  ].join(', ')
  return html`<span class="sql">${clipped(path)}</span
    >${to !== undefined && html`<span class="bind mono">→ ${clipped(to)}</span>`}${facts !== '' && html`<span class="bind small">${clipped(facts)}</span>`}`
}

/** The beginning; the whole on hover, and to copy. */
function hash(sha256: string): Html {
  return html`<span class="hash"
    ><code title="${sha256}">${sha256.slice(0, 12)}…</code
    ><button type="button" class="quiet" data-copy="${sha256}" aria-label="Copy the whole SHA-256" hidden>
      Copy
    </button></span
  >`
}

const forwardWords = {
  session: 'session',
  'forward-local': 'to (-L, -D)',
  'forward-remote': 'from (-R)',
  agent: 'agent',
} as const

export function forwardTable({ forwards, listens }: SshPageItems, clock: Clock): Html {
  return html`<section class="card flat">
    <table>
      <thead>
        <tr>
          <th scope="col">At</th>
          <th scope="col" class="wide">Direction</th>
          <th scope="col">Where</th>
          <th scope="col" class="wide num">Took</th>
          <th scope="col" class="num">Up, down</th>
        </tr>
      </thead>
      <tbody>
        ${listens.map(
          ({ at, address, action, ok }) =>
            html`<tr class="word">
              <td class="time line">${clock(at)}</td>
              <td colspan="4">
                The target ${action === 'listen' ? (ok ? 'listens' : 'could not listen') : 'stops listening'} at
                <span class="mono">${clipped(address)}</span>
              </td>
            </tr>`,
        )}${forwards.map((channel) => forwardRow(channel, clock))}
      </tbody>
    </table>
  </section>`
}

function forwardRow({ openedAt, closedAt, kind, to, from, bytesUp, bytesDown }: SshChannel, clock: Clock): Html {
  return html`<tr>
    <td class="time line">${openedAt !== null && clock(openedAt)}</td>
    <td class="wide">${forwardWords[kind ?? 'session']}</td>
    <td>
      <span class="small narrow-only">${forwardWords[kind ?? 'session']}</span
      ><span class="sql">${clipped(to ?? '')}</span
      >${from !== null && html`<span class="bind small">from ${clipped(from)}</span>`}
    </td>
    <td class="wide num small">${openedAt !== null && closedAt !== null && tookText(closedAt - openedAt)}</td>
    <td class="num small">
      ${bytesUp === null || bytesDown === null ? 'open' : `${formatBytes(bytesUp)}, ${formatBytes(bytesDown)}`}
    </td>
  </tr>`
}

/** What the gateway refused and said, in the order of time. */
export function gateTable({ refusals, said }: SshPageItems, clock: Clock): Html {
  const rows = [
    ...refusals.map(({ at, what, why }) => ({ at, end: false, words: `Refused: ${what}. ${why}` })),
    ...said.map(({ at, what, text }) => ({ at, end: what === 'cut', words: `The gateway said: ${text}` })),
  ].sort((left, right) => left.at - right.at)
  return html`<section class="card flat">
    <table>
      <tbody>
        ${rows.map(
          ({ at, end, words }) =>
            html`<tr class="${end ? 'end' : 'word'}">
              <td class="time line">${clock(at)}</td>
              <td>${clipped(words)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

function tookText(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  return offsetText(Math.round(seconds))
}

/** `0:07:41` since the beginning. */
export function offsetText(seconds: number): string {
  const whole = Math.floor(seconds)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`
}

/** Overrides of direction would let a reader take a name for another one. */
const misleading = /[\p{Cc}\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu

/** Somebody's text for a page: cut when long, with what cannot be seen made visible. */
export function clipped(text: string): string {
  const shown = text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text
  return shown.replaceAll(misleading, (character) => (character === '\n' || character === '\t' ? character : '\uFFFD'))
}
