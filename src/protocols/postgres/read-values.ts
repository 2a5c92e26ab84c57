import type { BoundValue, PostgresEvents } from '../../recording/postgres-events.ts'
import type { KnownSecrets } from './known-secrets.ts'
import { mask, maskText, maskUnfinishedUrl } from './mask-text.ts'
import { secretValue } from './mask.ts'
import { nameOf, valueBytesMax, valuesMax } from './recording.ts'
import { formatAt, type Column, type StatementBook } from './statement-book.ts'
import { decodeBinary, typeName } from './value-types.ts'

/**
 * Reads a Bind message as far as it is there, and notes it in the book.
 * @param body its first bytes.
 * @param cut whether there was more.
 * @param secrets is told the values that are masked.
 * @see PostgreSQL manual, "Message Formats", Bind
 */
export function readBind(
  body: Buffer,
  cut: boolean,
  book: StatementBook | null = null,
  secrets: Pick<KnownSecrets, 'add' | 'addUnknown'> | null = null,
): PostgresEvents['b'] {
  const reader = new Lenient(body)
  const portal = reader.name()
  const statement = reader.name()
  const formats = reader.formats()
  const known = book?.statement(statement)
  const isUnsure = known === undefined && book?.forgotSecrets === true
  const isSecret = (number: number) => isUnsure || known?.secretParameters.has(number) === true
  const count = reader.uint16()
  const values: BoundValue[] = []
  while (values.length < Math.min(count, valuesMax) && !reader.over) {
    const index = values.length
    const lengthBytes = reader.int32()
    const bytes = reader.bytes(Math.max(0, lengthBytes))
    if (reader.over && bytes.length === 0 && lengthBytes > 0) break
    const [format, type] = [formatAt(formats, index), known?.parameterTypes[index] ?? 0]
    if (lengthBytes < 0) values.push(null)
    else if (isSecret(index + 1)) {
      values.push(mask)
      if (bytes.length === lengthBytes) secrets?.add(bytes.toString('utf8'))
      else secrets?.addUnknown()
    } else values.push(readValue(bytes, lengthBytes, format, type))
  }
  for (let index = values.length; index < count && !reader.over; index++) reader.bytes(Math.max(0, reader.int32()))
  book?.bind(portal, statement, reader.formats())
  const more = count - values.length
  const secretBehind = (number: number) => number > values.length && number <= count
  if (more > 0 && (isUnsure || [...(known?.secretParameters ?? [])].some(secretBehind))) secrets?.addUnknown()
  return { portal, statement, values, ...((more > 0 || cut) && { more }) }
}

/** int16 parameter types behind a statement's text. */
export function readTypes(bytes: Buffer): readonly number[] {
  const reader = new Lenient(bytes)
  const count = Math.min(reader.uint16(), valuesMax)
  return Array.from({ length: count }, () => reader.int32() >>> 0)
}

/** @see PostgreSQL manual, "Message Formats", RowDescription */
export function readColumns(body: Buffer): readonly Column[] {
  const reader = new Lenient(body)
  const columns: Column[] = []
  for (let left = reader.uint16(); left > 0 && !reader.over && columns.length < valuesMax; left--) {
    const name = reader.name()
    reader.bytes(4 + 2)
    const typeOid = reader.int32() >>> 0
    reader.bytes(2 + 4)
    columns.push({ name, typeOid, format: reader.uint16() })
  }
  return columns
}

/**
 * One DataRow, as far as it is there.
 * @param columns empty, or fewer than there are: of the others nobody knows the names, and so whether they are secrets.
 */
export function readRow(body: Buffer, columns: readonly Column[]): readonly BoundValue[] {
  const reader = new Lenient(body)
  const values: BoundValue[] = []
  for (let left = reader.uint16(); left > 0 && !reader.over && values.length < valuesMax; left--) {
    const column = columns[values.length]
    const lengthBytes = reader.int32()
    const bytes = reader.bytes(Math.max(0, lengthBytes))
    if (reader.over && bytes.length === 0 && lengthBytes > 0) break
    if (lengthBytes < 0) values.push(null)
    else if (column === undefined) values.push(mask)
    else values.push(secretValue(column.name, readValue(bytes, lengthBytes, column.format, column.typeOid)))
  }
  return values
}

function readValue(bytes: Buffer, lengthBytes: number, format: number, typeOid: number): BoundValue {
  const shown = bytes.subarray(0, valueBytesMax)
  const whole = shown.length === lengthBytes
  if (format === 0) {
    const text = maskShown(shown.toString('utf8'), whole)
    return whole ? text : { text, bytes: lengthBytes }
  }
  const type = typeName(typeOid)
  const decoded = whole && type !== undefined ? decodeBinary(typeOid, shown) : undefined
  if (decoded !== undefined && type !== undefined) return { text: maskText(decoded), type }
  const text = shown.toString('latin1')
  if (maskShown(text, whole) !== text) return mask
  const base64 = shown.toString('base64')
  return whole ? { base64 } : { base64, bytes: lengthBytes }
}

function maskShown(text: string, whole: boolean): string {
  const masked = maskText(text)
  return whole ? masked : maskUnfinishedUrl(masked)
}

/** Reads what is there; beyond the end everything is empty. */
class Lenient {
  readonly #body: Buffer
  #at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  get over(): boolean {
    return this.#at > this.#body.length
  }

  name(): string {
    const end = this.#body.indexOf(0, this.#at)
    const from = this.#at
    this.#at = end < 0 ? this.#body.length + 1 : end + 1
    return nameOf(this.#body, from, end < 0 ? this.#body.length : end)
  }

  /** Those of the values that are looked at; what is read may be kept for long. */
  formats(): readonly number[] {
    const count = this.uint16()
    const kept = Math.min(count, valuesMax)
    const formats = Array.from({ length: kept }, () => this.uint16())
    this.bytes(2 * (count - kept))
    return formats
  }

  uint16(): number {
    const from = this.#at
    this.#at += 2
    return this.#at <= this.#body.length ? this.#body.readUInt16BE(from) : 0
  }

  int32(): number {
    const from = this.#at
    this.#at += 4
    return this.#at <= this.#body.length ? this.#body.readInt32BE(from) : -1
  }

  bytes(lengthBytes: number): Buffer {
    const from = Math.min(this.#at, this.#body.length)
    this.#at += lengthBytes
    return this.#body.subarray(from, from + lengthBytes)
  }
}
