import { html } from 'hono/html'
import type { Instant } from '../../kernel/time.ts'
import { guardText } from '../../recording/guard-words.ts'
import type { BoundValue } from '../../recording/postgres-events.ts'
import type { StatementItem, TimelineItem } from '../../recording/postgres-timeline-items.ts'
import type { Html } from '../context.ts'
import { bindText } from '../recording-page-items.ts'
import { formatBytes } from './parts.ts'
import type { Show } from './show.ts'

/** What one row shows of a long statement; the export has all that was recorded. */
const shownCharsMax = 4000
const bindsShownMax = 50
const rowsShownMax = 100

/** A PostgreSQL session as a person reads it: what was sent when, and what came of it. */
export function timelineTable(show: Show, items: readonly TimelineItem[], at: (seconds: number) => Instant): Html {
  return html`<section class="card flat">
    <table class="timeline">
      <thead>
        <tr>
          <th scope="col">At</th>
          <th scope="col">Statement</th>
          <th scope="col" class="wide">Result</th>
          <th scope="col" class="num">Took</th>
        </tr>
      </thead>
      <tbody>
        ${items.map((item) => row(item, show.time(at(item.at))))}
      </tbody>
    </table>
  </section>`
}

function row(item: TimelineItem, time: Html): Html {
  switch (item.kind) {
    case 'statement':
      return statementRow(item, time)
    case 'error':
      return html`<tr class="err">
        <td class="time line">${time}</td>
        <td>${sqlText(item.sql ?? '')}${errorLine(item.error)}</td>
        <td class="wide"></td>
        <td></td>
      </tr>`
    case 'parsed':
      return html`<tr class="word">
        <td class="time line">${time}</td>
        <td>${sqlText(item.sql)}</td>
        <td class="wide">parsed, not executed</td>
        <td></td>
      </tr>`
    case 'notice':
      return wordRow(time, `${item.notice.severity}: ${item.notice.message}`)
    case 'transaction':
      return wordRow(time, transactionWords[item.status])
    case 'cancel':
      return wordRow(time, `Somebody at ${item.address} asked to cancel what runs.`)
    case 'guard':
      return wordRow(time, guardText(item))
    case 'parameter':
      return wordRow(time, `${item.name} = ${item.value}`)
    case 'gate':
      return item.what === 'cut' ? endRow(time, item.text) : wordRow(time, `The gateway said: ${item.text}`)
    case 'unknown':
      return wordRow(time, `A line of a kind that this version does not know (${item.code}).`)
  }
}

const transactionWords = {
  open: 'In a transaction from here on.',
  failed: 'The transaction has failed: nothing of it will stay.',
  idle: 'The transaction is over.',
} as const

function wordRow(time: Html, text: string): Html {
  return html`<tr class="word">
    <td class="time line">${time}</td>
    <td colspan="3">${clipped(text)}</td>
  </tr>`
}

function endRow(time: Html, text: string): Html {
  return html`<tr class="end">
    <td class="time line">${time}</td>
    <td colspan="3">${clipped(text)}</td>
  </tr>`
}

function statementRow(item: StatementItem, time: Html): Html {
  const result = results(item)
  return html`<tr class="${item.error !== null && 'err'}">
    <td class="time line">${time}</td>
    <td>
      ${statementText(item)}${binds(item)}${item.notices.map(({ severity, message }) => html`<span class="bind mono">${severity}: ${clipped(message)}</span>`)}${keptRows(item)}${item.error !== null && errorLine(item.error)}<span
        class="bind narrow-only"
        >${result}</span
      >
    </td>
    <td class="wide">${result}</td>
    <td class="num">${took(item.durationMs)}</td>
  </tr>`
}

function statementText({ sql, sqlBytes }: StatementItem): Html {
  if (sql === null) return html`<span class="small">a statement that was prepared before this part</span>`
  if (sqlBytes === null) return sqlText(sql)
  return html`${sqlText(sql)} <span class="small">… ${formatBytes(sqlBytes)} in all; its beginning was recorded</span>`
}

/** In a span of its own, because its white space counts and that of the markup around it must not. */
function sqlText(sql: string): Html {
  return html`<span class="sql">${clipped(sql)}</span>`
}

function binds({ binds: values, bindsLeftOut }: StatementItem): Html {
  const hidden = Math.max(0, values.length - bindsShownMax) + bindsLeftOut
  return html`${values.slice(0, bindsShownMax).map((value, at) => html`<span class="bind mono">$${at + 1} = ${clipped(bindText(value))}</span>`)}${hidden > 0 && html`<span class="bind">and ${hidden} more values</span>`}`
}

/** What the role let be kept of the results. */
function keptRows({ kept: { columns, rows }, results: all }: StatementItem): Html | false {
  if (rows.length === 0) return false
  const sent = all.reduce((sum, { rows: count }) => sum + (count ?? 0), 0)
  const shown = rows.slice(0, rowsShownMax)
  const left = Math.max(sent, rows.length) - shown.length
  return html`<details class="kept">
    <summary>${shown.length === 1 ? 'One row' : `${shown.length} rows`} kept</summary>
    <div class="sideways">
      <table>
        ${
          columns.length > 0 &&
          html`<thead>
            <tr>
              ${columns.map(({ name, type }) => html`<th scope="col" title="${type ?? ''}">${clipped(name)}</th>`)}
            </tr>
          </thead>`
        }
        <tbody>
          ${shown.map(
            (row) =>
              html`<tr>
                ${row.map((value) => html`<td class="mono">${clipped(cellText(value))}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${left > 0 && html`<span class="small">and ${left} more</span>`}
  </details>`
}

function cellText(value: BoundValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return value
  const text = 'base64' in value ? value.base64 : value.text
  return value.bytes === undefined ? text : `${text}… (${value.bytes} bytes)`
}

function errorLine(error: NonNullable<StatementItem['error']>): Html {
  return html`<span class="problem"><span class="chip stop">${error.sqlstate}</span> ${clipped(error.message)}</span>`
}

function results({ results: all, copy, cancelled, cutOff }: StatementItem): string {
  const said = all.map(({ tag, rows, suspended }) => {
    const counted = rows === null ? (tag ?? 'empty') : `${rows} ${rows === 1 ? 'row' : 'rows'}`
    const word = tag?.startsWith('SELECT') || rows === null ? counted : `${tag?.split(' ')[0] ?? ''} ${counted}`
    return suspended ? `${word}, more to come` : word
  })
  const copied = copy === null ? [] : [`${formatBytes(copy.bytes)} copied ${copy.direction === 'in' ? 'in' : 'out'}`]
  return [...said, ...copied, ...(cancelled ? ['cancelled'] : []), ...(cutOff ? ['cut off'] : [])].join('; ')
}

function took(ms: number | null): string {
  if (ms === null) return ''
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

function clipped(text: string): string {
  return text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text
}
