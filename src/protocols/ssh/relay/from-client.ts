import { SshReader, SshWireError } from '../../../identity/ssh/wire.ts'
import { neededToOpen, neededToRun, refusalOf, type Needed } from './allow.ts'
import { channelsMax, RelayChannel } from './channel.ts'
import type { RelayHost } from './host.ts'
import {
  channelClose,
  channelEof,
  channelFailure,
  channelOpen,
  channelSuccess,
  endpoint,
  exitStatus,
  message,
  numberOf,
  openFailure,
  openRefusal,
  printable,
  readChannelOpen,
  readChannelRequest,
  readData,
  readGlobalRequest,
  readOpenConfirmation,
  readWindowAdjust,
  recipientOf,
  requestFailure,
  stderrData,
  windowAdjust,
  type ChannelOpen,
  type ChannelRequest,
} from './messages.ts'
import { commandFacts, record } from './record.ts'
import { forwardEnds, remoteForward, type RemoteForward } from './forwards.ts'
import { Voice } from './voice.ts'

/** Of questions that the target has not answered yet. */
const questionsMax = 1000
/** Addresses that the target listens on for one connection. */
const listeningMax = 1000
/** Every transport of ours takes packets of this size. */
const packetBytesMax = 32 * 1024
const heldMax = 10
/** Of a channel's opening that waits for its number, what depends on its type. */
const waitingOpenBytesMax = 4096
const environmentBytesMax = 4096
/** What a refused shell or command ends with: as ssh itself when it fails. */
const refusedStatus = 255

/** Takes what the client sends, and passes on what the role allows. */
export class FromClient {
  readonly #host: RelayHost
  /** Refusals that clients do not show the reason of. */
  readonly #held: string[] = []

  constructor(host: RelayHost) {
    this.#host = host
  }

  /** @throws SshWireError when the client breaks the protocol. */
  take(bytes: Buffer): void {
    switch (numberOf(bytes)) {
      case message.channelData:
        return this.#data(bytes)
      case message.channelWindowAdjust:
        return this.#windowAdjust(bytes)
      case message.channelRequest:
        return this.#request(bytes, readChannelRequest(bytes))
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
        return this.#globalRequest(bytes)
      case message.requestSuccess:
      case message.requestFailure:
        return this.#host.target.send(bytes)
      // Extended data goes one way only; anything else belongs to what is over (authentication) or is not known here.
    }
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

  #request(bytes: Buffer, request: ChannelRequest): void {
    const channel = this.#channel(bytes)
    if (channel === undefined) return
    if (channel.replies.waiting >= questionsMax) throw new SshWireError('too many requests wait for an answer')
    const refusal = this.#look(channel, request)
    this.#host.recorded('client')
    if (refusal === null) {
      if (request.wantReply) channel.replies.passedOn((reply) => this.#answered(channel, request.type, reply))
      return this.#host.target.send(bytes)
    }
    record(this.#host.recorder, 'no', { what: printable(request.type), why: refusal })
    if (channel.isDismissed) return
    if (request.wantReply) channel.replies.answer(channelFailure(channel.client!))
  }

  /** Writes a channel request down, and acts on it. @returns why it is not passed on; null when it is. */
  #look(channel: RelayChannel, { type, fields, wantReply }: ChannelRequest): string | null {
    const { recorder, role } = this.#host
    const { ch } = channel
    if (channel.kind !== 'session') return 'this channel takes no requests'
    switch (type) {
      case 'pty-req': {
        const term = printable(fields.text())
        const [cols, rows] = [fields.uint32(), fields.uint32()]
        const refusal = role.allow.includes('exec') ? null : refusalOf(role, 'shell', type)
        if (refusal !== null) return refusal
        channel.hasTerminal = true
        record(recorder, 'pty', { ch, term, cols, rows })
        return null
      }
      case 'window-change':
        record(recorder, 'r', { ch, cols: fields.uint32(), rows: fields.uint32() })
        return null
      case 'env':
        return this.#environment(channel, fields)
      case 'signal':
        record(recorder, 'sig', { ch, name: printable(fields.text()) })
        return null
      case 'shell':
      case 'exec':
      case 'subsystem':
        return this.#run(channel, type, type === 'shell' ? Buffer.alloc(0) : fields.string(), wantReply)
      case 'auth-agent-req@openssh.com':
        return this.#agent()
      case 'break':
      case 'eow@openssh.com':
        return null
      case 'x11-req':
        return this.#refusedQuietly('never', 'X11')
      default:
        return 'this request is not known here'
    }
  }

  #environment(channel: RelayChannel, fields: SshReader): string | null {
    const [name, value] = [fields.text(), fields.text()]
    if (name.length + value.length > environmentBytesMax) return 'this variable is too long'
    record(this.#host.recorder, 'env', { ch: channel.ch, name, value })
    return null
  }

  #run(
    channel: RelayChannel,
    what: 'shell' | 'exec' | 'subsystem',
    command: Buffer,
    wantReply: boolean,
  ): string | null {
    if (channel.isRunning) return 'this channel runs something already'
    // Some targets keep it for what runs later, and the recording has it with what did not run.
    if (channel.bytesUp > 0) return 'data was sent for something that did not run'
    const { role, recorder } = this.#host
    const text = command.toString('utf8')
    const refusal = refusalOf(role, neededToRun(what, text), what)
    if (refusal !== null) {
      this.#dismiss(channel, wantReply, refusal)
      return refusal
    }
    channel.isRunning = true
    channel.isSubsystem = what === 'subsystem'
    const { ch, hasTerminal } = channel
    record(recorder, 'run', { ch, what, ...(what === 'shell' ? {} : commandFacts(command)) })
    // A terminal can be told to change no byte, so SFTP behind one is read for as long as it is SFTP.
    channel.tap = this.#host.newTap({ ch, what, command: text, hasTerminal: hasTerminal && what !== 'subsystem' })
    this.#sayHeld(channel)
    return null
  }

  #answered(channel: RelayChannel, type: string, reply: Buffer): void {
    if (reply[0] !== message.channelFailure) return
    if (type === 'pty-req' && !channel.isRunning) channel.hasTerminal = false
    if (type === 'shell' || type === 'exec' || type === 'subsystem') this.#failed(channel)
  }

  /** What the target does not run, a client may ask for in another way (PuTTY's SFTP, after the subsystem: a command). */
  #failed(channel: RelayChannel): void {
    record(this.#host.recorder, 'no', { what: 'what was to run', why: 'the target does not run it' })
    channel.tap?.close()
    channel.tap = null
    channel.isRunning = false
    channel.isSubsystem = false
    channel.hasFailed = true
  }

  /**
   * Ends a channel as a program would that says why it cannot go on: ssh and scp show that; an error they do not.
   * At the target it is closed when the client has closed it: until then that may not give its number away again.
   */
  #dismiss(channel: RelayChannel, wantReply: boolean, why: string): void {
    const { client } = this.#host
    const number = channel.client!
    if (wantReply) channel.replies.answer(channelSuccess(number))
    this.#say(channel, why)
    client.send(exitStatus(number, refusedStatus))
    client.send(channelEof(number))
    client.send(channelClose(number))
    channel.isDismissed = true
  }

  #refusedQuietly(needed: Needed, what: string): string | null {
    const refusal = refusalOf(this.#host.role, needed, what)
    if (refusal !== null) this.#hold(refusal)
    return refusal
  }

  #hold(why: string): void {
    if (this.#held.length < heldMax && !this.#held.includes(why)) this.#held.push(why)
  }

  /** What was refused before anybody could be told is said at the terminal; programs that read this are left alone. */
  #sayHeld(channel: RelayChannel): void {
    const held = this.#held.splice(0)
    if (channel.hasTerminal) for (const why of held) this.#say(channel, why)
  }

  #say(channel: RelayChannel, why: string): void {
    const words = Buffer.from(`curfew: ${why}${channel.hasTerminal ? '\r\n' : '\n'}`)
    if (channel.voice?.speak(words.length) === true) this.#host.client.send(stderrData(channel.client!, words))
  }

  #agent(): string | null {
    const refusal = this.#refusedQuietly('agent', 'the agent')
    if (refusal === null) this.#host.agentWanted = true
    return refusal
  }

  #globalRequest(bytes: Buffer): void {
    const { target, globalReplies, recorder } = this.#host
    const { type, wantReply, fields } = readGlobalRequest(bytes)
    if (globalReplies.waiting >= questionsMax) throw new SshWireError('too many requests wait for an answer')
    const refuse = (why: string) => {
      record(recorder, 'no', { what: printable(type), why })
      this.#hold(why)
      this.#host.recorded('client')
      if (wantReply) globalReplies.answer(requestFailure)
    }
    const forwarding = remoteForward(type, fields)
    if (forwarding !== undefined) {
      const refusal = refusalOf(this.#host.role, 'forward-remote' satisfies Needed, type)
      if (refusal !== null) return refuse(refusal)
      const isMore = forwarding.action === 'listen' && this.#host.listening.size >= listeningMax
      return isMore ? refuse('too many addresses are listened on') : this.#forwardRemote(bytes, wantReply, forwarding)
    }
    if (type !== 'keepalive@openssh.com' && type !== 'no-more-sessions@openssh.com') {
      if (wantReply) globalReplies.answer(requestFailure)
      return
    }
    if (wantReply) globalReplies.passedOn()
    target.send(bytes)
  }

  #forwardRemote(bytes: Buffer, wantReply: boolean, { action, address, port }: RemoteForward): void {
    const { target, globalReplies, recorder, listening } = this.#host
    const settle = (reply: Buffer | null) => {
      const ok = reply === null || reply[0] === message.requestSuccess
      const chosen = port === 0 && reply !== null && reply.length >= 5 ? reply.readUInt32BE(1) : port
      const key = chosen === null ? address : endpoint(address, chosen)
      record(recorder, 'fw', { address: printable(key), action, ok })
      this.#host.recorded('client')
      if (!ok) return
      if (action === 'listen') listening.add(key)
      else listening.delete(key)
    }
    if (wantReply) globalReplies.passedOn(settle)
    else settle(null)
    target.send(bytes)
  }
}
