import { SshReader, SshWireError } from '../../../identity/ssh/wire.ts'
import { neededToRun, refusalOf, type Needed } from './allow.ts'
import type { RelayChannel } from './channel.ts'
import type { RelayHost } from './host.ts'
import {
  channelClose,
  channelEof,
  channelFailure,
  channelSuccess,
  exitStatus,
  message,
  printable,
  stderrData,
  type ChannelRequest,
} from './messages.ts'
import { commandFacts, record } from './record.ts'
import { questionsMax } from './replies.ts'
import type { SilentRefusals } from './silent-refusals.ts'

const environmentBytesMax = 4096
/** What a refused shell or command ends with: as ssh itself when it fails. */
const refusedStatus = 255

/** What the client asks for on its channels: what is to run there, and with what. */
export class ChannelRequests {
  readonly #host: RelayHost
  readonly #silent: SilentRefusals

  constructor(host: RelayHost, silent: SilentRefusals) {
    this.#host = host
    this.#silent = silent
  }

  /** @throws SshWireError when the client breaks the protocol. */
  take(channel: RelayChannel, bytes: Buffer, request: ChannelRequest): void {
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
      if (wantReply) channel.replies.answer(channelSuccess(channel.client!))
      this.dismiss(channel, refusal)
      return refusal
    }
    channel.isRunning = true
    channel.isSubsystem = what === 'subsystem'
    const { ch, hasTerminal } = channel
    record(recorder, 'run', { ch, what, ...(what === 'shell' ? {} : commandFacts(command)) })
    // A terminal can be told to change no byte, so SFTP behind one is read for as long as it is SFTP.
    channel.tap = this.#host.newTap({ ch, what, command: text, hasTerminal: hasTerminal && what !== 'subsystem' })
    this.#sayRefusals(channel)
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
  dismiss(channel: RelayChannel, why: string): void {
    const { client } = this.#host
    const number = channel.client!
    this.#say(channel, why)
    client.send(exitStatus(number, refusedStatus))
    client.send(channelEof(number))
    client.send(channelClose(number))
    channel.isDismissed = true
  }

  #refusedQuietly(needed: Needed, what: string): string | null {
    const refusal = refusalOf(this.#host.role, needed, what)
    if (refusal !== null) this.#silent.add(refusal)
    return refusal
  }

  /** What was refused before anybody could be told is said at the terminal; programs that read this are left alone. */
  #sayRefusals(channel: RelayChannel): void {
    const refusals = this.#silent.take()
    if (channel.hasTerminal) for (const why of refusals) this.#say(channel, why)
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
}
