import { SshReader } from '../../../identity/ssh/wire.ts'
import type { AdoptedChannel } from '../conversation.ts'
import { RelayChannel } from './channel.ts'
import type { FromClient } from './from-client.ts'
import type { FromTarget } from './from-target.ts'
import type { RelayHost } from './host.ts'
import {
  channelData,
  channelOpen,
  channelRequest,
  message,
  readOpenConfirmation,
  readWindowAdjust,
  recipientOf,
  stderrData,
  windowAdjust,
  channelClose,
  exitStatus,
} from './messages.ts'
import { record } from './record.ts'
import { Voice } from './voice.ts'

/** Where a relay's messages go. */
export interface Ears {
  readonly fromClient: FromClient
  readonly fromTarget: FromTarget
  /** Starts taking the client's messages. */
  listen(take: (bytes: Buffer) => void): void
  /** Takes the target's messages so from here on. */
  hear(take: (bytes: Buffer) => void): void
}

/**
 * Goes on with a channel of the menu as a channel to the target: opens it there, asks for terminal and shell as the
 * client had, and only then listens to the client, whose messages for it carry the menu's number and get the target's.
 */
export function adopt(adopted: AdoptedChannel, host: RelayHost, ears: Ears): void {
  const { fromClient, fromTarget } = ears
  const { client, target, channels, recorder } = host
  const voice = new Voice(adopted.clientWindowBytes)
  const channel = new RelayChannel(channels.next(), 'session', voice, (reply) => client.send(reply))
  channels.nameForClient(channel, adopted.clientChannel)
  record(recorder, 'ch', { ch: channel.ch, kind: 'session' })
  let windowBytes = 0
  const owedBytes = adopted.grantedWindowBytes + adopted.typed.length

  ears.hear((bytes) => {
    const isOurs = bytes[0] !== undefined && bytes[0] >= message.channelOpenConfirmation
    if (!isOurs || recipientOf(bytes) !== adopted.clientChannel) return fromTarget.take(bytes)
    switch (bytes[0]) {
      case message.channelOpenConfirmation: {
        const confirmation = readOpenConfirmation(bytes)
        channels.nameForTarget(channel, confirmation.sender)
        windowBytes = confirmation.windowBytes
        for (const request of adopted.requests) fromClient.take(unanswered(request, confirmation.sender))
        return goOnWhenOpen()
      }
      case message.channelOpenFailure:
        return failed()
      case message.channelWindowAdjust:
        windowBytes += readWindowAdjust(bytes)
        return goOnWhenOpen()
      case message.channelSuccess:
      case message.channelFailure:
        return
      default:
        return fromTarget.take(bytes)
    }
  })
  const window = adopted.clientWindowBytes - voice.reserveBytes
  const packetBytesMax = Math.min(adopted.clientPacketBytesMax, 32 * 1024)
  target.send(
    channelOpen({ type: 'session', sender: adopted.clientChannel, windowBytes: window, packetBytesMax, rest: none }),
  )

  /** The client may already send what the menu granted: the target must be ready for as much. */
  function goOnWhenOpen(): void {
    if (channel.isDismissed) return ears.listen(take)
    if (windowBytes < owedBytes) return
    ears.hear((bytes) => fromTarget.take(bytes))
    if (windowBytes > owedBytes) client.send(windowAdjust(adopted.clientChannel, windowBytes - owedBytes))
    if (adopted.typed.length > 0) fromClient.take(channelData(channel.target!, adopted.typed))
    ears.listen(take)
  }

  function take(bytes: Buffer): void {
    const type = bytes[0] ?? 0
    const isChannels = type >= message.channelOpenConfirmation && type <= message.channelFailure
    if (isChannels && recipientOf(bytes) === adopted.ownChannel) bytes.writeUInt32BE(channel.target!, 1)
    fromClient.take(bytes)
  }

  function failed(): void {
    const number = adopted.clientChannel
    client.send(stderrData(number, Buffer.from('curfew: the target does not open a session\r\n')))
    client.send(exitStatus(number, 255))
    client.send(channelClose(number))
    client.disconnect('BY_APPLICATION', 'curfew: the target does not open a session.')
  }
}

const none = Buffer.alloc(0)

/** The request again, to the target's number, and without asking for an answer: the client has had it. */
function unanswered(request: Buffer, recipient: number): Buffer {
  const fields = new SshReader(request, 5)
  const type = fields.string().toString('latin1')
  fields.boolean()
  return channelRequest(recipient, type, false, fields.rest())
}
