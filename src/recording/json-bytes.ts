/**
 * Writes JSON into a buffer byte by byte, without making strings or objects. For events that come by the ten thousand
 * in a second; everything else is better off with JSON.stringify.
 */
export class JsonBytes {
  readonly buffer: Buffer
  length = 0

  constructor(bytesMax: number) {
    this.buffer = Buffer.allocUnsafeSlow(bytesMax)
  }

  clear(): void {
    this.length = 0
  }

  /** What is JSON already. */
  raw(json: Uint8Array): void {
    const { buffer } = this
    let at = this.length
    for (let from = 0; from < json.length; from++) buffer[at++] = json[from]!
    this.length = at
  }

  /** `value / 10 ** decimals`, for integers from 0. */
  decimal(value: number, decimals: number): void {
    this.length = writeDecimal(this.buffer, this.length, value, decimals)
  }

  /**
   * A string of ASCII, quoted and escaped as JSON.stringify does it.
   * @param text `text[from, to)`; up to twice as many bytes are written, and two.
   * @returns false when it holds other characters than those that JSON escapes with one backslash or not at all;
   * what was written then is of no use.
   */
  ascii(text: Uint8Array, from: number, to: number): boolean {
    const { buffer } = this
    let at = this.length
    buffer[at++] = 0x22
    for (let index = from; index < to; index++) {
      const byte = text[index]!
      const escape = escapes[byte]!
      if (escape === plain) buffer[at++] = byte
      else if (escape === foreign) return false
      else {
        buffer[at++] = 0x5c
        buffer[at++] = escape
      }
    }
    buffer[at++] = 0x22
    this.length = at
    return true
  }
}

const plain = 0
const foreign = 1
/** For each byte: as it is, what stands for it behind a backslash, or not ours to write. */
const escapes: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return foreign
  const json = JSON.stringify(String.fromCharCode(byte))
  if (json.length === 3) return plain
  return json.length === 4 ? json.charCodeAt(2) : foreign
})

const scales = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000] as const

/**
 * Writes `value / 10 ** decimals` as JSON.stringify would, for integers from 0 up to 2^53 and up to six decimals.
 * @returns the offset behind it.
 */
export function writeDecimal(target: Uint8Array, from: number, value: number, decimals: number): number {
  if (decimals === 0) return writeInteger(target, from, value)
  const scale = scales[decimals]!
  const whole = Math.floor(value / scale)
  const at = writeInteger(target, from, whole)
  // Whole numbers of 32 bits from here on: dividing others takes many times as long.
  let left = (value - whole * scale) | 0
  if (left === 0) return at
  target[at] = 0x2e
  let end = at + 1
  for (let index = at + decimals; index > at; index--) {
    const tens = (left / 10) | 0
    const digit = left - tens * 10
    if (digit !== 0 && end === at + 1) end = index + 1
    target[index] = 0x30 + digit
    left = tens
  }
  return end
}

const smallMax = 2 ** 31 - 1

function writeInteger(target: Uint8Array, from: number, value: number): number {
  if (value > smallMax) return writeLarge(target, from, value)
  let left = value | 0
  let end = from + 1
  for (let rest = (left / 10) | 0; rest > 0; rest = (rest / 10) | 0) end += 1
  for (let index = end - 1; index >= from; index--) {
    const tens = (left / 10) | 0
    target[index] = 0x30 + (left - tens * 10)
    left = tens
  }
  return end
}

function writeLarge(target: Uint8Array, from: number, value: number): number {
  const text = String(value)
  for (let index = 0; index < text.length; index++) target[from + index] = text.charCodeAt(index)
  return from + text.length
}
