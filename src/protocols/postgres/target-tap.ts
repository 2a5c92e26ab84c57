import type { BoundValue, PostgresEvents } from '../../recording/postgres-events.ts'
import type { JsonBytes } from '../../recording/json-bytes.ts'
import type { FrameTap } from './frames.ts'
import { Fields, fromServer, readReport } from './messages.ts'
import { encodeComplete, rowsInTag } from './quick-complete.ts'
import { readColumns, readRow, readTypes } from './read-values.ts'
import { columnsBytesMax, record, reportBytesMax } from './recording.ts'
import { columnsOf, type Column } from './statement-book.ts'
import { noteParameter, type Shared } from './shared-record.ts'
import { typeName } from './value-types.ts'

/** How much of each result is kept; null: nothing. */
export interface RowsKept {
  readonly rowsMax: number
  readonly bytesMax: number
}

const none: Buffer = Buffer.alloc(0)
const noColumns: readonly Column[] = []
/** Rows are written when they are as much as this, or their result is over. */
const gatheredBytesMax = 64 * 1024
const typesBytesMax = 2 + 4 * 256
/** `identifier "…" will be truncated to "…"`, both in small letters: of a password that was not quoted. */
const nameTooLong = '42622'

/** Target to client: how statements ended, notices, parameters, transactions, the size of COPY data; rows as the role says. */
export class TargetTap implements FrameTap {
  readonly #shared: Shared
  readonly #kept: RowsKept | null
  readonly #json: JsonBytes
  #head: Buffer = none
  #rows = 0
  #rowBytes = 0
  #firstRowMs = 0
  /** The kept rows that are not written yet. */
  #gathered: (readonly BoundValue[])[] = []
  #gatheredBytes = 0
  #keptBytes = 0
  #keptRows = 0
  #columns: readonly Column[] | null = null
  /** Of a simple query: the description that came last. */
  #described: readonly Column[] | null = null
  #columnsWritten = false

  constructor(shared: Shared, kept: RowsKept | null, json: JsonBytes) {
    this.#shared = shared
    this.#kept = kept
    this.#json = json
  }

  chunk(nowMs?: number): void {
    this.#shared.moment.look(nowMs)
  }

  whole(type: number, chunk: Buffer, from: number, to: number): boolean {
    switch (type) {
      case fromServer.dataRow:
        if (this.#kept !== null) return false
        this.#row(to - from)
        return true
      case fromServer.commandComplete:
        return this.#kept === null && this.#shared.copy === null && this.#quickComplete(chunk, from, to)
      case fromServer.readyForQuery:
        if (to - from !== 1) return false
        this.#ready(chunk[from])
        return true
      case fromServer.rowDescription:
      case fromServer.noData:
        if (this.#kept !== null) return false
        this.#describe()
        return true
      default:
        return this.begin(type, to - from) === 0
    }
  }

  begin(type: number, bodyBytes: number): number {
    switch (type) {
      case fromServer.dataRow:
        return this.#row(bodyBytes)
      case fromServer.copyData:
        if (this.#shared.copy !== null) this.#shared.copy.bytes += bodyBytes
        return 0
      case fromServer.commandComplete:
      case fromServer.parameterStatus:
        return 512
      case fromServer.errorResponse:
      case fromServer.noticeResponse:
        return reportBytesMax
      case fromServer.parameterDescription:
        return typesBytesMax
      case fromServer.rowDescription:
        return this.#kept === null ? 1 : columnsBytesMax
      case fromServer.noData:
      case fromServer.emptyQueryResponse:
      case fromServer.portalSuspended:
      case fromServer.functionCallResponse:
      case fromServer.readyForQuery:
      case fromServer.copyInResponse:
      case fromServer.copyOutResponse:
      case fromServer.copyBothResponse:
        return 1
      default:
        return 0
    }
  }

  head(_type: number, bytes: Buffer, bodyBytes: number): void {
    this.#head = bytes.length === bodyBytes ? bytes : Buffer.from(bytes)
  }

  rest(): void {}

  end(type: number): void {
    this.#answer(type)
    this.#head = none
  }

  /** @returns how much of it is wanted. */
  #row(bodyBytes: number): number {
    if (this.#rows === 0) this.#firstRowMs = this.#shared.pending.sinceBegunMs()
    this.#rows += 1
    this.#rowBytes += bodyBytes
    const kept = this.#kept
    if (kept === null || this.#keptRows >= kept.rowsMax || this.#keptBytes >= kept.bytesMax) return 0
    return Math.min(bodyBytes, kept.bytesMax - this.#keptBytes)
  }

  #answer(type: number): void {
    const { recorder, pending, book } = this.#shared
    switch (type) {
      case fromServer.dataRow:
        return this.#keep()
      case fromServer.commandComplete:
        return this.#complete(cstringOf(this.#head))
      case fromServer.emptyQueryResponse:
      case fromServer.functionCallResponse:
        return this.#complete(null)
      case fromServer.portalSuspended: {
        const sent = this.#sent()
        return record(recorder, 'c', { ...pending.answered(), tag: null, ...sent, suspended: true })
      }
      case fromServer.errorResponse: {
        this.#copyOver()
        const sent = this.#sent()
        return record(recorder, 'e', { ...pending.failed(), ...this.#report(), ...sent })
      }
      case fromServer.noticeResponse:
        return record(recorder, 'n', this.#report())
      case fromServer.parameterDescription:
        return book.parametersDescribed(readTypes(this.#head))
      case fromServer.rowDescription:
      case fromServer.noData:
        return this.#describe()
      case fromServer.parameterStatus:
        return this.#parameter(new Fields(this.#head))
      case fromServer.readyForQuery:
        return this.#ready(this.#head[0])
      default:
        if (type === fromServer.copyInResponse && pending.copyIn()) book.passOver()
        this.#shared.copy = { direction: copyDirection(type), bytes: 0 }
    }
  }

  #describe(): void {
    const columns = this.#kept === null ? noColumns : readColumns(this.#head)
    this.#described = columns
    this.#shared.book.rowsDescribed(columns)
  }

  #ready(status: number | undefined): void {
    const { pending, book, secrets } = this.#shared
    pending.ready()
    book.ready()
    if (pending.isEmpty) secrets.forget()
    this.#described = null
    this.#transaction(status)
  }

  #transaction(status: number | undefined): void {
    if (status === this.#shared.transaction || status === undefined) return
    this.#shared.transaction = status
    const known = { [0x49]: 'idle', [0x54]: 'open', [0x45]: 'failed' } as const
    const named = known[status as keyof typeof known] as (typeof known)[keyof typeof known] | undefined
    if (named !== undefined) record(this.#shared.recorder, 't', { status: named })
  }

  #keep(): void {
    const portal = this.#shared.pending.portal
    this.#columns ??= portal === null ? (this.#described ?? []) : (columnsOf(portal) ?? [])
    this.#gathered.push(readRow(this.#head, this.#columns))
    this.#gatheredBytes += this.#head.length
    this.#keptBytes += this.#head.length
    this.#keptRows += 1
    if (this.#gatheredBytes >= gatheredBytesMax) this.#writeRows()
  }

  #writeRows(): void {
    if (this.#gathered.length === 0) return
    const columns = this.#columnsWritten ? undefined : this.#columns?.map(columnFacts)
    const n = this.#shared.pending.running
    record(this.#shared.recorder, 'r', { n, ...(columns !== undefined && { columns }), rows: this.#gathered })
    this.#columnsWritten = true
    this.#gathered = []
    this.#gatheredBytes = 0
  }

  /** @returns false when it did nothing. */
  #quickComplete(chunk: Buffer, from: number, to: number): boolean {
    const { pending, recorder, moment } = this.#shared
    const tagRows = rowsInTag(chunk, from, to)
    if (tagRows === undefined) return false
    const n = pending.running
    const result = { n, us: pending.answeredUs(), rows: this.#rows, bytes: this.#rowBytes, firstMs: this.#firstRowMs }
    encodeComplete(this.#json, result, tagRows, chunk, from, to)
    recorder.encoded(this.#json.buffer, this.#json.length, moment.nowMs)
    this.#rows = 0
    this.#rowBytes = 0
    return true
  }

  #complete(tag: string | null): void {
    const { recorder, pending } = this.#shared
    this.#copyOver()
    const { rows: counted, ...sent } = this.#sent()
    record(recorder, 'c', { ...pending.answered(), ...sent, tag, rows: tag === null ? null : rowsOf(tag, counted) })
  }

  #copyOver(): void {
    const { copy, recorder } = this.#shared
    if (copy !== null) record(recorder, 'cp', copy)
    this.#shared.copy = null
  }

  /** Closes a result. */
  #sent(): { rows: number; bytes?: number; firstMs?: number } {
    this.#writeRows()
    const rows = this.#rows
    const sent = rows === 0 ? { rows } : { rows, bytes: this.#rowBytes, firstMs: this.#firstRowMs }
    ;[this.#rows, this.#rowBytes, this.#keptBytes, this.#keptRows] = [0, 0, 0, 0]
    this.#columns = null
    this.#columnsWritten = false
    return sent
  }

  #report() {
    const { severity, sqlstate, message, detail, unfinished } = readReport(this.#head)
    const { secrets } = this.#shared
    return {
      ...{ severity, sqlstate },
      message: sqlstate === nameTooLong || unfinished === 'M' ? secrets.hideAll(message) : secrets.hide(message),
      ...(detail !== undefined && {
        detail: unfinished === 'D' ? secrets.hideAll(detail) : secrets.hideDetail(detail),
      }),
    }
  }

  #parameter(fields: Fields): void {
    if (fields.left === 0 || this.#head.indexOf(0) < 0) return
    const name = fields.cstring()
    const value = cstringOf(fields.rest())
    noteParameter(this.#shared, name, value)
  }
}

function columnFacts({ name, typeOid }: Column): NonNullable<PostgresEvents['r']['columns']>[number] {
  const type = typeName(typeOid)
  return type === undefined ? { name } : { name, type }
}

function copyDirection(type: number): 'in' | 'out' | 'both' {
  if (type === fromServer.copyInResponse) return 'in'
  return type === fromServer.copyOutResponse ? 'out' : 'both'
}

function cstringOf(bytes: Buffer): string {
  const nul = bytes.indexOf(0)
  return bytes.toString('utf8', 0, nul < 0 ? bytes.length : nul)
}

/** `INSERT 0 5`, `SELECT 12`, `COPY 3`; DDL has no number. */
function rowsOf(tag: string, counted: number): number | null {
  const said = / (\d+)$/.exec(tag)?.[1]
  // No server counts further; a number that is none could not be read back.
  if (said !== undefined) return Number.isSafeInteger(Number(said)) ? Number(said) : null
  return counted > 0 ? counted : null
}
