import { Fault } from '../../kernel/fault.ts'
import { Fields } from './messages.ts'
import { takeOwnSettings, type InlineWish } from './own-settings.ts'

/** The first packets of a connection: no type byte, int32 length, int32 code. Pure. */

/** MAX_STARTUP_PACKET_LENGTH of the server itself. */
export const startupBytesMax = 10_000
const cancelCode = 80_877_102
const sslCode = 80_877_103
const gssCode = 80_877_104
export const version30 = 0x0003_0000
export const version32 = 0x0003_0002
/** CancelRequest: the manual's bounds of a key. */
const cancelKeyBytesMax = 256

export type FirstPacket =
  | { readonly kind: 'tls' }
  | { readonly kind: 'gss' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer }
  | { readonly kind: 'startup'; readonly startup: Startup }

export interface Startup {
  /** Role, with a suffix such as `.token`. */
  readonly user: string
  readonly database: string | null
  /** Everything else that the client sent, in its order; the target decides what it means. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
  /** The value of `replication`; null: an ordinary connection. */
  readonly replication: string | null
  /** What it asks the gateway for; null: nothing. */
  readonly wish: InlineWish | null
  /** What both sides can speak: 3.0 or 3.2, as one int32. */
  readonly version: number
  /** Whether NegotiateProtocolVersion has to say so. */
  readonly negotiate: boolean
  readonly unknownOptions: readonly string[]
}

/**
 * @param length the packet's own length field, which counts itself.
 * @throws Fault PROTOCOL_VIOLATION
 */
export function checkStartupLength(length: number): void {
  if (length < 8 || length > startupBytesMax) {
    throw new Fault('PROTOCOL_VIOLATION', 'The first packet has a length that a startup message cannot have.')
  }
}

/**
 * @param body the packet behind its length field.
 * @throws Fault PROTOCOL_VIOLATION, PROTOCOL_UNSUPPORTED; INPUT_INVALID, LENGTH_REFUSED for a setting of ours
 */
export function readFirstPacket(body: Buffer): FirstPacket {
  const fields = new Fields(body)
  const code = fields.int32()
  if (code === sslCode || code === gssCode) {
    if (fields.left > 0) throw new Fault('PROTOCOL_VIOLATION', 'An encryption request carries more than its code.')
    return { kind: code === sslCode ? 'tls' : 'gss' }
  }
  if (code === cancelCode) return readCancel(fields)
  return { kind: 'startup', startup: readStartup(code, fields) }
}

function readCancel(fields: Fields): FirstPacket {
  const processId = fields.int32()
  const secret = Buffer.from(fields.rest())
  if (secret.length < 4 || secret.length > cancelKeyBytesMax) {
    throw new Fault('PROTOCOL_VIOLATION', 'A cancel request carries a key that cannot be one.')
  }
  return { kind: 'cancel', processId, secret }
}

function readStartup(version: number, fields: Fields): Startup {
  const major = version >> 16
  const minor = version & 0xffff
  if (major !== 3) {
    throw new Fault('PROTOCOL_UNSUPPORTED', `The gateway speaks protocol 3.0 and 3.2, not ${major}.${minor}.`)
  }
  const all = readParameters(fields)
  const unknownOptions = all.map(([name]) => name).filter((name) => name.startsWith('_pq_.'))
  const user = all.findLast(([name]) => name === 'user')?.[1] ?? ''
  if (user === '') throw new Fault('PROTOCOL_VIOLATION', 'The startup message names no user.')
  const spoken = minor >= 2 ? version32 : version30
  return {
    user,
    database: all.findLast(([name]) => name === 'database')?.[1] || null,
    replication: readReplication(all),
    ...takeOwnSettings(all.filter(([name]) => !ours.has(name) && !name.startsWith('_pq_.'))),
    version: spoken,
    negotiate: spoken !== version || unknownOptions.length > 0,
    unknownOptions,
  }
}

const ours: ReadonlySet<string> = new Set(['user', 'database', 'replication'])

function readParameters(fields: Fields): [string, string][] {
  const parameters: [string, string][] = []
  for (;;) {
    const name = fields.cstring()
    if (name === '') break
    parameters.push([name, fields.cstring()])
  }
  if (fields.left > 0) throw new Fault('PROTOCOL_VIOLATION', 'The startup message goes on behind its end.')
  return parameters
}

/** Anything but a plain no counts: the target itself says what is nonsense. */
function readReplication(parameters: readonly [string, string][]): string | null {
  const value = parameters.findLast(([name]) => name === 'replication')?.[1]
  return value === undefined || ['false', 'off', 'no', '0'].includes(value.toLowerCase()) ? null : value
}

const suffixes = ['token', 'oauth'] as const
type Suffix = (typeof suffixes)[number]

export interface Wanted {
  readonly role: string
  readonly way: 'in-band' | Suffix
  readonly resource: string
  /** null: the role's default. */
  readonly database: string | null
}

/**
 * `user=role`, with `.token` behind it for a token, or `.oauth` for the client's own; `dbname=resource` or `resource/database`; no dbname means the user, as
 * libpq has it. Or `user=role@resource`, for programs that choose the database themselves.
 */
export function readWanted({ user, database, replication }: Startup): Wanted {
  const suffix = suffixes.find((one) => user.endsWith(`.${one}`))
  const who = suffix === undefined ? user : user.slice(0, -`.${suffix}`.length)
  const way = suffix ?? 'in-band'
  const at = who.indexOf('@')
  if (at >= 0) {
    const [role, resource] = [who.slice(0, at), who.slice(at + 1)]
    // Where the user alone says everything, libpq takes it for the database, too; pg_basebackup says "replication".
    const saysNothing =
      database === user || database === resource || (replication !== null && database === 'replication')
    return { role, resource, way, database: saysNothing ? null : database }
  }
  const name = database ?? user
  const slash = name.indexOf('/')
  return {
    ...{ role: who, way, resource: slash < 0 ? name : name.slice(0, slash) },
    database: slash < 0 || slash === name.length - 1 ? null : name.slice(slash + 1),
  }
}

/** The startup message for a target, protocol 3.0. */
export function startupMessage(parameters: readonly (readonly [string, string])[]): Buffer {
  const text = parameters.map(([name, value]) => `${name}\0${value}\0`).join('')
  return packet(version30, Buffer.from(`${text}\0`))
}

export const sslRequest: Buffer = packet(sslCode, Buffer.alloc(0))

export function cancelRequest(processId: number, secret: Uint8Array): Buffer {
  const body = Buffer.alloc(4 + secret.length)
  body.writeInt32BE(processId, 0)
  body.set(secret, 4)
  return packet(cancelCode, body)
}

function packet(code: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + body.length, 0)
  head.writeInt32BE(code, 4)
  return Buffer.concat([head, body])
}
