import type { JsonBytes } from '../../recording/json-bytes.ts'
import { worthLooking } from './mask-text.ts'
import { fromClient } from './messages.ts'
import { nameBytesKept, valueBytesMax, valuesMax } from './recording.ts'
import type { Shared } from './shared-record.ts'

/** Longer messages go the usual way: what they cost there is little beside passing them on. */
const quickBytesMax = 2048
/** Each byte may need two, and three names and the words of the line come with them. */
export const quickJsonBytesMax: number = 2 * quickBytesMax + 1024

const words = {
  query: Buffer.from('"q",{"n":'),
  parse: Buffer.from('"p",{"name":'),
  sql: Buffer.from(',"sql":'),
  bind: Buffer.from('"b",{"portal":'),
  statement: Buffer.from(',"statement":'),
  values: Buffer.from(',"values":['),
  execute: Buffer.from('"x",{"n":'),
  portal: Buffer.from(',"portal":'),
  rows: Buffer.from(',"rows":'),
  null: Buffer.from('null'),
  comma: Buffer.from(','),
  end: Buffer.from('}'),
  endOfValues: Buffer.from(']}'),
} as const
const noTypes: readonly number[] = []
const portalKind = 0x50

/**
 * Writes the lines of short messages without making strings and objects of them: most of what a busy session sends.
 * It takes what it is sure of (whole, ASCII, text format, nothing to be masked), and leaves everything else, untouched,
 * to `ClientTap`, whose lines are the same.
 */
export class QuickClient {
  readonly #shared: Shared
  readonly #json: JsonBytes
  /** Names by which statements were spoken of last, so that they are not decoded again and again. */
  #name = ''

  constructor(shared: Shared, json: JsonBytes) {
    this.#shared = shared
    this.#json = json
  }

  /** @returns false when it did nothing. */
  take(type: number, chunk: Buffer, from: number, to: number): boolean {
    if (to - from > quickBytesMax) return false
    this.#json.clear()
    switch (type) {
      case fromClient.query:
        return this.#query(chunk, from, to)
      case fromClient.parse:
        return this.#parse(chunk, from, to)
      case fromClient.bind:
        return this.#bind(chunk, from, to)
      case fromClient.execute:
        return this.#execute(chunk, from, to)
      case fromClient.describe:
        return this.#describe(chunk, from, to)
      default:
        return false
    }
  }

  #query(chunk: Buffer, from: number, to: number): boolean {
    const { pending, book, secrets } = this.#shared
    const end = to - 1
    // A NUL inside is no ASCII that JSON writes short, so the text ends where the message does.
    if (chunk[end] !== 0) return false
    const json = this.#json
    json.raw(words.query)
    json.decimal(pending.next, 0)
    json.raw(words.sql)
    if (!json.ascii(chunk, from, end) || isWorthLooking(chunk, from, end)) return false
    pending.query()
    book.end()
    secrets.end()
    return this.#write(words.end)
  }

  #parse(chunk: Buffer, from: number, to: number): boolean {
    const json = this.#json
    const nameEnd = nulFrom(chunk, from, to)
    const textEnd = nulFrom(chunk, nameEnd + 1, to)
    if (textEnd + 3 > to) return false
    const types = readTypes(chunk, textEnd + 1, to)
    if (types === undefined) return false
    json.raw(words.parse)
    if (!this.#writeName(chunk, from, nameEnd)) return false
    json.raw(words.sql)
    if (!json.ascii(chunk, nameEnd + 1, textEnd) || isWorthLooking(chunk, nameEnd + 1, textEnd)) return false
    this.#shared.book.parse(this.#nameIn(chunk, from, nameEnd), types)
    return this.#write(words.end)
  }

  #bind(chunk: Buffer, from: number, to: number): boolean {
    // The formats of its rows are wanted where rows are kept.
    if (this.#shared.keepsRows) return false
    const json = this.#json
    const portalEnd = nulFrom(chunk, from, to)
    const statementEnd = nulFrom(chunk, portalEnd + 1, to)
    const formats = uint16(chunk, statementEnd + 1)
    const valuesFrom = statementEnd + 3 + 2 * formats
    if (valuesFrom + 2 > to) return false
    for (let at = statementEnd + 3; at < valuesFrom; at += 2) if (uint16(chunk, at) !== 0) return false
    const { book } = this.#shared
    const known = book.statement(this.#nameIn(chunk, portalEnd + 1, statementEnd))
    if (known === undefined ? book.forgotSecrets : known.secretParameters.size > 0) return false
    json.raw(words.bind)
    if (!this.#writeName(chunk, from, portalEnd)) return false
    json.raw(words.statement)
    if (!this.#writeName(chunk, portalEnd + 1, statementEnd)) return false
    json.raw(words.values)
    const end = this.#values(chunk, valuesFrom, to)
    if (end < 0 || end + 2 > to || end + 2 + 2 * uint16(chunk, end) !== to) return false
    return this.#write(words.endOfValues)
  }

  /** @returns the offset behind them; -1 when they are not for us. */
  #values(chunk: Buffer, from: number, to: number): number {
    const json = this.#json
    const count = uint16(chunk, from)
    if (count > valuesMax) return -1
    let at = from + 2
    for (let index = 0; index < count; index++) {
      if (at + 4 > to) return -1
      const lengthBytes = chunk.readInt32BE(at)
      at += 4
      if (lengthBytes > valueBytesMax || at + lengthBytes > to) return -1
      if (index > 0) json.raw(words.comma)
      if (lengthBytes < 0) json.raw(words.null)
      else {
        if (!json.ascii(chunk, at, at + lengthBytes) || isWorthLooking(chunk, at, at + lengthBytes)) return -1
        at += lengthBytes
      }
    }
    return at
  }

  #execute(chunk: Buffer, from: number, to: number): boolean {
    const json = this.#json
    const { pending, keepsRows } = this.#shared
    const nameEnd = to - 5
    if (keepsRows || nameEnd < from || nulFrom(chunk, from, to) !== nameEnd) return false
    const rows = chunk.readInt32BE(nameEnd + 1)
    if (rows < 0) return false
    json.raw(words.execute)
    json.decimal(pending.next, 0)
    json.raw(words.portal)
    if (!this.#writeName(chunk, from, nameEnd)) return false
    json.raw(words.rows)
    json.decimal(rows, 0)
    pending.execute()
    return this.#write(words.end)
  }

  /** Of portals: what their rows are is wanted where rows are kept. Of a statement it tells the types of parameters. */
  #describe(chunk: Buffer, from: number, to: number): boolean {
    if (this.#shared.keepsRows || from === to || chunk[from] !== portalKind) return false
    this.#shared.book.describeUnknown()
    return true
  }

  #writeName(chunk: Buffer, from: number, end: number): boolean {
    return end - from <= nameBytesKept && this.#json.ascii(chunk, from, end)
  }

  /** Only for names that `#writeName` took, or for looking up: an unknown one is none of the book's. */
  #nameIn(chunk: Buffer, from: number, end: number): string {
    if (!isText(chunk, from, end, this.#name))
      this.#name = chunk.toString('utf8', from, Math.min(end, from + nameBytesKept))
    return this.#name
  }

  #write(end: Uint8Array): true {
    const json = this.#json
    json.raw(end)
    this.#shared.recorder.encoded(json.buffer, json.length, this.#shared.moment.nowMs)
    return true
  }
}

/** @returns the offset of the first NUL, or `to`. */
function nulFrom(chunk: Buffer, from: number, to: number): number {
  let at = from
  while (at < to && chunk[at] !== 0) at += 1
  return at
}

/** @returns undefined when they are not all there is up to `to`. */
function readTypes(chunk: Buffer, from: number, to: number): readonly number[] | undefined {
  const count = uint16(chunk, from)
  if (count > valuesMax || from + 2 + 4 * count !== to) return undefined
  if (count === 0) return noTypes
  return Array.from({ length: count }, (_, index) => chunk.readUInt32BE(from + 2 + 4 * index))
}

/** 0 where there is none. */
function uint16(chunk: Buffer, at: number): number {
  return at + 2 <= chunk.length ? (chunk[at]! << 8) | chunk[at + 1]! : 0
}

function isText(chunk: Buffer, from: number, end: number, text: string): boolean {
  if (end - from !== text.length) return false
  for (let index = 0; index < text.length; index++) if (chunk[from + index] !== text.charCodeAt(index)) return false
  return true
}

/** Numbers and dates hold neither letters nor slashes, and so nothing that is masked. */
function isWorthLooking(chunk: Buffer, from: number, end: number): boolean {
  for (let at = from; at < end; at++) {
    const byte = chunk[at]!
    if (byte >= 0x41 || byte === 0x2f) return worthLooking.test(chunk.toString('latin1', from, end))
  }
  return false
}
