import { Fault } from '../kernel/fault.ts'
import { version } from '../kernel/version.ts'
import { terminalCast } from '../recording/asciicast.ts'
import { harText } from '../recording/har.ts'
import { jsonLines } from '../recording/json-lines.ts'
import { openRecording, type Recording } from '../recording/reading.ts'
import { postgresTimeline } from '../recording/postgres-timeline.ts'
import type { StatementItem } from '../recording/postgres-timeline-items.ts'
import { openFile, pieces } from '../recording/source.ts'
import { terminalText } from '../recording/terminal-text.ts'
import type { Client } from '../sessions/session.ts'
import { eventsOf } from './http-page-items.ts'
import { bindText } from './recording-page-items.ts'
import { fieldOf } from './replay-moments.ts'

const types = {
  curfew: 'application/octet-stream',
  jsonl: 'application/x-ndjson; charset=utf-8',
  sql: 'application/sql; charset=utf-8',
  cast: 'application/x-asciicast; charset=utf-8',
  'cast-v2': 'application/x-asciicast; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  har: 'application/json; charset=utf-8',
  // never what it says it is: nothing of it may do anything here
  body: 'application/octet-stream',
} as const
type ExportFormat = keyof typeof types

const formatsOf = {
  postgres: ['curfew', 'jsonl', 'sql'],
  ssh: ['curfew', 'jsonl', 'cast', 'cast-v2', 'txt'],
  http: ['curfew', 'jsonl', 'har', 'body'],
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
  /** One body of one request: `?request=&at=&direction=`. */
  readonly body?: WantedBody
  /** Whether there is anything to take away. */
  readonly isIn?: (recording: Recording) => Promise<boolean>
}

interface WantedBody {
  readonly n: number
  readonly fromSeconds: number
  readonly direction: string
}

/** @throws Fault NOT_FOUND for a format that sessions of this protocol have not. */
export function readExport(protocol: Client['protocol'], text: string, params: URLSearchParams): Export {
  const formats: readonly ExportFormat[] = formatsOf[protocol]
  const format = formats.find((one) => one === text)
  if (format === undefined) throw new Fault('NOT_FOUND', `This recording is exported as ${formats.join(', ')}.`)
  const type = types[format]
  if (format === 'body') return { format, type, ...readBody(params) }
  if (!ofChannels.has(format)) return { format, type, nameEnd: `.${format}` }
  const channel = Number(params.get('ch') ?? NaN)
  if (!Number.isSafeInteger(channel)) throw new Fault('NOT_FOUND', 'The address must name a channel: ?ch=1')
  const isIn = (recording: Recording) => some(recording.events(), ({ data }) => fieldOf(data, 'ch') === channel)
  return { format, type, nameEnd: `-${channel}.${format === 'cast-v2' ? 'v2.cast' : format}`, channel, isIn }
}

function readBody(params: URLSearchParams): Pick<Export, 'nameEnd' | 'body' | 'isIn'> {
  const n = Number(params.get('request') ?? NaN)
  const direction = params.get('direction') ?? ''
  const at = Number(params.get('at') ?? 0)
  if (!Number.isSafeInteger(n) || !['up', 'down'].includes(direction)) {
    throw new Fault('NOT_FOUND', 'The address must name a body: ?request=1&direction=down')
  }
  const body = { n, direction, fromSeconds: Number.isFinite(at) && at > 0 ? at : 0 }
  return { nameEnd: `-${n}-${direction}.bin`, body, isIn: (recording) => some(bodyParts(recording, body), () => true) }
}

async function some<Value>(values: AsyncIterable<Value>, test: (value: Value) => boolean): Promise<boolean> {
  for await (const value of values) if (test(value)) return true
  return false
}

/** The recording as a download, at the pace of the reader. Nothing is open before it reads or after it has gone. */
export function exportStream(wanted: Wanted, file: string): ReadableStream<Uint8Array> {
  return ReadableStream.from(bytes(wanted, file))
}

type Wanted = Pick<Export, 'format' | 'channel' | 'body'>

const pieceChars = 64 * 1024

async function* bytes(wanted: Wanted, file: string): AsyncGenerator<Uint8Array> {
  if (wanted.format === 'curfew') {
    await using source = await openFile(file)
    return yield* pieces(source)
  }
  await using open = await openRecording(file)
  if (wanted.body !== undefined) return yield* bodyParts(open, wanted.body)
  let piece = ''
  for await (const line of linesOf(open, wanted)) {
    piece += line
    if (piece.length < pieceChars) continue
    yield Buffer.from(piece)
    piece = ''
  }
  yield Buffer.from(piece)
}

/** As it passed: what was encoded stays so. */
async function* bodyParts(recording: Recording, { n, direction, fromSeconds }: WantedBody): AsyncGenerator<Uint8Array> {
  for await (const { code, data, bytes } of eventsOf(recording.events({ fromSeconds }), n)) {
    if (code === '=b' && fieldOf(data, 'direction') === direction && bytes !== undefined) yield bytes
  }
}

function linesOf(recording: Recording, { format, channel = 0 }: Wanted) {
  switch (format) {
    case 'sql':
      return sqlText(recording)
    case 'cast':
      return terminalCast(recording, channel)
    case 'cast-v2':
      return terminalCast(recording, channel, { format: 'v2' })
    case 'txt':
      return terminalText(recording, channel)
    case 'har':
      return harText(recording, version())
    default:
      return jsonLines(recording)
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

function sqlOf({ sql, sqlBytes, results, error, copy }: StatementItem): string {
  if (sql === null) return comment('a statement that was prepared earlier')
  if (sqlBytes !== null) return comment(`only the beginning was recorded: ${sql}`)
  // psql reads a backslash as a command of its own (`\!` runs a program) where the server may not have seen one; and
  // what the server refused may open a quote that hides where the next statement begins. Behind COPY FROM STDIN it would
  // take all that follows for data.
  const takesMore = copy !== null && copy.direction !== 'out'
  const asItWas = results.length > 0 && error === null && !takesMore && !sql.includes('\\')
  if (!asItWas) return sql.split(lineEnds).map(comment).join('')
  const statement = sql.trimEnd().replace(/;$/, '')
  return `${statement}${endsInComment.test(statement) ? '\n' : ''};\n`
}

/** Or in what looks like one. */
const endsInComment = /--[^\r\n]*$/

const lineEnds = /[\r\n\u2028\u2029]+/g

/** Text from a session must not break out of its comment. */
function comment(text: string): string {
  return `-- ${text.replaceAll(lineEnds, ' ')}\n`
}
