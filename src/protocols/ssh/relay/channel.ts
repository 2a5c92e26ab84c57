import type { SshChannelKind } from '../../../recording/ssh-events.ts'
import type { ChannelTap } from '../tap.ts'
import { Replies } from './replies.ts'
import type { Voice } from './voice.ts'

/** More at once on one connection is refused, whoever opens them; OpenSSH's own limit on sessions is 10. */
export const channelsMax = 1000

/** One channel through the gateway. Both ends know it by their own numbers; messages carry the receiver's. */
export class RelayChannel {
  /** Its number in the recording. */
  readonly ch: number
  readonly kind: SshChannelKind
  /** What messages to the client, and to the target, carry; null until that end has confirmed. */
  client: number | null = null
  target: number | null = null
  /** For words of the gate; only on session channels. */
  readonly voice: Voice | null
  /** To the client's requests. */
  readonly replies: Replies
  tap: ChannelTap | null = null
  hasTerminal = false
  /** A shell, command or subsystem was asked for. */
  isRunning = false
  isSubsystem = false
  /** The target would not run what was asked for. */
  hasFailed = false
  hasExited = false
  clientClosed = false
  targetClosed = false
  /** The gate has closed it towards the client: nothing passes any more, but the client's own close. */
  isDismissed = false
  /** What waits for its number. */
  onOver: (() => void) | null = null
  bytesUp = 0
  bytesDown = 0

  constructor(ch: number, kind: SshChannelKind, voice: Voice | null, reply: (reply: Buffer) => void) {
    this.ch = ch
    this.kind = kind
    this.voice = voice
    this.replies = new Replies(reply)
  }

  get isOver(): boolean {
    return this.clientClosed && this.targetClosed
  }
}

/** The channels of one connection, found by the numbers that messages carry. */
export class Channels {
  readonly #byClient = new Map<number, RelayChannel>()
  readonly #byTarget = new Map<number, RelayChannel>()
  #opened = 0

  /** The channel's number in the recording. */
  next(): number {
    return ++this.#opened
  }

  get count(): number {
    return new Set([...this.#byClient.values(), ...this.#byTarget.values()]).size
  }

  all(): readonly RelayChannel[] {
    return [...new Set([...this.#byClient.values(), ...this.#byTarget.values()])]
  }

  /** By the number that messages to the client carry. */
  ofClient(number: number): RelayChannel | undefined {
    return this.#byClient.get(number)
  }

  /** By the number that messages to the target carry. */
  ofTarget(number: number): RelayChannel | undefined {
    return this.#byTarget.get(number)
  }

  /** False: the client has another channel with this number. */
  nameForClient(channel: RelayChannel, number: number): boolean {
    if (this.#byClient.has(number)) return false
    channel.client = number
    this.#byClient.set(number, channel)
    return true
  }

  /** False: the target has another channel with this number. */
  nameForTarget(channel: RelayChannel, number: number): boolean {
    if (this.#byTarget.has(number)) return false
    channel.target = number
    this.#byTarget.set(number, channel)
    return true
  }

  remove(channel: RelayChannel): void {
    if (channel.client !== null) this.#byClient.delete(channel.client)
    if (channel.target !== null) this.#byTarget.delete(channel.target)
  }
}
