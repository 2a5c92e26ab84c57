import { createHash } from 'node:crypto'
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/time.ts'
import type { StatementText } from '../../recording/postgres-events.ts'
import type { Recorder } from '../../recording/recorder.ts'
import type { FrameTap } from './frames.ts'
import { maskStatement, maskText } from './mask.ts'
import { Fields, fromClient, fromServer, readReport } from './messages.ts'
import { bindBytesMax, nameBytesMax, nameOf, record, reportBytesMax, statementBytesMax } from './recording.ts'
import { readBind } from './read-bind.ts'
import { Pending } from './pending.ts'

/** Writes what passes between a client and its target into the recording. Decodes nothing else. */
export class Transcript {
  readonly client: FrameTap
  readonly target: FrameTap
  readonly #shared: Shared

  constructor(recorder: Recorder, clock: Clock) {
    this.#shared = { recorder, pending: new Pending(clock), copy: null, backslashes: false }
    this.client = new ClientTap(this.#shared)
    this.target = new TargetTap(this.#shared)
  }

  parameter(name: string, value: string): void {
    noteParameter(this.#shared, name, value)
  }
}

function noteParameter(shared: Shared, name: string, value: string): void {
  if (name === 'standard_conforming_strings') shared.backslashes = value === 'off'
  record(shared.recorder, 's', { name, value })
}

interface Shared {
  readonly recorder: Recorder
  readonly pending: Pending
  copy: { readonly direction: 'in' | 'out' | 'both'; bytes: number } | null
  /** `standard_conforming_strings` is off. */
  backslashes: boolean
}

const executeBytesMax: number = nameBytesMax + 8
/** How many names stand at the beginning of a message. */
const namesOf: Readonly<Record<number, number>> = {
  [fromClient.parse]: 1,
  [fromClient.bind]: 2,
  [fromClient.execute]: 1,
}
const none: Buffer = Buffer.alloc(0)

/** Client to target: statements, values, executions, the size of COPY data. */
class ClientTap implements FrameTap {
  readonly #shared: Shared
  #head: Buffer = none
  #bodyBytes = 0
  /** Only while a statement passes that is longer than what is kept of it. */
  #long: TextDigest | null = null

  constructor(shared: Shared) {
    this.#shared = shared
  }

  begin(type: number, bodyBytes: number): number {
    switch (type) {
      case fromClient.query:
      case fromClient.parse:
        return statementBytesMax
      case fromClient.bind:
        return bindBytesMax
      case fromClient.execute:
        return executeBytesMax
      case fromClient.functionCall:
        return 4
      case fromClient.copyData:
        if (this.#shared.copy !== null) this.#shared.copy.bytes += bodyBytes
        return 0
      case fromClient.sync:
        this.#shared.pending.sync()
        return 0
      default:
        return 0
    }
  }

  head(type: number, bytes: Buffer, bodyBytes: number): void {
    const whole = bytes.length === bodyBytes
    refuseLongNames(bytes, namesOf[type] ?? 0)
    this.#bodyBytes = bodyBytes
    // The chunk may be gone when a long message ends; only those are copied.
    this.#head = whole ? bytes : Buffer.from(bytes)
    if (!whole && (type === fromClient.query || type === fromClient.parse)) {
      this.#long = new TextDigest(bytes.subarray(textFrom(type, bytes)))
    }
  }

  rest(_type: number, bytes: Buffer): void {
    this.#long?.update(bytes)
  }

  end(type: number): void {
    const { recorder, pending } = this.#shared
    switch (type) {
      case fromClient.query:
        record(recorder, 'q', { n: pending.query(), ...this.#statement(0) })
        break
      case fromClient.parse: {
        const from = textFrom(type, this.#head)
        record(recorder, 'p', { name: nameOf(this.#head, 0, Math.max(0, from - 1)), ...this.#statement(from) })
        break
      }
      case fromClient.bind:
        record(recorder, 'b', readBind(this.#head, this.#bodyBytes > this.#head.length))
        break
      case fromClient.execute:
        record(recorder, 'x', { n: pending.execute(), ...readExecute(this.#head) })
        break
      case fromClient.functionCall: {
        const oid = this.#head.length >= 4 ? this.#head.readUInt32BE(0) : 0
        record(recorder, 'f', { n: pending.query(), oid, argumentBytes: this.#bodyBytes })
        break
      }
    }
    this.#long = null
    this.#head = none // or an idle session would keep a whole chunk alive
  }

  #statement(from: number): StatementText {
    const nul = this.#head.indexOf(0, from)
    const text = this.#head.toString('utf8', from, nul < 0 ? this.#head.length : nul)
    const sql = maskStatement(text, this.#shared.backslashes)
    return nul < 0 && this.#long !== null ? { sql, ...this.#long.result() } : { sql }
  }
}

/** Length and hash of a text that passes in pieces and ends with a NUL. */
class TextDigest {
  readonly #hash = createHash('sha256')
  #bytes = 0
  #over = false

  constructor(first: Buffer) {
    this.update(first)
  }

  update(piece: Buffer): void {
    if (this.#over) return
    const nul = piece.indexOf(0)
    this.#over = nul >= 0
    const text = nul < 0 ? piece : piece.subarray(0, nul)
    this.#hash.update(text)
    this.#bytes += text.length
  }

  result(): { bytes: number; sha256: string } {
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') }
  }
}

/** Parse carries a name before its text. */
function textFrom(type: number, head: Buffer): number {
  return type === fromClient.parse ? head.indexOf(0) + 1 : 0
}

function readExecute(head: Buffer): { portal: string; rows: number } {
  const nul = head.indexOf(0)
  if (nul < 0) return { portal: nameOf(head, 0, head.length), rows: 0 }
  const rows = head.length >= nul + 5 ? head.readInt32BE(nul + 1) : 0
  return { portal: nameOf(head, 0, nul), rows }
}

/** @throws Fault PROTOCOL_VIOLATION */
function refuseLongNames(bytes: Buffer, names: number): void {
  let from = 0
  for (let count = 0; count < names; count++) {
    const nul = bytes.indexOf(0, from)
    const end = nul < 0 ? bytes.length : nul
    if (end - from > nameBytesMax) {
      throw new Fault('PROTOCOL_VIOLATION', `The name of a statement or portal is longer than ${nameBytesMax} bytes.`)
    }
    from = end + 1
  }
}

/** Target to client: how statements ended, notices, parameters, the size of COPY data; rows are only counted. */
class TargetTap implements FrameTap {
  readonly #shared: Shared
  #head: Buffer = none
  #rows = 0

  constructor(shared: Shared) {
    this.#shared = shared
  }

  begin(type: number, bodyBytes: number): number {
    switch (type) {
      case fromServer.dataRow:
        this.#rows += 1
        return 0
      case fromServer.copyData:
        if (this.#shared.copy !== null) this.#shared.copy.bytes += bodyBytes
        return 0
      case fromServer.commandComplete:
      case fromServer.parameterStatus:
        return 512
      case fromServer.errorResponse:
      case fromServer.noticeResponse:
        return reportBytesMax
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

  #answer(type: number): void {
    const shared = this.#shared
    switch (type) {
      case fromServer.commandComplete:
        return this.#complete(cstringOf(this.#head))
      case fromServer.emptyQueryResponse:
      case fromServer.functionCallResponse:
        return this.#complete(null)
      case fromServer.portalSuspended:
        record(shared.recorder, 'c', {
          ...shared.pending.answered(),
          tag: null,
          rows: this.#takeRows(),
          suspended: true,
        })
        return
      case fromServer.errorResponse:
        this.#copyOver()
        record(shared.recorder, 'e', { ...shared.pending.failed(), ...this.#report(), rows: this.#takeRows() })
        return
      case fromServer.noticeResponse:
        return record(shared.recorder, 'n', this.#report())
      case fromServer.parameterStatus:
        return this.#parameter(new Fields(this.#head))
      case fromServer.readyForQuery:
        return shared.pending.ready()
      default:
        shared.copy = { direction: copyDirection(type), bytes: 0 }
    }
  }

  #complete(tag: string | null): void {
    const { recorder, pending } = this.#shared
    this.#copyOver()
    const counted = this.#takeRows()
    record(recorder, 'c', { ...pending.answered(), tag, rows: tag === null ? null : rowsOf(tag, counted) })
  }

  #copyOver(): void {
    const { copy, recorder } = this.#shared
    if (copy !== null) record(recorder, 'cp', copy)
    this.#shared.copy = null
  }

  #takeRows(): number {
    const rows = this.#rows
    this.#rows = 0
    return rows
  }

  #report() {
    const { severity, sqlstate, message, detail } = readReport(this.#head)
    return { severity, sqlstate, message: maskText(message), ...(detail !== undefined && { detail: maskText(detail) }) }
  }

  #parameter(fields: Fields): void {
    if (fields.left === 0 || this.#head.indexOf(0) < 0) return
    const name = fields.cstring()
    const value = cstringOf(fields.rest())
    noteParameter(this.#shared, name, value)
  }
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
  if (said !== undefined) return Number(said)
  return counted > 0 ? counted : null
}
