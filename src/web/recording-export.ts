import { createReadStream } from 'node:fs'
import { Fault } from '../kernel/fault.ts'
import { terminalCast } from '../recording/asciicast.ts'
import { openRecording, type Recording } from '../recording/reading.ts'
import { postgresTimeline, type StatementItem } from '../recording/postgres-timeline.ts'
import { terminalText } from '../recording/terminal-text.ts'
import type { Client } from '../sessions/session.ts'
import { bindText } from './recording-page-items.ts'

const types = {
  curfew: 'application/octet-stream',
  jsonl: 'application/x-ndjson; charset=utf-8',
  sql: 'application/sql; charset=utf-8',
  cast: 'application/x-asciicast; charset=utf-8',
  'cast-v2': 'application/x-asciicast; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
} as const
type ExportFormat = keyof typeof types

const formatsOf = {
  postgres: ['curfew', 'jsonl', 'sql'],
  ssh: ['curfew', 'jsonl', 'cast', 'cast-v2', 'txt'],
} as const satisfies Readonly<Record<Client['protocol'], readonly ExportFormat[]>>
const ofChannels: ReadonlySet<ExportFormat> = new Set(['cast', 'cast-v2', 'txt'])

/** What somebody takes away. */
export interface Export {
  readonly format: ExportFormat
  readonly type: string
  /** Of the file's name, behind the session's id. */
  readonly nameEnd: string
  /** Terminals are taken one by one: `?ch=`. */
  readonly channel?: number
}

/** @throws Fault NOT_FOUND for a format that sessions of this protocol have not. */
export function readExport(protocol: Client['protocol'], text: string, params: URLSearchParams): Export {
  const formats: readonly ExportFormat[] = formatsOf[protocol]
  const format = formats.find((one) => one === text)
  if (format === undefined) throw new Fault('NOT_FOUND', `This recording is exported as ${formats.join(', ')}.`)
  const type = types[format]
  if (!ofChannels.has(format)) return { format, type, nameEnd: `.${format}` }
  const channel = Number(params.get('ch') ?? NaN)
  if (!Number.isSafeInteger(channel)) throw new Fault('NOT_FOUND', 'The address must name a channel: ?ch=1')
  return { format, type, nameEnd: `-${channel}.${format === 'cast-v2' ? 'v2.cast' : format}`, channel }
}

/** The recording as a download, at the pace of the reader. Nothing is open before it reads or after it has gone. */
export function exportStream(wanted: Pick<Export, 'format' | 'channel'>, file: string): ReadableStream<Uint8Array> {
  return ReadableStream.from(bytes(wanted, file))
}

const pieceChars = 64 * 1024

async function* bytes(wanted: Pick<Export, 'format' | 'channel'>, file: string): AsyncGenerator<Uint8Array> {
  if (wanted.format === 'curfew') {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>
    return
  }
  await using open = await openRecording(file)
  let piece = ''
  for await (const line of linesOf(open, wanted)) {
    piece += line
    if (piece.length < pieceChars) continue
    yield Buffer.from(piece)
    piece = ''
  }
  yield Buffer.from(piece)
}

function linesOf(recording: Recording, { format, channel = 0 }: Pick<Export, 'format' | 'channel'>) {
  switch (format) {
    case 'sql':
      return sqlText(recording)
    case 'cast':
      return terminalCast(recording, channel)
    case 'cast-v2':
      return terminalCast(recording, channel, { format: 'v2' })
    case 'txt':
      return terminalText(recording, channel)
    default:
      return jsonLines(recording)
  }
}

/** The header line, then one line an event: `[seconds, code, data]`; raw bytes are in `data`, in base64. */
async function* jsonLines(recording: Recording): AsyncGenerator<string> {
  yield `${JSON.stringify(recording.header)}\n`
  for await (const { seconds, code, data, bytes: raw } of recording.events()) {
    const all = raw === undefined ? data : { ...(data as object), base64: raw.toString('base64') }
    yield `${JSON.stringify([seconds, code, all])}\n`
  }
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
