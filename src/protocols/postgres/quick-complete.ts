import type { JsonBytes } from '../../recording/json-bytes.ts'

const tagBytesMax = 64

const words = {
  complete: Buffer.from('"c",{"n":'),
  ms: Buffer.from(',"ms":'),
  bytes: Buffer.from(',"bytes":'),
  firstMs: Buffer.from(',"firstMs":'),
  tag: Buffer.from(',"tag":'),
  rows: Buffer.from(',"rows":'),
  null: Buffer.from('null'),
  end: Buffer.from('}'),
} as const

/** What a CommandComplete closes. */
export interface Result {
  readonly n: number | null
  readonly us: number | null
  /** DataRows that were sent, their bytes, and when the first came. */
  readonly rows: number
  readonly bytes: number
  readonly firstMs: number
}

/**
 * The number at the end of a tag, as in `INSERT 0 5`; null where there is none.
 * @param chunk `chunk[from, to)`: the tag and its NUL.
 * @returns undefined for a tag that cannot be written as it is.
 */
export function rowsInTag(chunk: Buffer, from: number, to: number): number | null | undefined {
  const end = to - 1
  if (end < from || end - from > tagBytesMax || chunk[end] !== 0) return undefined
  for (let at = from; at < end; at++) {
    const byte = chunk[at]!
    if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) return undefined
  }
  let first = end
  while (first > from && isDigit(chunk[first - 1]!)) first -= 1
  if (first === end || first === from || chunk[first - 1] !== 0x20) return null
  if (end - first > 15) return undefined
  let rows = 0
  for (let at = first; at < end; at++) rows = rows * 10 + (chunk[at]! - 0x30)
  return rows
}

/** Writes the line of a CommandComplete, as `JSON.stringify` would write that of `TargetTap`. */
export function encodeComplete(
  json: JsonBytes,
  { n, us, rows, bytes, firstMs }: Result,
  rowsSaid: number | null,
  chunk: Buffer,
  from: number,
  to: number,
): void {
  json.clear()
  json.raw(words.complete)
  decimal(json, us === null ? null : n, 0)
  json.raw(words.ms)
  decimal(json, us, 3)
  if (rows > 0) {
    json.raw(words.bytes)
    json.decimal(bytes, 0)
    json.raw(words.firstMs)
    json.decimal(Math.round(firstMs * 1000), 3)
  }
  json.raw(words.tag)
  json.ascii(chunk, from, to - 1)
  json.raw(words.rows)
  decimal(json, rowsSaid ?? (rows > 0 ? rows : null), 0)
  json.raw(words.end)
}

function decimal(json: JsonBytes, value: number | null, decimals: number): void {
  if (value === null) json.raw(words.null)
  else json.decimal(value, decimals)
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
