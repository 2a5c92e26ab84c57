import { SshReader } from '../../../identity/ssh/wire.ts'
import type { AdoptedChannel } from '../conversation.ts'
import { RelayChannel } from './channel.ts'
import type { FromClient } from './from-client.ts'
import type { FromTarget } from './from-target.ts'
import type { RelayHost } from './host.ts'
import {
  channelClose,
  channelData,
  channelEof,
  channelOpen,
  channelRequest,
  exitStatus,
  message,
  readData,
  readOpenConfirmation,
  readWindowAdjust,
  recipientOf,
  stderrData,
  windowAdjust,
  type OpenConfirmation,
} from './messages.ts'
import { OwedInput } from './owed-input.ts'
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
  const channel = new RelayChannel(channels.next(), 'session', voice, answered)
  channels.nameForClient(channel, adopted.clientChannel)
  record(recorder, 'ch', { ch: channel.ch, kind: 'session' })
  let owed: OwedInput | undefined
  let isEnded = false
  /** What the target takes in one packet; the client goes by what the menu took. */
  let packetBytesMax = 0
  let isShellAnswered = false

  ears.hear((bytes) => {
    const isOurs = bytes[0] !== undefined && bytes[0] >= message.channelOpenConfirmation
    if (!isOurs || recipientOf(bytes) !== adopted.clientChannel) return fromTarget.take(bytes)
    switch (bytes[0]) {
      case message.channelOpenConfirmation:
        return opened(readOpenConfirmation(bytes))
      case message.channelOpenFailure:
        return failed()
      case message.channelWindowAdjust:
        owed?.room(readWindowAdjust(bytes))
        return goOn()
      case message.channelSuccess:
      case message.channelFailure:
        // To what the menu had asked for, nobody waits for an answer.
        return channel.replies.waiting > 0 ? fromTarget.take(bytes) : undefined
      default:
        return fromTarget.take(bytes)
    }
  })
  const window = adopted.clientWindowBytes - voice.reserveBytes
  const clientPacketBytesMax = Math.min(adopted.clientPacketBytesMax, 32 * 1024)
  target.send(
    channelOpen({
      type: 'session',
      sender: adopted.clientChannel,
      windowBytes: window,
      packetBytesMax: clientPacketBytesMax,
      rest: none,
    }),
  )

  function opened(confirmation: OpenConfirmation): void {
    packetBytesMax = Math.max(1, confirmation.packetBytesMax)
    channels.nameForTarget(channel, confirmation.sender)
    for (const request of adopted.requests) fromClient.take(readdressed(request, confirmation.sender))
    const send = (bytes: Buffer) => fromClient.take(channelData(confirmation.sender, bytes))
    ears.listen(take)
    if (channel.isDismissed) return settled()
    owed = new OwedInput(adopted.grantedWindowBytes, adopted.typed, confirmation, send)
    owed.pour()
    goOn()
  }

  /** The client may already send what the menu granted: until the target is ready for as much, it is kept here. */
  function goOn(): void {
    if (owed === undefined) return
    if (owed.isEmpty && isEnded) {
      isEnded = false
      fromClient.take(channelEof(channel.target!))
    }
    const { surplusBytes } = owed
    if (surplusBytes === undefined) return
    settled()
    if (surplusBytes > 0) client.send(windowAdjust(adopted.clientChannel, surplusBytes))
  }

  function settled(): void {
    owed = undefined
    ears.hear((bytes) => fromTarget.take(bytes))
  }

  function take(bytes: Buffer): void {
    const type = bytes[0] ?? 0
    const isChannels = type >= message.channelOpenConfirmation && type <= message.channelFailure
    if (isChannels && recipientOf(bytes) === adopted.ownChannel) bytes.writeUInt32BE(channel.target!, 1)
    if (!isChannels || recipientOf(bytes) !== channel.target) return fromClient.take(bytes)
    if (owed === undefined) return pass(bytes)
    if (type === message.channelData) owed.fromClient(readData(bytes))
    else if (type === message.channelEof && !owed.isEmpty) isEnded = true
    else fromClient.take(bytes)
    // What is closed wants nothing more.
    if (type === message.channelClose) settled()
    else goOn()
  }

  function pass(bytes: Buffer): void {
    const isTooLarge = bytes[0] === message.channelData && bytes.length - dataAt > packetBytesMax
    if (!isTooLarge) return fromClient.take(bytes)
    const data = readData(bytes)
    for (let at = 0; at < data.length; at += packetBytesMax) {
      fromClient.take(channelData(channel.target!, data.subarray(at, at + packetBytesMax)))
    }
  }

  /** The client has had its answer to the shell from the menu. */
  function answered(reply: Buffer): void {
    if (isShellAnswered) return client.send(reply)
    isShellAnswered = true
    if (reply[0] === message.channelFailure) fromClient.dismiss(channel, 'the target runs no shell')
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
/** Where the data of a CHANNEL_DATA message begin. */
const dataAt = 9

/** The request again, to the target's number. Only of the shell it is asked whether the target does it. */
function readdressed(request: Buffer, recipient: number): Buffer {
  const fields = new SshReader(request, 5)
  const type = fields.string().toString('latin1')
  fields.boolean()
  return channelRequest(recipient, type, type === 'shell', fields.rest())
}
