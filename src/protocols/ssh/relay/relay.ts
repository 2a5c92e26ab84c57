import { asFault, Fault } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Clock } from '../../../kernel/time.ts'
import type { SshRole } from '../../../resources/catalogue.ts'
import type { Admission } from '../../../sessions/admission.ts'
import type { SessionEnd } from '../../../sessions/session.ts'
import { announceEnds } from '../../../sessions/announce-ends.ts'
import { cutText } from '../../../sessions/words.ts'
import type { AdoptedChannel } from '../conversation.ts'
import type { ChannelTap } from '../tap.ts'
import { PeerLeft, type Transport } from '../transport.ts'
import { asciiLine } from '../texts.ts'
import { adopt } from './adopt.ts'
import { Channels, type RelayChannel } from './channel.ts'
import { dismissTarget, noteEnds } from './dismiss-target.ts'
import { FromClient } from './from-client.ts'
import { FromTarget } from './from-target.ts'
import type { RelayHost, TapWish } from './host.ts'
import { channelClose, channelEof, exitStatus, message, recipientOf, stderrData } from './messages.ts'
import { record } from './record.ts'
import { Replies } from './replies.ts'

export interface RelayParts {
  readonly client: Transport
  readonly target: Transport
  readonly admission: Admission
  readonly role: SshRole
  readonly clock: Clock
  readonly log: Log
  readonly newTap: (wish: TapWish) => ChannelTap
  /** A channel that the menu had opened. */
  readonly adopted: AdoptedChannel | null
}

export type RelayEnd = Pick<SessionEnd, 'by' | 'bytesFromClient' | 'bytesFromTarget'> & { readonly error?: unknown }

/** As ssh itself ends when it fails. */
const cutStatus = 255
/** A client that does not close its channels is told to disconnect after this. */
const closingMs = 250
/** What a target said last before it hung up waits so long for a client that takes it slowly. */
const takingMs = 30_000
/** A client that does not read its goodbye is hung up on after this. */
const goodbyeMs = 1000

/**
 * The life of a session from "authenticated" to its end: messages pass between two transports as they are, with the
 * numbers of both ends' channels and their windows; so how fast one may send is what the other end takes.
 */
export class Relay implements RelayHost {
  readonly client: Transport
  readonly target: Transport
  readonly role: SshRole
  readonly recorder: Admission['recorder']
  readonly channels = new Channels()
  readonly globalReplies: Replies
  readonly listening = new Set<string>()
  agentWanted = false
  readonly #parts: RelayParts
  readonly #over = Promise.withResolvers<RelayEnd>()
  readonly #warnings: Disposable
  #phase: 'open' | 'over' = 'open'
  readonly #resting = new Set<Transport>()
  #bytesUp = 0
  #bytesDown = 0

  constructor(parts: RelayParts) {
    const { client, target, admission, role } = parts
    this.#parts = parts
    this.client = client
    this.target = target
    this.role = role
    this.recorder = admission.recorder
    this.globalReplies = new Replies((reply) => client.send(reply))
    this.#warnings = announceEnds(admission, (text) => this.#say(text))
  }

  /**
   * @returns when the session is over, and the client has been told what there was to tell; what ran at the target by
   * its own `dismissed`. Never rejects.
   */
  run(): Promise<RelayEnd> {
    const { client, target } = this
    const { admission } = this.#parts
    client.gone.addEventListener('abort', this.#clientGone, { once: true })
    target.gone.addEventListener('abort', this.#targetGone, { once: true })
    admission.cutOff.addEventListener('abort', this.#cutOff, { once: true })
    if (admission.cutOff.aborted) this.#cutOff()
    else if (client.gone.aborted) this.#clientGone()
    else if (target.gone.aborted) this.#targetGone()
    else this.#start()
    return this.#over.promise
  }

  /** Resolves when nothing of it goes on at the target, as far as SSH can see to that. */
  dismissed: Promise<void> = Promise.resolve()

  newTap(wish: TapWish): ChannelTap {
    return this.#parts.newTap(wish)
  }

  recorded(by: 'client' | 'target' | 'both'): void {
    if (!this.recorder.full || this.#phase === 'over') return
    // Whoever records nothing goes on: the client, for one, opens the windows of a download.
    if (by !== 'client') this.#rest(this.target)
    if (by !== 'target') this.#rest(this.client)
  }

  #rest(end: Transport): void {
    if (this.#resting.has(end)) return
    this.#resting.add(end)
    end.pause()
    // When it rejects, the gate cuts the session for RECORDING_FAILED.
    void this.recorder
      .drained()
      .catch(() => undefined)
      .finally(() => {
        this.#resting.delete(end)
        end.resume()
      })
  }

  channelOver(channel: RelayChannel): void {
    this.channels.remove(channel)
    this.#closeTap(channel)
  }

  #start(): void {
    const fromClient = new FromClient(this)
    const fromTarget = new FromTarget(this)
    const { adopted } = this.#parts
    const towardsClient = new Pace(this.target, this.client)
    const towardsTarget = new Pace(this.client, this.target)
    const hear = (take: (bytes: Buffer) => void) => {
      this.target.onMessage = (bytes) => {
        take(bytes)
        towardsClient.keep()
      }
    }
    const listen = (take: (bytes: Buffer) => void) => {
      this.client.onMessage = (bytes) => {
        take(bytes)
        towardsTarget.keep()
      }
    }
    hear((bytes) => fromTarget.take(bytes))
    if (adopted === null) listen((bytes) => fromClient.take(bytes))
    else adopt(adopted, this, { fromClient, fromTarget, listen, hear })
  }

  /** To everybody who sits at a terminal. */
  #say(text: string): void {
    if (this.#phase === 'over') return
    record(this.recorder, 'm', { kind: 'warning', text })
    const bytes = Buffer.from(`\r\ncurfew: ${text}\r\n`)
    for (const channel of this.channels.all()) {
      if (channel.hasTerminal && channel.isRunning && !channel.isDismissed && !channel.clientClosed) {
        this.#speak(channel, bytes)
      }
    }
  }

  #speak({ client, voice }: RelayChannel, bytes: Buffer): void {
    if (client !== null && voice?.speak(bytes.length) === true) this.client.send(stderrData(client, bytes))
  }

  readonly #cutOff = (): void => {
    const reason: unknown = this.#parts.admission.cutOff.reason
    this.#cut(asFault(reason) ?? new Fault('KILLED', 'The session was ended.', { cause: reason }))
  }

  /** First pass: nothing more is forwarded, and the person is told. The gate calls for the second when all were told. */
  #cut(fault: Fault): void {
    if (!this.#stop()) return
    noteEnds(this.target, this.channels)
    const { admission } = this.#parts
    const text = asciiLine(cutText(fault))
    for (const channel of this.channels.all()) this.#tell(channel, text)
    this.#leaveClient(text)
    // What is written in this turn goes to the system when it is over.
    process.nextTick(() => admission.told())
    admission.afterTold(() => {
      record(this.recorder, 'm', { kind: 'cut', text, code: fault.code })
      this.dismissed = dismissTarget(this.target, this.channels.all(), this.#parts)
      this.#finish({ by: 'gate', error: fault })
    })
  }

  /** One line on standard error of what runs, an exit status, and the channel is closed. */
  #tell(channel: RelayChannel, text: string): void {
    const { client, isDismissed, clientClosed, isRunning, hasTerminal, hasExited } = channel
    if (client === null || channel.target === null || isDismissed || clientClosed) return
    if (isRunning) {
      this.#speak(channel, Buffer.from(hasTerminal ? `\r\ncurfew: ${text}\r\n` : `curfew: ${text}\n`))
      if (!hasExited) this.client.send(exitStatus(client, cutStatus))
    }
    this.client.send(channelEof(client))
    this.client.send(channelClose(client))
  }

  /**
   * ssh throws away what it has not printed yet when it is told to disconnect, so that comes last: when the client has
   * closed its channels, or does not.
   */
  #leaveClient(text: string): void {
    const { client } = this
    const running = new Set(
      this.channels
        .all()
        .filter((channel) => channel.isRunning && !channel.clientClosed)
        .map((channel) => channel.target),
    )
    const leave = () => {
      client.disconnect('BY_APPLICATION', text)
      this.#hangUpLater()
    }
    if (running.size === 0) return leave()
    const timer = this.#parts.clock.after(closingMs, leave)
    client.gone.addEventListener('abort', () => timer.cancel(), { once: true })
    client.onMessage = (bytes) => {
      if (bytes[0] !== message.channelClose) return
      running.delete(recipientOf(bytes))
      if (running.size > 0) return
      timer.cancel()
      leave()
    }
  }

  #hangUpLater(): void {
    const { client } = this
    const timer = this.#parts.clock.after(goodbyeMs, () => client.destroy())
    client.gone.addEventListener('abort', () => timer.cancel(), { once: true })
  }

  readonly #clientGone = (): void => this.#endBy('client', this.client.gone.reason)

  /** What it said last is on its way: a client that takes it slowly gets it, as it would without a gateway. */
  readonly #targetGone = (): void => {
    const { client, target } = this
    client.onMessage = ignore
    const late = Promise.withResolvers<void>()
    const timer = this.#parts.clock.after(takingMs, late.resolve)
    void Promise.race([client.taken(), late.promise]).then(() => {
      timer.cancel()
      this.#endBy('target', target.gone.reason)
    })
  }

  #endBy(by: 'client' | 'target', error: unknown): void {
    if (!this.#stop()) return
    if (by === 'target') {
      const { resource } = this.#parts.admission.session
      this.client.disconnect('CONNECTION_LOST', `curfew: ${resource} ended the connection.`)
      this.#hangUpLater()
    } else this.target.disconnect('BY_APPLICATION', 'the client has hung up')
    this.#finish({ by, error: error instanceof PeerLeft ? undefined : error })
  }

  #stop(): boolean {
    if (this.#phase === 'over') return false
    this.#phase = 'over'
    this.client.onMessage = ignore
    this.target.onMessage = ignore
    this.#warnings[Symbol.dispose]()
    this.#parts.admission.cutOff.removeEventListener('abort', this.#cutOff)
    return true
  }

  #finish(end: Pick<RelayEnd, 'by' | 'error'>): void {
    for (const channel of this.channels.all()) this.#closeTap(channel)
    const bytes = { bytesFromClient: this.#bytesUp, bytesFromTarget: this.#bytesDown }
    this.#over.resolve(end.error === undefined ? { by: end.by, ...bytes } : { ...end, ...bytes })
  }

  #closeTap(channel: RelayChannel): void {
    const { ch, tap, bytesUp, bytesDown } = channel
    channel.tap = null
    this.#bytesUp += bytesUp
    this.#bytesDown += bytesDown
    tap?.close()
    record(this.recorder, 'end', { ch, bytesUp, bytesDown, ...tap?.summary?.() })
    this.recorded('both')
  }
}

function ignore(): void {}

/** What one end may send before others have their turn: far more than an hour of typing, or a MiB of a transfer, takes. */
const messagesPerTurn = 256

/**
 * Who sends to somebody that does not take it rests until it is taken; and who sends very many messages rests for a turn
 * of the event loop, which would else read on and on from one connection while it has something.
 */
class Pace {
  readonly #from: Transport
  readonly #to: Transport
  #isResting = false
  #messages = 0

  constructor(from: Transport, to: Transport) {
    this.#from = from
    this.#to = to
    to.onDrain = () => {
      if (!this.#isResting) return
      this.#isResting = false
      from.resume()
    }
  }

  keep(): void {
    this.#messages += 1
    if (this.#messages === messagesPerTurn) this.#yield()
    if (this.#isResting || !this.#to.congested) return
    this.#isResting = true
    this.#from.pause()
  }

  #yield(): void {
    this.#from.pause()
    setImmediate(() => {
      this.#messages = 0
      this.#from.resume()
    })
  }
}
