import { SshWireError } from '../../../identity/ssh/wire.ts'
import { neededToOpen, refusalOf } from './allow.ts'
import { channelsMax, RelayChannel } from './channel.ts'
import { ChannelRequests } from './channel-requests.ts'
import { forwardEnds } from './forwards.ts'
import { GlobalRequests } from './global-requests.ts'
import type { RelayHost } from './host.ts'
import {
  channelOpen,
  message,
  numberOf,
  openFailure,
  openRefusal,
  printable,
  readChannelOpen,
  readChannelRequest,
  readData,
  readOpenConfirmation,
  readWindowAdjust,
  recipientOf,
  windowAdjust,
  type ChannelOpen,
} from './messages.ts'
import { record } from './record.ts'
import { SilentRefusals } from './silent-refusals.ts'
import { Voice } from './voice.ts'

/** Every transport of ours takes packets of this size. */
const packetBytesMax = 32 * 1024
/** Of a channel's opening that waits for its number, what depends on its type. */
const waitingOpenBytesMax = 4096

/** Takes what the client sends, and passes on what the role allows. */
export class FromClient {
  readonly #host: RelayHost
  readonly #channelRequests: ChannelRequests
  readonly #globalRequests: GlobalRequests

  constructor(host: RelayHost) {
    const silent = new SilentRefusals()
    this.#host = host
    this.#channelRequests = new ChannelRequests(host, silent)
    this.#globalRequests = new GlobalRequests(host, silent)
  }

  /** @throws SshWireError when the client breaks the protocol. */
  take(bytes: Buffer): void {
    switch (numberOf(bytes)) {
      case message.channelData:
        return this.#data(bytes)
      case message.channelWindowAdjust:
        return this.#windowAdjust(bytes)
      case message.channelRequest:
        return this.#request(bytes)
      case message.channelOpen:
        return this.#open(readChannelOpen(bytes))
      case message.channelEof:
        return this.#passOn(bytes)
      case message.channelClose:
        return this.#close(bytes)
      case message.channelOpenConfirmation:
        return this.#confirmed(bytes)
      case message.channelOpenFailure:
        return this.#openFailed(bytes)
      case message.channelSuccess:
      case message.channelFailure:
        return this.#passOn(bytes)
      case message.globalRequest:
        return this.#globalRequests.take(bytes)
      case message.requestSuccess:
      case message.requestFailure:
        return this.#host.target.send(bytes)
      // Extended data goes one way only; anything else belongs to what is over (authentication) or is not known here.
    }
  }

  /** Ends a channel with words, as one that was refused. */
  dismiss(channel: RelayChannel, why: string): void {
    this.#channelRequests.dismiss(channel, why)
  }

  #channel(bytes: Buffer): RelayChannel | undefined {
    const channel = this.#host.channels.ofTarget(recipientOf(bytes))
    if (channel === undefined) throw new SshWireError('there is no such channel')
    return channel.isDismissed ? undefined : channel
  }

  #passOn(bytes: Buffer): void {
    if (this.#channel(bytes) !== undefined) this.#host.target.send(bytes)
  }

  #data(bytes: Buffer): void {
    const channel = this.#channel(bytes)
    if (channel === undefined) return
    const data = readData(bytes)
    if (channel.tap === null && channel.kind === 'session') return this.#nothingRuns(channel, data)
    channel.bytesUp += data.length
    channel.tap?.fromClient(data)
    this.#host.recorded('client')
    this.#host.target.send(bytes)
    this.#host.client.release(bytes)
  }

  /** Nothing would see it, and the target would keep it for what runs later. Clients send some before they hear of a failure. */
  #nothingRuns(channel: RelayChannel, data: Buffer): void {
    if (!channel.hasFailed) throw new SshWireError('data before anything runs')
    this.#host.client.send(windowAdjust(channel.client!, data.length))
  }

  #windowAdjust(bytes: Buffer): void {
    const channel = this.#channel(bytes)
    if (channel === undefined) return
    if (channel.voice === null) return this.#host.target.send(bytes)
    const forTarget = channel.voice.refill(readWindowAdjust(bytes))
    if (forTarget > 0) this.#host.target.send(windowAdjust(channel.target!, forTarget))
  }

  #close(bytes: Buffer): void {
    const channel = this.#host.channels.ofTarget(recipientOf(bytes))
    if (channel === undefined) throw new SshWireError('there is no such channel')
    channel.clientClosed = true
    this.#host.target.send(bytes)
    if (channel.isOver) this.#host.channelOver(channel)
  }

  #open(open: ChannelOpen): void {
    const { client, role, recorder, channels } = this.#host
    const refuse = (reason: number, why: string) => {
      record(recorder, 'no', { what: `channel ${printable(open.type)}`, why })
      this.#host.recorded('client')
      client.send(openRefusal(open.sender, reason, `curfew: ${why}`))
    }
    const needed = neededToOpen(open.type)
    if (needed === undefined) return refuse(openFailure.unknownType, 'this type of channel is not known here')
    if (channels.count >= channelsMax) return refuse(openFailure.resourceShortage, 'too many channels are open')
    const refusal = needed === 'session' ? null : refusalOf(role, needed, `a channel of type ${open.type}`)
    if (refusal !== null) return refuse(openFailure.prohibited, refusal)
    if (!this.#waitsFor(channels.ofClient(open.sender), open)) this.#pass(open, needed === 'session')
  }

  /**
   * The client counts a channel that was refused as closed when it has closed it; the target may still say something
   * about its number until it has closed it, too.
   */
  #waitsFor(before: RelayChannel | undefined, open: ChannelOpen): boolean {
    if (before?.isDismissed !== true || !before.clientClosed) return false
    if (before.onOver !== null || open.rest.length > waitingOpenBytesMax) return false
    before.onOver = () => this.#open(open)
    return true
  }

  #pass(open: ChannelOpen, isSession: boolean): void {
    const { client, target, channels, recorder } = this.#host
    const voice = isSession ? new Voice(open.windowBytes) : null
    const kind = isSession ? 'session' : 'forward-local'
    const channel = new RelayChannel(channels.next(), kind, voice, (reply) => client.send(reply))
    if (!channels.nameForClient(channel, open.sender)) throw new SshWireError('a channel number is used twice')
    const to = isSession ? {} : forwardEnds(open)
    record(recorder, 'ch', { ch: channel.ch, kind, ...to })
    if (!isSession) {
      channel.tap = this.#host.newTap({ ch: channel.ch, what: 'forward', command: '', hasTerminal: false })
    }
    this.#host.recorded('client')
    target.send(
      channelOpen({
        ...open,
        windowBytes: open.windowBytes - (voice?.reserveBytes ?? 0),
        packetBytesMax: Math.min(open.packetBytesMax, packetBytesMax),
      }),
    )
  }

  /** The client takes a channel that the target opened. */
  #confirmed(bytes: Buffer): void {
    const { channels, target } = this.#host
    const { recipient, sender } = readOpenConfirmation(bytes)
    const channel = channels.ofTarget(recipient)
    if (channel === undefined || channel.client !== null) throw new SshWireError('no such channel was being opened')
    if (!channels.nameForClient(channel, sender)) throw new SshWireError('a channel number is used twice')
    if (!channel.isDismissed) target.send(bytes)
  }

  #openFailed(bytes: Buffer): void {
    const { channels, target } = this.#host
    const channel = channels.ofTarget(recipientOf(bytes))
    if (channel === undefined || channel.client !== null) throw new SshWireError('no such channel was being opened')
    this.#host.channelOver(channel)
    if (!channel.isDismissed) target.send(bytes)
  }

  #request(bytes: Buffer): void {
    const channel = this.#channel(bytes)
    if (channel !== undefined) this.#channelRequests.take(channel, bytes, readChannelRequest(bytes))
  }
}
