import { SshReader, SshWireError } from '../../../identity/ssh/wire.ts'
import type { SshChannelKind } from '../../../recording/ssh-events.ts'
import { channelFacts, recordBytes } from '../taps/command-tap.ts'
import { channelsMax, RelayChannel } from './channel.ts'
import type { RelayHost } from './host.ts'
import {
  channelFailure,
  endpoint,
  message,
  numberOf,
  openFailure,
  openRefusal,
  printable,
  readChannelOpen,
  readChannelRequest,
  readData,
  readExtendedData,
  readGlobalRequest,
  readOpenConfirmation,
  recipientOf,
  requestFailure,
  type ChannelOpen,
} from './messages.ts'
import { record } from './record.ts'

/** Takes what the target sends, and passes it on to the client. */
export class FromTarget {
  readonly #host: RelayHost

  constructor(host: RelayHost) {
    this.#host = host
  }

  /** @throws SshWireError when the target breaks the protocol. */
  take(bytes: Buffer): void {
    switch (numberOf(bytes)) {
      case message.channelData:
        return this.#data(bytes)
      case message.channelExtendedData:
        return this.#extendedData(bytes)
      case message.channelWindowAdjust:
      case message.channelEof:
        return this.#passOn(bytes)
      case message.channelSuccess:
      case message.channelFailure:
        return this.#answered(bytes)
      case message.channelRequest:
        return this.#request(bytes)
      case message.channelClose:
        return this.#close(bytes)
      case message.channelOpen:
        return this.#open(bytes, readChannelOpen(bytes))
      case message.channelOpenConfirmation:
        return this.#confirmed(bytes)
      case message.channelOpenFailure:
        return this.#openFailed(bytes)
      case message.globalRequest:
        return this.#globalRequest(bytes)
      case message.requestSuccess:
      case message.requestFailure:
        if (!this.#host.globalReplies.arrived(bytes)) throw new SshWireError('an answer without a question')
    }
  }

  #channel(bytes: Buffer): RelayChannel | undefined {
    const channel = this.#host.channels.ofClient(recipientOf(bytes))
    if (channel === undefined || channel.target === null) throw new SshWireError('there is no such channel')
    return channel.isDismissed ? undefined : channel
  }

  #passOn(bytes: Buffer): void {
    if (this.#channel(bytes) !== undefined) this.#host.client.send(bytes)
  }

  #data(bytes: Buffer): void {
    const channel = this.#channel(bytes)
    if (channel === undefined) return
    const data = readData(bytes)
    channel.bytesDown += data.length
    if (channel.tap === null) this.#unasked(channel, '=o', data)
    else channel.tap.fromTarget(data)
    this.#host.recorded('target')
    this.#host.client.send(bytes)
    this.#host.target.release(bytes)
  }

  #extendedData(bytes: Buffer): void {
    const channel = this.#channel(bytes)
    if (channel === undefined) return
    const data = readExtendedData(bytes)
    channel.bytesDown += data.length
    if (channel.tap === null) this.#unasked(channel, '=e', data)
    else channel.tap.errorsFromTarget(data)
    this.#host.recorded('target')
    this.#host.client.send(bytes)
  }

  /** What a target says on a channel where, as far as it told, nothing runs: it is recorded like everything else. */
  #unasked({ ch }: RelayChannel, code: '=o' | '=e', data: Buffer): void {
    const { recorder } = this.#host
    if (recorder.active) recordBytes(recorder, code, channelFacts(ch), data)
  }

  #answered(bytes: Buffer): void {
    const channel = this.#channel(bytes)
    if (channel === undefined) return
    if (!channel.replies.arrived(bytes)) throw new SshWireError('an answer without a question')
  }

  #request(bytes: Buffer): void {
    const channel = this.#channel(bytes)
    if (channel === undefined) return
    const { type, wantReply, fields } = readChannelRequest(bytes)
    const { ch } = channel
    const { recorder, client, target } = this.#host
    switch (type) {
      case 'exit-status':
        channel.hasExited = true
        record(recorder, 'x', { ch, status: fields.uint32() })
        break
      case 'exit-signal': {
        channel.hasExited = true
        const signal = printable(fields.text())
        fields.boolean() // core dumped
        const message = printable(fields.text())
        record(recorder, 'x', { ch, signal, ...(message === '' ? {} : { message }) })
        break
      }
      case 'xon-xoff':
      case 'eow@openssh.com':
      case 'keepalive@openssh.com':
        break
      default:
        if (wantReply) target.send(channelFailure(channel.target!))
        return
    }
    this.#host.recorded('target')
    client.send(bytes)
  }

  #close(bytes: Buffer): void {
    const channel = this.#host.channels.ofClient(recipientOf(bytes))
    if (channel === undefined || channel.target === null) throw new SshWireError('there is no such channel')
    channel.targetClosed = true
    if (!channel.isDismissed) this.#host.client.send(bytes)
    if (!channel.isOver) return
    this.#host.channelOver(channel)
    channel.onOver?.()
  }

  #confirmed(bytes: Buffer): void {
    const { channels, client } = this.#host
    const { recipient, sender } = readOpenConfirmation(bytes)
    const channel = channels.ofClient(recipient)
    if (channel === undefined || channel.target !== null) throw new SshWireError('no such channel was being opened')
    if (!channels.nameForTarget(channel, sender)) throw new SshWireError('a channel number is used twice')
    client.send(bytes)
  }

  #openFailed(bytes: Buffer): void {
    const { channels, client } = this.#host
    const channel = channels.ofClient(recipientOf(bytes))
    if (channel === undefined || channel.target !== null) throw new SshWireError('no such channel was being opened')
    this.#host.channelOver(channel)
    client.send(bytes)
  }

  /** Only what the client has asked for (`-R`, `-A`) may be opened from the target's side. */
  #open(bytes: Buffer, open: ChannelOpen): void {
    const { client, target, channels, recorder, agentWanted, listening } = this.#host
    const ends = openedBy(open)
    const isWanted = ends?.kind === 'agent' ? agentWanted : ends !== undefined && isListening(listening, ends.at)
    if (ends === undefined || !isWanted) {
      record(recorder, 'no', { what: `channel ${printable(open.type)} from the target`, why: 'nobody asked for it' })
      this.#host.recorded('target')
      return target.send(openRefusal(open.sender, openFailure.prohibited, 'nobody asked for this channel'))
    }
    if (channels.count >= channelsMax) {
      return target.send(openRefusal(open.sender, openFailure.resourceShortage, 'too many channels are open'))
    }
    const channel = new RelayChannel(channels.next(), ends.kind, null, (reply) => client.send(reply))
    if (!channels.nameForTarget(channel, open.sender)) throw new SshWireError('a channel number is used twice')
    const { ch } = channel
    record(recorder, 'ch', { ch, kind: ends.kind, ...(ends.kind === 'agent' ? {} : { to: ends.at, from: ends.from }) })
    channel.tap = this.#host.newTap({ ch, what: 'forward', command: '', hasTerminal: false })
    this.#host.recorded('target')
    client.send(bytes)
  }

  /** The target's own host keys are nothing to the client; only its question whether anybody is there is passed on. */
  #globalRequest(bytes: Buffer): void {
    const { type, wantReply } = readGlobalRequest(bytes)
    if (type === 'keepalive@openssh.com') return this.#host.client.send(bytes)
    if (wantReply) this.#host.target.send(requestFailure)
  }
}

interface OpenedByTarget {
  readonly kind: SshChannelKind
  /** Where it came in at the target, as the client asked to listen. */
  readonly at: string
  readonly from: string
}

function openedBy({ type, rest }: ChannelOpen): OpenedByTarget | undefined {
  const fields = new SshReader(rest)
  switch (type) {
    case 'forwarded-tcpip': {
      const at = endpoint(fields.text(), fields.uint32())
      return { kind: 'forward-remote', at, from: endpoint(fields.text(), fields.uint32()) }
    }
    case 'forwarded-streamlocal@openssh.com':
      return { kind: 'forward-remote', at: printable(fields.text()), from: '' }
    case 'auth-agent@openssh.com':
      return { kind: 'agent', at: '', from: '' }
    default:
      return undefined
  }
}

/** A target may name the address otherwise than the client did (`localhost`, `127.0.0.1`, ``); its port is the same. */
function isListening(listening: ReadonlySet<string>, at: string): boolean {
  if (listening.has(at)) return true
  const port = /:(\d+)$/.exec(at)?.[1]
  return port !== undefined && [...listening].some((one) => one.endsWith(`:${port}`))
}
