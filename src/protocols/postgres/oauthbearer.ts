import { Fault } from '../../kernel/fault.ts'
import { Fields } from './messages.ts'

/**
 * SASL OAUTHBEARER, the server's side, as PostgreSQL 18 speaks it. Bytes in, text out; no sockets.
 * @see RFC 7628; PostgreSQL manual, "SASL Authentication", "OAUTHBEARER Authentication"
 */

export const mechanism = 'OAUTHBEARER'
/** Of one SASL message, as at the server itself. */
export const saslBytesMax: number = 64 * 1024

/** Behind each pair, and all that a client says to an error. */
const separator = '\x01'

/**
 * Reads the body of a SASLInitialResponse: the mechanism, int32 length, the client's first words.
 * @returns those words; null when there are none yet (length -1).
 * @throws Fault PROTOCOL_VIOLATION, also for another mechanism
 */
export function readInitialResponse(body: Buffer): Buffer | null {
  const fields = new Fields(body)
  if (fields.cstring() !== mechanism) throw new Fault('PROTOCOL_VIOLATION', 'The client chose what was not offered.')
  const length = fields.int32()
  const response = length === -1 ? null : fields.bytes(length)
  if (fields.left > 0) throw malformed()
  return response
}

/**
 * Reads what a client says first: `n,,`, then pairs `key=value`, each behind and before a 0x01. Of the pairs only `auth`
 * counts here.
 * @returns the token; null when there is none, which asks where one can be had.
 * @throws Fault PROTOCOL_VIOLATION
 * @see RFC 7628 section 3.1; RFC 6750 section 2.1
 */
export function readBearer(response: Buffer): string | null {
  const [header = '', ...parts] = response.toString('latin1').split(separator)
  const pairs = parts.slice(0, -2)
  // No channel binding (`p`) with this mechanism, and nobody acts for somebody else (`a=`).
  const isWhole = /^[ny],,$/.test(header) && parts.length >= 2 && parts.slice(-2).every((part) => part === '')
  if (!isWhole || !pairs.every((pair) => /^[A-Za-z]+=[\t\n\r -~]*$/.test(pair))) throw malformed()
  const said = pairs.filter((pair) => pair.startsWith('auth='))
  if (said.length !== 1) throw malformed()
  const value = said[0]!.slice('auth='.length)
  if (value === '') return null
  const [, token] = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(value) ?? []
  if (token === undefined) throw malformed()
  return token
}

/** @throws Fault PROTOCOL_VIOLATION unless it is the one byte that a client answers to an error. @see RFC 7628 section 3.2.3 */
export function expectSurrender(response: Buffer): void {
  if (response.toString('latin1') !== separator) throw malformed()
}

/** The part of an error that a program reads. @see RFC 7628 section 3.2.2 */
export function failure(
  status: 'invalid_token' | 'insufficient_scope',
  { configuration, scope }: { readonly configuration: string; readonly scope: string },
): string {
  return JSON.stringify({ status, 'openid-configuration': configuration, scope })
}

function malformed(): Fault {
  return new Fault('PROTOCOL_VIOLATION', `A message of ${mechanism} is not as it must be.`)
}
