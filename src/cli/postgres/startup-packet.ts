/** The first packets of a PostgreSQL connection, as far as somebody in the middle has to know them. Pure. */

/** MAX_STARTUP_PACKET_LENGTH of the server. */
const packetBytesMax = 10_000
const codes = { cancel: 80_877_102, tls: 80_877_103, gss: 80_877_104 } as const

export type FirstPacket =
  | { readonly kind: 'encryption' | 'cancel'; readonly packet: Buffer; readonly bytes: number }
  | { readonly kind: 'startup'; readonly packet: Buffer; readonly bytes: number }

/**
 * @param unread from the beginning of a packet.
 * @returns undefined when it is not all there; `bytes` of `unread` are its own.
 * @throws RangeError for a length that it cannot have.
 * @see PostgreSQL manual, "Message Formats"
 */
export function readFirstPacket(unread: Buffer): FirstPacket | undefined {
  if (unread.length < 4) return undefined
  const bytes = unread.readInt32BE(0)
  if (bytes < 8 || bytes > packetBytesMax) throw new RangeError('this is no PostgreSQL client')
  if (unread.length < bytes) return undefined
  const packet = unread.subarray(0, bytes)
  const code = packet.readInt32BE(4)
  if (code === codes.tls || code === codes.gss) return { kind: 'encryption', packet, bytes }
  return { kind: code === codes.cancel ? 'cancel' : 'startup', packet, bytes }
}

/** What the client is sent on with. */
export interface Onward {
  readonly user: string
  readonly database: string
  /** Appended to the client's own `options`; empty for nothing. */
  readonly options: string
}

/** The same startup message with another user and database. @throws RangeError when it is not one. */
export function rewriteStartup(packet: Buffer, { user, database, options }: Onward): Buffer {
  const parameters = readParameters(packet.subarray(8))
  const all = [parameters.get('options') ?? '', options].filter((text) => text !== '').join(' ')
  parameters.set('user', user).set('database', database)
  if (all !== '') parameters.set('options', all)
  const text = [...parameters].map(([name, value]) => `${name}\0${value}\0`).join('')
  const rewritten = Buffer.concat([packet.subarray(0, 8), Buffer.from(`${text}\0`)])
  rewritten.writeInt32BE(rewritten.length, 0)
  return rewritten
}

/** The last of a name counts, as at the server. */
function readParameters(body: Buffer): Map<string, string> {
  if (body.length === 0 || body.at(-1) !== 0) throw new RangeError('a startup message without its end')
  const words = body.subarray(0, -1).toString('utf8').split('\0')
  const parameters = new Map<string, string>()
  for (let at = 0; at + 1 < words.length; at += 2) parameters.set(words[at]!, words[at + 1]!)
  return parameters
}

/** A refusal that every client shows. @see PostgreSQL manual, "Error and Notice Message Fields" */
export function refusalPacket(sqlState: string, message: string, hint: string | null): Buffer {
  const fields = ['SFATAL', 'VFATAL', `C${sqlState}`, `M${message}`, ...(hint === null ? [] : [`H${hint}`])]
  const body = Buffer.from(`${fields.map((field) => `${field.replaceAll('\0', ' ')}\0`).join('')}\0`)
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
