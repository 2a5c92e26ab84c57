import { sshBoolean, sshByte, SshReader, sshString, sshUint32, SshWireError } from '../../../identity/ssh/wire.ts'

/** Numbers of the connection protocol's messages. @see RFC 4254 section 9 */
export const message = {
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
} as const

/** @see RFC 4254 section 5.1 */
export const openFailure = {
  prohibited: 1,
  connectFailed: 2,
  unknownType: 3,
  resourceShortage: 4,
} as const

/** The data type of standard error. @see RFC 4254 section 5.2 */
const extendedDataStderr = 1

export interface ChannelOpen {
  readonly type: string
  readonly sender: number
  readonly windowBytes: number
  readonly packetBytesMax: number
  /** What follows, depending on the type. */
  readonly rest: Buffer
}

export function readChannelOpen(bytes: Buffer): ChannelOpen {
  const reader = new SshReader(bytes, 1)
  return {
    type: reader.string().toString('latin1'),
    sender: reader.uint32(),
    windowBytes: reader.uint32(),
    packetBytesMax: reader.uint32(),
    rest: reader.rest(),
  }
}

export function channelOpen({ type, sender, windowBytes, packetBytesMax, rest }: ChannelOpen): Buffer {
  return Buffer.concat([
    sshByte(message.channelOpen),
    sshString(Buffer.from(type, 'latin1')),
    ...[sender, windowBytes, packetBytesMax].map(sshUint32),
    rest,
  ])
}

export interface OpenConfirmation {
  readonly recipient: number
  readonly sender: number
  readonly windowBytes: number
  readonly packetBytesMax: number
}

export function readOpenConfirmation(bytes: Buffer): OpenConfirmation {
  const reader = new SshReader(bytes, 1)
  return {
    recipient: reader.uint32(),
    sender: reader.uint32(),
    windowBytes: reader.uint32(),
    packetBytesMax: reader.uint32(),
  }
}

export function openRefusal(recipient: number, reason: number, description: string): Buffer {
  return Buffer.concat([
    sshByte(message.channelOpenFailure),
    sshUint32(recipient),
    sshUint32(reason),
    sshString(description),
    sshString('en'),
  ])
}

/** Which message it is; 0, which is none, when it is empty. */
export function numberOf(bytes: Buffer): number {
  return bytes[0] ?? 0
}

/** The other end's channel, to which a message is sent: the first field of numbers 91 to 100. */
export function recipientOf(bytes: Buffer): number {
  if (bytes.length < 5) throw new SshWireError('a channel number expected')
  return bytes.readUInt32BE(1)
}

/** The data of a CHANNEL_DATA message; a view. @throws SshWireError */
export function readData(bytes: Buffer): Buffer {
  if (bytes.length < 9 || bytes.readUInt32BE(5) !== bytes.length - 9) throw new SshWireError('data of another length')
  return bytes.subarray(9)
}

/** The data of a CHANNEL_EXTENDED_DATA message, whatever its type; a view. @throws SshWireError */
export function readExtendedData(bytes: Buffer): Buffer {
  if (bytes.length < 13 || bytes.readUInt32BE(9) !== bytes.length - 13) {
    throw new SshWireError('extended data of another length')
  }
  return bytes.subarray(13)
}

export function stderrData(recipient: number, bytes: Uint8Array): Buffer {
  const fields = [recipient, extendedDataStderr].map(sshUint32)
  return Buffer.concat([sshByte(message.channelExtendedData), ...fields, sshString(bytes)])
}

export function channelData(recipient: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([sshByte(message.channelData), sshUint32(recipient), sshString(bytes)])
}

export function readWindowAdjust(bytes: Buffer): number {
  return new SshReader(bytes, 5).uint32()
}

export function windowAdjust(recipient: number, addedBytes: number): Buffer {
  return Buffer.concat([sshByte(message.channelWindowAdjust), sshUint32(recipient), sshUint32(addedBytes)])
}

export function channelEof(recipient: number): Buffer {
  return Buffer.concat([sshByte(message.channelEof), sshUint32(recipient)])
}

export function channelClose(recipient: number): Buffer {
  return Buffer.concat([sshByte(message.channelClose), sshUint32(recipient)])
}

export function channelSuccess(recipient: number): Buffer {
  return Buffer.concat([sshByte(message.channelSuccess), sshUint32(recipient)])
}

export function channelFailure(recipient: number): Buffer {
  return Buffer.concat([sshByte(message.channelFailure), sshUint32(recipient)])
}

export interface ChannelRequest {
  readonly recipient: number
  readonly type: string
  readonly wantReply: boolean
  /** What follows, depending on the type. */
  readonly fields: SshReader
}

export function readChannelRequest(bytes: Buffer): ChannelRequest {
  const fields = new SshReader(bytes, 1)
  return {
    recipient: fields.uint32(),
    type: fields.string().toString('latin1'),
    wantReply: fields.boolean(),
    fields,
  }
}

export function channelRequest(recipient: number, type: string, wantReply: boolean, rest: Uint8Array): Buffer {
  return Buffer.concat([
    sshByte(message.channelRequest),
    sshUint32(recipient),
    sshString(type),
    sshBoolean(wantReply),
    rest,
  ])
}

export function exitStatus(recipient: number, status: number): Buffer {
  return channelRequest(recipient, 'exit-status', false, sshUint32(status))
}

/** @param name without `SIG`. */
export function signalRequest(recipient: number, name: string): Buffer {
  return channelRequest(recipient, 'signal', false, sshString(name))
}

export interface GlobalRequest {
  readonly type: string
  readonly wantReply: boolean
  readonly fields: SshReader
}

export function readGlobalRequest(bytes: Buffer): GlobalRequest {
  const fields = new SshReader(bytes, 1)
  return { type: fields.string().toString('latin1'), wantReply: fields.boolean(), fields }
}

export const requestFailure: Buffer = Buffer.of(message.requestFailure)

/** `host:port`, or `[host]:port` for IPv6, of what a forwarded connection names. */
export function endpoint(host: string, port: number): string {
  const shown = printable(host)
  return shown.includes(':') ? `[${shown}]:${port}` : `${shown}:${port}`
}

/** What a peer calls something, fit for a line of a recording: bounded, controls made visible. */
export function printable(text: string): string {
  return text.slice(0, 1024).replace(/\p{C}/gu, '\u{fffd}')
}
