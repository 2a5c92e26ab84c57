import { bodyGoesOn } from '../transcript.ts'
import type { RawHeaders } from '../targets/target.ts'

/** With its head it still fits into one TLS record. */
const quickBytesMax = 12 * 1024

/** Bytes of an answer's body that is small and of a known length; null for all others. */
export function quickLengthOf(method: string, status: number, headers: RawHeaders): number | null {
  if (method === 'HEAD' || status === 204 || status === 304) return 0
  let length: string | undefined
  let type: string | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (name.length === 14 && name.toLowerCase() === 'content-length') length = headers[index + 1]
    else if (name.length === 12 && name.toLowerCase() === 'content-type') type = headers[index + 1]
  }
  // More than one of either was refused before, or makes no difference.
  if (length === undefined || !(Number(length) <= quickBytesMax) || bodyGoesOn(length, type)) return null
  return Number(length)
}
