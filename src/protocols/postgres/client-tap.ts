import { createHash } from 'node:crypto'
import { Fault } from '../../kernel/fault.ts'
import type { JsonBytes } from '../../recording/json-bytes.ts'
import type { FrameTap } from './frames.ts'
import { maskSecrets, type Backslashes } from './mask.ts'
import { fromClient } from './messages.ts'
import { readBind, readTypes } from './read-values.ts'
import { QuickClient } from './quick-client.ts'
import { bindBytesMax, nameBytesMax, nameOf, record, statementBytesMax, statementPieceCharsMax } from './recording.ts'
import type { Shared } from './shared-record.ts'

const nameAndNumberBytesMax: number = nameBytesMax + 8
/** How many names stand at the beginning of a message. */
const namesOf: Readonly<Record<number, number>> = {
  [fromClient.parse]: 1,
  [fromClient.bind]: 2,
  [fromClient.execute]: 1,
}
const none: Buffer = Buffer.alloc(0)

/** Client to target: statements, values, executions, the size of COPY data. */
export class ClientTap implements FrameTap {
  readonly #shared: Shared
  readonly #quick: QuickClient
  #head: Buffer = none
  #bodyBytes = 0
  /** The type of the last message. */
  #last = 0
  /** Something was executed since the last Sync: the server tells of changed settings behind that. */
  #isOpen = false
  /** Only while a statement passes that is longer than what is kept of it. */
  #long: TextDigest | null = null

  constructor(shared: Shared, json: JsonBytes) {
    this.#shared = shared
    this.#quick = new QuickClient(shared, json)
  }

  chunk(nowMs?: number): void {
    this.#shared.moment.look(nowMs)
  }

  whole(type: number, chunk: Buffer, from: number, to: number): boolean {
    switch (type) {
      case fromClient.query:
      case fromClient.parse:
      case fromClient.bind:
      case fromClient.execute:
      case fromClient.describe:
        if (!this.#quick.take(type, chunk, from, to)) return false
        this.#last = type
        this.#isOpen ||= type === fromClient.execute
        return true
      case fromClient.functionCall:
        return false
      default:
        this.begin(type, to - from)
        return true
    }
  }

  begin(type: number, bodyBytes: number): number {
    const behindExecute = this.#last === fromClient.execute
    if (type !== fromClient.flush) this.#last = type
    switch (type) {
      case fromClient.query:
      case fromClient.parse:
        return statementBytesMax
      case fromClient.bind:
        return bindBytesMax
      case fromClient.execute:
        this.#isOpen = true
        return nameAndNumberBytesMax
      case fromClient.describe:
        return nameAndNumberBytesMax
      case fromClient.functionCall:
        return 4
      case fromClient.copyData:
        if (this.#shared.copy !== null) this.#shared.copy.bytes += bodyBytes
        return 0
      case fromClient.sync:
        this.#isOpen = false
        if (!this.#shared.pending.sync(behindExecute)) return 0
        this.#shared.book.end()
        this.#shared.secrets.end()
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
    switch (type) {
      case fromClient.query:
        this.#query()
        break
      case fromClient.parse:
        this.#parse()
        break
      case fromClient.bind: {
        const cut = this.#bodyBytes > this.#head.length
        const { recorder, book, secrets } = this.#shared
        record(recorder, 'b', readBind(this.#head, cut, book, secrets))
        break
      }
      case fromClient.execute:
        this.#execute()
        break
      case fromClient.describe:
        this.#describe()
        break
      case fromClient.functionCall:
        this.#call()
        break
    }
    this.#long = null
    this.#head = none // or an idle session would keep a whole chunk alive
  }

  #query(): void {
    const { recorder, pending, book, secrets } = this.#shared
    const reading = this.#reading
    const n = pending.query()
    book.end()
    this.#statement(0, reading, (sql) => record(recorder, 'q', { n, ...sql }))
    secrets.end()
  }

  #parse(): void {
    const { recorder, book } = this.#shared
    const from = textFrom(fromClient.parse, this.#head)
    const name = nameOf(this.#head, 0, Math.max(0, from - 1))
    const nul = this.#head.indexOf(0, from)
    const secret = this.#statement(from, this.#reading, (sql) => record(recorder, 'p', { name, ...sql }))
    book.parse(name, nul < 0 ? [] : readTypes(this.#head.subarray(nul + 1)), secret)
  }

  #execute(): void {
    const { recorder, pending, book } = this.#shared
    const { portal, rows } = readExecute(this.#head)
    record(recorder, 'x', { n: pending.execute(book.portal(portal)), portal, rows })
  }

  #describe(): void {
    const kind = String.fromCharCode(this.#head[0] ?? 0)
    if (kind !== 'S' && kind !== 'P') return // the target says that it is wrong
    const nul = this.#head.indexOf(0, 1)
    this.#shared.book.describe(kind, nameOf(this.#head, 1, nul < 0 ? this.#head.length : nul))
  }

  #call(): void {
    const { recorder, pending, book, secrets } = this.#shared
    const oid = this.#head.length >= 4 ? this.#head.readUInt32BE(0) : 0
    record(recorder, 'f', { n: pending.query(), oid, argumentBytes: this.#bodyBytes })
    book.end()
    secrets.end()
  }

  /** How the server reads a statement that comes now. */
  get #reading(): Backslashes {
    const { pending, backslashes } = this.#shared
    return this.#isOpen || !pending.isEmpty ? 'unsure' : backslashes
  }

  /** The whole text that is kept, in lines that each hold a part of it. @returns its parameters that are secrets. */
  #statement(
    from: number,
    reading: Backslashes,
    first: (text: { sql: string; bytes?: number; sha256?: string }) => void,
  ): ReadonlySet<number> {
    const nul = this.#head.indexOf(0, from)
    const bytes = this.#head.subarray(from, nul < 0 ? this.#head.length : nul)
    const { secrets } = this.#shared
    const found = (secret: string) => secrets.add(secret)
    const { sql, parameters, isCut } = maskSecrets(bytes.toString('utf8'), reading, found, nul < 0)
    // What is not looked at may hold secrets, too, and the server quote them.
    if (isCut || nul < 0) secrets.addUnknown()
    const whole = isCut ? new TextDigest(bytes) : null
    const cut = nul < 0 && this.#long !== null ? this.#long.result() : whole?.result()
    first({ sql: sql.slice(0, statementPieceCharsMax), ...cut })
    for (let at = statementPieceCharsMax; at < sql.length; at += statementPieceCharsMax) {
      record(this.#shared.recorder, '+', { sql: sql.slice(at, at + statementPieceCharsMax) })
    }
    return parameters
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
