import type { BoundValue } from '../recording/postgres-events.ts'
import type { StatementError, StatementItem, TimelineItem } from '../recording/postgres-timeline-items.ts'
import { guardText } from '../recording/guard-words.ts'
import { offsetTime, sizeInWords } from './recording-words.ts'
import { terminalLine, terminalText } from './terminal-text.ts'

export type Paint = (format: 'bold' | 'dim' | 'red' | 'yellow' | 'green', text: string) => string

const indent = ' '.repeat(13)

/** One thing that happened, as a person reads it; several lines, the first with the time. */
export function timelineText(item: TimelineItem, paint: Paint): string {
  return timedLines(item.at, linesOf(item, paint), paint)
}

/** The first line with the time before it. @param at seconds since the start. */
export function timedLines(at: number, [first, ...rest]: readonly string[], paint: Paint): string {
  const time = paint('dim', offsetTime(at).padStart(11))
  return [`${time}  ${first}`, ...rest.map((line) => indent + line)].join('\n')
}

function linesOf(item: TimelineItem, paint: Paint): string[] {
  switch (item.kind) {
    case 'statement':
      return statementLines(item, paint)
    case 'error':
      return [...(item.sql === null ? [] : sqlLines(item.sql, null)), errorLine(item.error, null, paint)]
    case 'parsed':
      return [...sqlLines(item.sql, null), paint('dim', `-> parsed at ${offsetTime(item.parsedAt)}, not executed`)]
    case 'notice':
      return [noticeLine(item.notice)]
    case 'transaction':
      return [paint('dim', transactionWords[item.status])]
    case 'cancel':
      return [paint('yellow', `cancel asked for from ${terminalLine(item.address)}`)]
    case 'guard':
      return [paint('yellow', terminalLine(guardText(item)))]
    case 'parameter':
      return [paint('dim', terminalLine(`${item.name} = ${item.value}`))]
    case 'gate':
      return [paint('yellow', `Curfew: ${terminalLine(item.text)}`)]
    case 'unknown':
      return [paint('dim', `(a line ${terminalLine(item.code)} that this version cannot read)`)]
  }
}

const transactionWords = {
  open: '(in a transaction)',
  failed: '(the transaction has failed)',
  idle: '(the transaction is over)',
} as const

function statementLines(item: StatementItem, paint: Paint): string[] {
  const lines = item.sql === null ? ['(a statement that was parsed before)'] : sqlLines(item.sql, item.sqlBytes)
  if (item.binds.length + item.bindsLeftOut > 0) lines.push(paint('dim', bindsLine(item)))
  lines.push(...item.notices.map(noticeLine))
  if (item.copy !== null) lines.push(`COPY ${item.copy.direction}: ${sizeInWords(item.copy.bytes)}`)
  lines.push(...keptLines(item.kept).map((line) => paint('dim', line)))
  lines.push(...item.results.map((result) => paint('green', resultLine(result))))
  const answeredMs = item.results.reduce((sum, { ms }) => sum + (ms ?? 0), 0)
  const errorMs = item.durationMs === null ? null : item.durationMs - answeredMs
  if (item.error !== null) lines.push(errorLine(item.error, errorMs, paint))
  else if (item.cutOff) lines.push(paint('yellow', `-> cut off after ${duration(item.durationMs ?? 0)}`))
  else if (item.results.length === 0) lines.push(paint('dim', '-> no answer'))
  return lines
}

/** The rows that were kept, under their columns. */
function keptLines({ columns, rows }: StatementItem['kept']): readonly string[] {
  if (rows.length === 0) return []
  const head = columns.map(({ name }) => terminalLine(name)).join(' | ')
  return [...(head === '' ? [] : [head]), ...rows.map((row) => row.map(bindText).join(' | '))]
}

function sqlLines(sql: string, wholeBytes: number | null): string[] {
  const lines = terminalText(sql).trim().split('\n')
  if (wholeBytes !== null) lines.push(`... (cut; ${sizeInWords(wholeBytes)} in all)`)
  return lines
}

function bindsLine({ binds, bindsLeftOut }: StatementItem): string {
  const values = binds.map((value, index) => `$${index + 1} = ${bindText(value)}`)
  if (bindsLeftOut > 0) values.push(`${bindsLeftOut} more`)
  return values.join(', ')
}

function bindText(value: BoundValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return quoted(value)
  const whole = value.bytes === undefined ? '' : ` (cut; ${sizeInWords(value.bytes)} in all)`
  if ('base64' in value) return `binary ${terminalLine(value.base64)}${whole}`
  const type = value.type === undefined ? '' : `::${terminalLine(value.type)}`
  return `${quoted(value.text)}${type}${whole}`
}

function quoted(text: string): string {
  return `'${terminalLine(text).replaceAll("'", "''")}'`
}

/** `-> 3 rows (SELECT), 3.2 ms`; `-> CREATE TABLE, 4.0 ms`. */
function resultLine({ tag, rows, ms, suspended, bytes, firstMs }: StatementItem['results'][number]): string {
  const verb = tag === null ? null : terminalLine(tag).replace(/( \d+)+$/, '')
  const parts = [
    rows === null ? (verb ?? (suspended ? null : 'empty')) : `${rowCount(rows)}${verb === null ? '' : ` (${verb})`}`,
    suspended ? 'more to fetch' : null,
    bytes === null ? null : sizeInWords(bytes),
    ms === null ? null : duration(ms),
    firstMs === null ? null : `the first after ${duration(firstMs)}`,
  ]
  return `-> ${parts.filter((part) => part !== null).join(', ')}`
}

function errorLine(error: StatementError, ms: number | null, paint: Paint): string {
  const detail = error.detail === undefined ? '' : ` (${error.detail})`
  const sent = error.rows > 0 ? `, after ${rowCount(error.rows)}` : ''
  const took = ms === null ? '' : `, ${duration(ms)}`
  const said = terminalLine(`${error.severity} ${error.sqlstate}: ${error.message}${detail}`)
  return paint('red', `-> ${said}${sent}${took}`)
}

function noticeLine({ severity, message }: { severity: string; message: string }): string {
  return terminalLine(`${severity}: ${message}`)
}

function rowCount(rows: number): string {
  return `${rows} row${rows === 1 ? '' : 's'}`
}

/** `3.2 ms`, `12.0 s`. */
export function duration(ms: number): string {
  return ms < 10_000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`
}
