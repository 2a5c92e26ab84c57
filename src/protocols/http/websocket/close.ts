import { randomBytes } from 'node:crypto'
import { opcodes } from './frames.ts'

/** RFC 6455 section 7.4.1: the ones that the gateway says. */
export const closeCodes = { goingAway: 1001, protocolError: 1002, policyViolation: 1008, internalError: 1011 } as const

/** A control frame carries 125 bytes (RFC 6455 section 5.5), two of which are the code. */
export const reasonBytesMax = 123
const ellipsis = '…'

/** A Close frame as a server sends it. @param reason cut to what fits, at a character. */
export function closeFromServer(code: number, reason: string): Buffer {
  const payload = closePayload(code, reason)
  return Buffer.concat([Buffer.from([0x80 | opcodes.close, payload.length]), payload])
}

/** A Close frame as a client sends it: masked with a key that nobody can foresee (RFC 6455 section 5.3). */
export function closeFromClient(code: number, reason: string): Buffer {
  const payload = closePayload(code, reason)
  const key = randomBytes(4)
  const masked = payload.map((byte, at) => byte ^ key[at & 3]!)
  return Buffer.concat([Buffer.from([0x80 | opcodes.close, 0x80 | payload.length]), key, masked])
}

function closePayload(code: number, reason: string): Buffer {
  const words = Buffer.from(shorten(reason), 'utf8')
  const payload = Buffer.alloc(2 + words.length)
  payload.writeUInt16BE(code, 0)
  words.copy(payload, 2)
  return payload
}

/** At most 123 bytes of valid UTF-8 (a browser fails the connection otherwise), with an ellipsis where there was more. */
function shorten(text: string): string {
  const wellFormed = text.toWellFormed()
  if (Buffer.byteLength(wellFormed) <= reasonBytesMax) return wellFormed
  let bytes = Buffer.byteLength(ellipsis)
  let kept = ''
  for (const character of wellFormed) {
    bytes += Buffer.byteLength(character)
    if (bytes > reasonBytesMax) break
    kept += character
  }
  return kept.trimEnd() + ellipsis
}
