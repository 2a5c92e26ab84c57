import {
  sshBoolean,
  sshByte,
  sshNameList,
  SshReader,
  sshString,
  sshUint32,
  SshWireError,
} from '../../../identity/ssh/wire.ts'

/**
 * The messages of authentication. Bytes in, bytes out; no transport.
 * @see RFC 4252 (publickey, none, banner), RFC 4256 (keyboard-interactive), RFC 4253 section 10 (services)
 */
export const authMessage = {
  serviceRequest: 5,
  serviceAccept: 6,
  request: 50,
  failure: 51,
  success: 52,
  banner: 53,
  /** Means PK_OK within publickey, INFO_REQUEST within keyboard-interactive. */
  keyAccepted: 60,
  infoRequest: 60,
  infoResponse: 61,
} as const

export const connectionService = 'ssh-connection'
const userBytesMax = 256
const methodBytesMax = 64
const responsesMax = 16
const responseBytesMax = 8 * 1024

interface Asked {
  readonly user: string
  readonly service: string
}
export interface PublicKeyRequest extends Asked {
  readonly method: 'publickey'
  readonly algorithm: string
  /** The key, or the whole certificate. */
  readonly blob: Buffer
  /** Null: would this key do? */
  readonly signature: Buffer | null
}
export type AuthRequest =
  | PublicKeyRequest
  | (Asked & { readonly method: 'none' | 'keyboard-interactive' })
  /** Something that is never done here: `password`, `hostbased`, `gssapi-with-mic`, … */
  | (Asked & { readonly method: 'other' })

/** @returns the service's name. @throws SshWireError */
export function readServiceRequest(message: Buffer): string {
  const reader = opened(message, authMessage.serviceRequest)
  const name = shortText(reader, methodBytesMax)
  reader.end()
  return name
}

export function serviceAccept(service: string): Buffer {
  return Buffer.concat([sshByte(authMessage.serviceAccept), sshString(service)])
}

/** @throws SshWireError for what is no USERAUTH_REQUEST, is cut, or goes on after its end. */
export function readAuthRequest(message: Buffer): AuthRequest {
  const reader = opened(message, authMessage.request)
  const asked = { user: shortText(reader, userBytesMax), service: shortText(reader, methodBytesMax) }
  const method = shortText(reader, methodBytesMax)
  switch (method) {
    case 'publickey':
      return { ...asked, method, ...readKey(reader) }
    case 'keyboard-interactive':
      reader.string() // language, deprecated
      reader.string() // submethods: a hint that has no meaning here
      reader.end()
      return { ...asked, method }
    case 'none':
      reader.end()
      return { ...asked, method }
    default:
      return { ...asked, method: 'other' }
  }
}

function readKey(reader: SshReader): Pick<PublicKeyRequest, 'algorithm' | 'blob' | 'signature'> {
  const isSigned = reader.boolean()
  const algorithm = shortText(reader, methodBytesMax)
  const blob = reader.string()
  const signature = isSigned ? reader.string() : null
  reader.end()
  return { algorithm, blob, signature }
}

/** What the signature of a publickey request covers. @see RFC 4252 section 7 */
export function signedBytes(sessionId: Uint8Array, { user, service, algorithm, blob }: PublicKeyRequest): Buffer {
  return Buffer.concat([
    sshString(sessionId),
    sshByte(authMessage.request),
    ...[user, service, 'publickey'].map((text) => sshString(Buffer.from(text, 'latin1'))),
    sshBoolean(true),
    sshString(Buffer.from(algorithm, 'latin1')),
    sshString(blob),
  ])
}

/** This key would do: sign with it. */
export function keyAccepted({ algorithm, blob }: Pick<PublicKeyRequest, 'algorithm' | 'blob'>): Buffer {
  return Buffer.concat([sshByte(authMessage.keyAccepted), sshString(Buffer.from(algorithm, 'latin1')), sshString(blob)])
}

export function authFailure(methods: readonly string[], partialSuccess: boolean): Buffer {
  return Buffer.concat([sshByte(authMessage.failure), sshNameList(methods), sshBoolean(partialSuccess)])
}

export const authSuccess: Buffer = Buffer.of(authMessage.success)

export function banner(text: string): Buffer {
  return Buffer.concat([sshByte(authMessage.banner), sshString(text), sshString('en')])
}

export function infoRequest(
  title: string,
  instruction: string,
  prompts: readonly { readonly text: string; readonly echo: boolean }[],
): Buffer {
  return Buffer.concat([
    sshByte(authMessage.infoRequest),
    ...[title, instruction, ''].map((text) => sshString(text)),
    sshUint32(prompts.length),
    ...prompts.flatMap(({ text, echo }) => [sshString(text), sshBoolean(echo)]),
  ])
}

/** @throws SshWireError */
export function readInfoResponse(message: Buffer): readonly string[] {
  const reader = opened(message, authMessage.infoResponse)
  const count = reader.uint32()
  if (count > responsesMax) throw new SshWireError(`${count} answers`)
  const answers = Array.from({ length: count }, () => text(bounded(reader.string(), responseBytesMax)))
  reader.end()
  return answers
}

function opened(message: Buffer, type: number): SshReader {
  if (message[0] !== type) throw new SshWireError(`message ${type} was expected, not ${message[0] ?? 'nothing'}`)
  return new SshReader(message, 1)
}

/** Names stay as their bytes (latin1): what was signed must come out again as it was. */
function shortText(reader: SshReader, bytesMax: number): string {
  return bounded(reader.string(), bytesMax).toString('latin1')
}

function bounded(bytes: Buffer, bytesMax: number): Buffer {
  if (bytes.length > bytesMax) throw new SshWireError(`a field of ${bytes.length} bytes`)
  return bytes
}

function text(bytes: Buffer): string {
  return bytes.toString('utf8')
}
