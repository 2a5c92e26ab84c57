import { Fault } from '../../kernel/fault.ts'
import { sqlstate } from './fault-sqlstate.ts'

/**
 * The messages of the PostgreSQL protocol that the gateway itself writes and reads. Bytes in, bytes out; no sockets.
 * @see PostgreSQL manual, "Message Formats"
 */

/** Type bytes, by the manual's names. Some letters mean one thing from the client and another from the server. */
export const fromClient = {
  bind: 0x42,
  copyData: 0x64,
  copyDone: 0x63,
  copyFail: 0x66,
  describe: 0x44,
  execute: 0x45,
  flush: 0x48,
  functionCall: 0x46,
  parse: 0x50,
  password: 0x70,
  query: 0x51,
  sync: 0x53,
  terminate: 0x58,
} as const
export const fromServer = {
  authentication: 0x52,
  backendKeyData: 0x4b,
  commandComplete: 0x43,
  copyBothResponse: 0x57,
  copyData: 0x64,
  copyInResponse: 0x47,
  copyOutResponse: 0x48,
  dataRow: 0x44,
  emptyQueryResponse: 0x49,
  errorResponse: 0x45,
  functionCallResponse: 0x56,
  negotiateProtocolVersion: 0x76,
  noData: 0x6e,
  noticeResponse: 0x4e,
  parameterDescription: 0x74,
  parameterStatus: 0x53,
  portalSuspended: 0x73,
  readyForQuery: 0x5a,
  rowDescription: 0x54,
} as const

/** One whole message: type byte, int32 length (counts itself, not the type byte), body. */
export function message(type: number, ...body: readonly Uint8Array[]): Buffer {
  const bodyBytes = body.reduce((sum, part) => sum + part.length, 0)
  const head = Buffer.allocUnsafe(5)
  head.writeUInt8(type, 0)
  head.writeInt32BE(bodyBytes + 4, 1)
  return Buffer.concat([head, ...body])
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value, 0)
  return bytes
}

/** A NUL-ended string. A NUL inside would end it early, so it is dropped. */
export function cstring(text: string): Buffer {
  return Buffer.from(`${text.replaceAll('\0', '')}\0`)
}

// ---- towards the client

export const authenticationOk: Buffer = message(fromServer.authentication, int32(0))
export const authenticationCleartextPassword: Buffer = message(fromServer.authentication, int32(3))

export function authenticationSasl(mechanism: string): Buffer {
  return message(fromServer.authentication, int32(10), cstring(mechanism), cstring(''))
}

export function authenticationSaslContinue(challenge: string): Buffer {
  return message(fromServer.authentication, int32(11), Buffer.from(challenge))
}

/** What an ErrorResponse or a NoticeResponse says, under its manual's field letters. */
export interface Report {
  readonly severity: string
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string | undefined
  readonly hint?: string | undefined
}

/**
 * Encodes the message a PostgreSQL server sends before it closes a connection.
 * @returns One whole message: byte `E`, int32 length, NUL-ended fields S V C M H, NUL.
 * @see PostgreSQL manual, "Message Formats", ErrorResponse; "Error and Notice Message Fields"
 */
export function fatal(fault: Fault): Buffer {
  const known = fatals.get(fault)
  if (known !== undefined) return known
  const { code, message: text, hint } = fault
  const made = errorResponse({ severity: 'FATAL', sqlstate: sqlstate[code], message: text, hint })
  fatals.set(fault, made)
  return made
}

/** One fault may end thousands of sessions in the same instant. */
const fatals = new WeakMap<Fault, Buffer>()

export function errorResponse(report: Report): Buffer {
  return message(fromServer.errorResponse, reportFields(report))
}

/** For a bug: the log says what it was. */
export const internalError: Buffer = errorResponse({
  severity: 'FATAL',
  sqlstate: 'XX000',
  message: 'Internal error of the gateway.',
  hint: 'Tell your operations people; the log says more.',
})

/** psql prints it at once while it connects, and with the next answer later on. */
export function notice(text: string, hint?: string): Buffer {
  const report: Report = { severity: 'NOTICE', sqlstate: '00000', message: text, hint }
  return message(fromServer.noticeResponse, reportFields(report))
}

/** A warning reaches people who silenced notices (client_min_messages has no say here, but drivers filter alike). */
export function warning(text: string, hint?: string): Buffer {
  const report: Report = { severity: 'WARNING', sqlstate: '01000', message: text, hint }
  return message(fromServer.noticeResponse, reportFields(report))
}

function reportFields({ severity, sqlstate: code, message: text, detail, hint }: Report): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${code}`, `M${text}`]
  if (detail !== undefined) fields.push(`D${detail}`)
  if (hint !== undefined) fields.push(`H${hint}`)
  return Buffer.from(`${fields.map((field) => field.replaceAll('\0', '')).join('\0')}\0\0`)
}

export function parameterStatus(name: string, value: string): Buffer {
  return message(fromServer.parameterStatus, cstring(name), cstring(value))
}

export function backendKeyData(processId: number, secret: Uint8Array): Buffer {
  return message(fromServer.backendKeyData, int32(processId), secret)
}

/** @param status `I` idle, `T` in a transaction, `E` in a failed one. */
export function readyForQuery(status: number): Buffer {
  return message(fromServer.readyForQuery, Buffer.of(status))
}

/**
 * @param version the newest that the gateway speaks and the client can, whole: major in the upper 16 bits.
 * @param unknownOptions names of `_pq_.` parameters that were not understood.
 */
export function negotiateProtocolVersion(version: number, unknownOptions: readonly string[]): Buffer {
  const names = unknownOptions.map(cstring)
  return message(fromServer.negotiateProtocolVersion, int32(version), int32(names.length), ...names)
}

// ---- towards the target

export const terminate: Buffer = message(fromClient.terminate)

export function passwordMessage(text: string): Buffer {
  return message(fromClient.password, cstring(text))
}

export function saslInitialResponse(mechanism: string, response: string): Buffer {
  const bytes = Buffer.from(response)
  return message(fromClient.password, cstring(mechanism), int32(bytes.length), bytes)
}

export function saslResponse(response: string): Buffer {
  return message(fromClient.password, Buffer.from(response))
}

export function query(sql: string): Buffer {
  return message(fromClient.query, cstring(sql))
}

// ---- reading

/** Reads fields of a message body. Every read is checked: a body that ends early is a Fault PROTOCOL_VIOLATION. */
export class Fields {
  readonly #body: Buffer
  #at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  get left(): number {
    return this.#body.length - this.#at
  }

  uint8(): number {
    return this.#body.readUInt8(this.#advance(1))
  }

  int16(): number {
    return this.#body.readInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.#body.readInt32BE(this.#advance(4))
  }

  bytes(lengthBytes: number): Buffer {
    const from = this.#advance(lengthBytes)
    return this.#body.subarray(from, from + lengthBytes)
  }

  /** Everything that is left. */
  rest(): Buffer {
    return this.bytes(this.left)
  }

  cstring(): string {
    const end = this.#body.indexOf(0, this.#at)
    if (end < 0) throw malformed()
    const text = this.#body.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  #advance(lengthBytes: number): number {
    if (lengthBytes < 0 || lengthBytes > this.left) throw malformed()
    const from = this.#at
    this.#at += lengthBytes
    return from
  }
}

function malformed(): Fault {
  return new Fault('PROTOCOL_VIOLATION', 'A message ended before its fields did.')
}

/**
 * Reads the body of an ErrorResponse or NoticeResponse; what is cut off or unknown is left out. Never throws.
 * @returns also the letter of a field that does not end.
 */
export function readReport(body: Buffer): Report & { readonly unfinished: string | null } {
  const fields = new Map<string, string>()
  let unfinished: string | null = null
  let at = 0
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1)
    if (end < 0) unfinished = String.fromCharCode(body[at]!)
    fields.set(String.fromCharCode(body[at]!), body.toString('utf8', at + 1, end < 0 ? body.length : end))
    at = end < 0 ? body.length : end + 1
  }
  return {
    severity: fields.get('V') ?? fields.get('S') ?? '',
    sqlstate: fields.get('C') ?? '',
    message: fields.get('M') ?? '',
    detail: fields.get('D'),
    hint: fields.get('H'),
    unfinished,
  }
}
