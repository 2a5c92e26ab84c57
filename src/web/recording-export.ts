import { createReadStream } from 'node:fs'
import { openRecording, type Recording } from '../recording/reading.ts'
import { postgresTimeline, type StatementItem } from '../recording/postgres-timeline.ts'
import { bindText } from './recording-page-items.ts'

export const exportTypes = {
  curfew: 'application/octet-stream',
  jsonl: 'application/x-ndjson; charset=utf-8',
  sql: 'application/sql; charset=utf-8',
} as const
export type ExportFormat = keyof typeof exportTypes

export function isExportFormat(text: string): text is ExportFormat {
  return Object.hasOwn(exportTypes, text)
}

/** The recording as a download, at the pace of the reader. Nothing is open before it reads or after it has gone. */
export function exportStream(format: ExportFormat, file: string): ReadableStream<Uint8Array> {
  return ReadableStream.from(bytes(format, file))
}

async function* bytes(format: ExportFormat, file: string): AsyncGenerator<Uint8Array> {
  if (format === 'curfew') {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>
    return
  }
  await using open = await openRecording(file)
  let lines: string[] = []
  for await (const line of format === 'jsonl' ? jsonLines(open) : sqlText(open)) {
    lines.push(line)
    if (lines.length < 200) continue
    yield Buffer.from(lines.join(''))
    lines = []
  }
  yield Buffer.from(lines.join(''))
}

/** The header line, then one line an event: `[seconds, code, data]`. */
async function* jsonLines(recording: Recording): AsyncGenerator<string> {
  yield `${JSON.stringify(recording.header)}\n`
  for await (const { seconds, code, data } of recording.events()) yield `${JSON.stringify([seconds, code, data])}\n`
}

/** The statements, to read or to run again elsewhere; what failed, and what is not SQL, is in comments. */
async function* sqlText(recording: Recording): AsyncGenerator<string> {
  yield comment(
    `Recorded session ${String(recording.header['session'])}, started ${String(recording.header['startedAt'])}`,
  )
  for await (const item of postgresTimeline(recording.events())) {
    if (item.kind === 'statement') yield statementSql(item)
    if (item.kind === 'gate') yield `\n${comment(`${item.at.toFixed(3)} s  gateway: ${item.text}`)}`
  }
}

function statementSql(item: StatementItem): string {
  const head = comment(`${item.at.toFixed(3)} s`)
  const binds = item.binds.map((value, at) => comment(`$${at + 1} = ${bindText(value)}`)).join('')
  const error =
    item.error === null ? '' : comment(`${item.error.severity} ${item.error.sqlstate}: ${item.error.message}`)
  const results = item.results.map(({ tag }) => comment(tag ?? 'empty')).join('')
  return `\n${head}${binds}${sqlOf(item)}${results}${error}`
}

function sqlOf({ sql, sqlBytes, results, error }: StatementItem): string {
  if (sql === null) return comment('a statement that was prepared earlier')
  if (sqlBytes !== null) return comment(`only the beginning was recorded: ${sql}`)
  // psql reads a backslash as a command of its own (`\!` runs a program) where the server may not have seen one; and
  // what the server refused may open a quote that hides where the next statement begins.
  const asItWas = results.length > 0 && error === null && !sql.includes('\\')
  if (!asItWas) return sql.split(lineEnds).map(comment).join('')
  return `${sql.trimEnd().replace(/;$/, '')};\n`
}

const lineEnds = /[\r\n\u2028\u2029]+/g

/** Text from a session must not break out of its comment. */
function comment(text: string): string {
  return `-- ${text.replaceAll(lineEnds, ' ')}\n`
}
