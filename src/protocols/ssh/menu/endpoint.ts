import { Fault } from '../../../kernel/fault.ts'
import {
  message,
  openFailure,
  openRefusal,
  readChannelOpen,
  readChannelRequest,
  readData,
  readExtendedData,
  readGlobalRequest,
  readWindowAdjust,
  recipientOf,
  requestFailure,
  type ChannelOpen,
  type ChannelRequest,
} from '../relay/messages.ts'
import type { Transport } from '../transport.ts'
import { Channel } from './channel.ts'

export interface ChannelHost {
  /** To be answered with `open` or `refuse`. */
  channelWanted(open: ChannelOpen): void
  request(channel: Channel, request: ChannelRequest, whole: Buffer): void
  /** Something was done with a channel, or data came: not a mere keepalive. */
  used(): void
}

const channelsMax = 16
/** Far from what targets count with, so that an adopted channel's number is never a target's as well. */
const firstNumber = 2 ** 30

/** The connection protocol as far as the gateway is itself the end of it. @see RFC 4254 */
export class Endpoint {
  readonly #transport: Transport
  readonly #host: ChannelHost
  readonly #channels = new Map<number, Channel>()
  #opening = 0
  #lastNumber = firstNumber

  constructor(transport: Transport, host: ChannelHost) {
    this.#transport = transport
    this.#host = host
  }

  listen(): void {
    this.#transport.onMessage = (bytes) => this.#take(bytes)
    this.#transport.onDrain = () => this.#channels.forEach((channel) => channel.flush())
    const gone = () => this.#channels.forEach((channel) => channel.gone())
    this.#transport.gone.addEventListener('abort', gone, { once: true })
  }

  /** Lets go of the connection. Channels that are left are nobody's. */
  release(): void {
    this.#transport.onMessage = null
    this.#transport.onDrain = null
    this.#channels.clear()
  }

  get channels(): readonly Channel[] {
    return [...this.#channels.values()]
  }

  /** How many there are, and how many may be soon. */
  get count(): number {
    return this.#channels.size + this.#opening
  }

  /** Keeps a place while it is being found out whether the channel may be. @throws Fault TOO_MANY_CONNECTIONS */
  reserve(): Disposable {
    if (this.count >= channelsMax) {
      throw new Fault('TOO_MANY_CONNECTIONS', `A connection has ${channelsMax} channels at most.`)
    }
    this.#opening += 1
    return { [Symbol.dispose]: () => void (this.#opening -= 1) }
  }

  open(wish: ChannelOpen, windowBytes: number): Channel {
    const own = ++this.#lastNumber
    const channel = new Channel(this.#transport, own, wish, windowBytes, () => this.#channels.delete(own))
    this.#channels.set(own, channel)
    channel.confirm()
    return channel
  }

  refuse({ sender }: ChannelOpen, reason: keyof typeof openFailure, description: string): void {
    this.#transport.send(openRefusal(sender, openFailure[reason], description))
  }

  #take(bytes: Buffer): void {
    const type = bytes[0] ?? 0
    if (type === message.globalRequest) {
      if (readGlobalRequest(bytes).wantReply) this.#transport.send(requestFailure)
    } else if (type === message.channelOpen) {
      this.#host.used()
      const open = readChannelOpen(bytes)
      if (open.packetBytesMax === 0) throw new Fault('PROTOCOL_VIOLATION', 'A channel must take packets.')
      this.#host.channelWanted(open)
    } else if (type >= message.channelWindowAdjust && type <= message.channelFailure) {
      if (type === message.channelData) this.#host.used()
      this.#takeFor(this.#channel(bytes), type, bytes)
    } else if (type < 50 || type > 79) {
      throw new Fault('PROTOCOL_VIOLATION', `Message ${type} has no place here.`)
    }
    // 50 to 79: authentication that comes late is to be ignored (RFC 4252 section 5.1).
  }

  #channel(bytes: Buffer): Channel {
    const channel = this.#channels.get(recipientOf(bytes))
    if (channel === undefined) throw new Fault('PROTOCOL_VIOLATION', 'There is no such channel.')
    return channel
  }

  #takeFor(channel: Channel, type: number, bytes: Buffer): void {
    switch (type) {
      case message.channelWindowAdjust:
        return channel.takeWindow(readWindowAdjust(bytes))
      case message.channelData:
        return channel.takeData(readData(bytes), false)
      case message.channelExtendedData:
        return channel.takeData(readExtendedData(bytes), true)
      case message.channelEof:
        return channel.events?.onEof()
      case message.channelClose:
        return channel.takeClose()
      case message.channelRequest:
        return this.#host.request(channel, readChannelRequest(bytes), bytes)
      default: // an answer to a question that we never ask
        return undefined
    }
  }
}
