import { isUtf8 } from 'node:buffer'

/** Longer than any path that a system accepts (PATH_MAX is 4,096 on Linux). */
const textBytesMax = 4096

/**
 * Bytes that peers call text, for the recording: UTF-8 as it came. What is not UTF-8 is told apart by its bytes:
 * those above 0x7f and the backslash become `\xNN`. What is longer than any path is cut, and says so.
 */
export function shownText(bytes: Buffer): string {
  if (bytes.length <= textBytesMax) return isUtf8(bytes) ? bytes.toString('utf8') : escaped(bytes)
  return `${shownText(bytes.subarray(0, characterEnd(bytes, textBytesMax)))} (cut, ${bytes.length} bytes)`
}

/** Not in the middle of a UTF-8 sequence, which is at most four bytes. */
function characterEnd(bytes: Buffer, end: number): number {
  for (let at = end; at > end - 4; at--) if ((bytes[at]! & 0xc0) !== 0x80) return at
  return end
}

function escaped(bytes: Buffer): string {
  // oxlint-disable-next-line no-control-regex -- bytes, not characters
  return bytes.toString('latin1').replace(/[^\x00-\x5b\x5d-\x7f]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`)
}
