import type { BoundValue, PostgresEvents } from '../../recording/postgres-events.ts'
import { maskText } from './mask.ts'
import { nameOf, valueBytesMax, valuesMax } from './recording.ts'

/**
 * Reads a Bind message as far as it is there.
 * @param body its first bytes.
 * @param cut whether there was more.
 * @see PostgreSQL manual, "Message Formats", Bind
 */
export function readBind(body: Buffer, cut: boolean): PostgresEvents['b'] {
  const reader = new Lenient(body)
  const portal = reader.name()
  const statement = reader.name()
  const formats = Array.from({ length: Math.min(reader.uint16(), body.length) }, () => reader.uint16())
  const count = reader.uint16()
  const values: BoundValue[] = []
  while (values.length < Math.min(count, valuesMax) && !reader.over) {
    const format = formats.length === 1 ? formats[0]! : (formats[values.length] ?? 0)
    const lengthBytes = reader.int32()
    const bytes = reader.bytes(Math.max(0, lengthBytes))
    if (reader.over && bytes.length === 0 && lengthBytes > 0) break
    values.push(lengthBytes < 0 ? null : boundValue(bytes, lengthBytes, format))
  }
  const more = count - values.length
  return { portal, statement, values, ...((more > 0 || cut) && { more }) }
}

function boundValue(bytes: Buffer, lengthBytes: number, format: number): BoundValue {
  const shown = bytes.subarray(0, valueBytesMax)
  const whole = shown.length === lengthBytes
  if (format !== 0) {
    const base64 = shown.toString('base64')
    return whole ? { base64 } : { base64, bytes: lengthBytes }
  }
  const text = maskText(shown.toString('utf8'))
  return whole ? text : { text, bytes: lengthBytes }
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
