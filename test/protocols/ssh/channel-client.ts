/** The client's side of the connection protocol, by hand, on a transport in memory. */
import { sshBoolean, sshByte, SshReader, sshString, sshUint32 } from '../../../src/identity/ssh/wire.ts'
import { MessageClient, type MemoryTransport } from './memory-transport.ts'

export class ChannelClient {
  readonly messages: MessageClient
  #next = 0

  constructor(transport: MemoryTransport) {
    this.messages = new MessageClient(transport)
  }

  sendOpen(type: string, options: { windowBytes?: number; packetBytesMax?: number; rest?: Buffer } = {}): number {
    const { windowBytes = 100_000, packetBytesMax = 32_768, rest = Buffer.alloc(0) } = options
    const own = this.#next++
    this.messages.send(sshByte(90), sshString(type), ...[own, windowBytes, packetBytesMax].map(sshUint32), rest)
    return own
  }

  async open(type: string, options: Parameters<ChannelClient['sendOpen']>[1] = {}): Promise<ClientChannel> {
    const own = this.sendOpen(type, options)
    const message = await this.messages.next()
    if (message[0] !== 91) throw new Error(`not opened: ${message[0]} ${message.toString('latin1')}`)
    const reader = new SshReader(message, 1)
    const [recipient, peer, windowBytes] = [reader.uint32(), reader.uint32(), reader.uint32()]
    if (recipient !== own) throw new Error('opened for another')
    return new ClientChannel(this.messages, peer, windowBytes)
  }

  jump(host: string, options: { windowBytes?: number } = {}): Promise<ClientChannel> {
    return this.open('direct-tcpip', { ...options, rest: jumpFields(host) })
  }
}

export function jumpFields(host: string): Buffer {
  return Buffer.concat([sshString(host), sshUint32(22), sshString('127.0.0.1'), sshUint32(1)])
}

export class ClientChannel {
  readonly peer: number
  readonly windowBytes: number
  readonly #messages: MessageClient
  text = ''
  errors = ''
  added = 0
  status: number | undefined
  readonly types: number[] = []

  constructor(messages: MessageClient, peer: number, windowBytes: number) {
    this.#messages = messages
    this.peer = peer
    this.windowBytes = windowBytes
  }

  request(type: string, wantReply: boolean, ...rest: readonly Buffer[]): void {
    this.#messages.send(sshByte(98), sshUint32(this.peer), sshString(type), sshBoolean(wantReply), ...rest)
  }

  pty(columns = 100): void {
    this.request('pty-req', true, sshString('xterm'), ...[columns, 30, 0, 0].map(sshUint32), sshString(''))
  }

  type(text: string): void {
    this.data(Buffer.from(text))
  }

  data(bytes: Buffer): void {
    this.#messages.send(sshByte(94), sshUint32(this.peer), sshString(bytes))
  }

  adjust(bytes: number): void {
    this.#messages.send(sshByte(93), sshUint32(this.peer), sshUint32(bytes))
  }

  eof(): void {
    this.#messages.send(sshByte(96), sshUint32(this.peer))
  }

  close(): void {
    this.#messages.send(sshByte(97), sshUint32(this.peer))
  }

  /** Takes one message; all are this channel's. */
  async step(): Promise<number> {
    const message = await this.#messages.next()
    const type = message[0]!
    this.types.push(type)
    if (type === 94) this.text += message.subarray(9).toString('utf8')
    if (type === 95) this.errors += message.subarray(13).toString('utf8')
    if (type === 93) this.added += message.readUInt32BE(5)
    if (type === 98 && message.includes('exit-status')) this.status = message.readUInt32BE(message.length - 4)
    return type
  }

  async until(text: string): Promise<void> {
    while (!`${this.text}${this.errors}`.includes(text)) await this.step()
  }

  async untilClosed(): Promise<void> {
    while ((await this.step()) !== 97);
  }
}
