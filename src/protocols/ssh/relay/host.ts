import type { Recorder } from '../../../recording/recorder.ts'
import type { SshRole } from '../../../resources/catalogue.ts'
import type { ChannelTap } from '../tap.ts'
import type { Transport } from '../transport.ts'
import type { Channels, RelayChannel } from './channel.ts'
import type { Replies } from './replies.ts'

export interface TapWish {
  readonly ch: number
  readonly what: 'shell' | 'exec' | 'subsystem' | 'forward'
  readonly command: string
  readonly hasTerminal: boolean
}

/** What the two directions of a relay share. */
export interface RelayHost {
  readonly client: Transport
  readonly target: Transport
  readonly role: SshRole
  readonly recorder: Recorder
  readonly channels: Channels
  /** To the client's global requests. */
  readonly globalReplies: Replies
  /** Addresses that the target listens on for the client (`-R`). */
  readonly listening: Set<string>
  /** The client asked for its agent to be reachable, and may. */
  agentWanted: boolean
  newTap(wish: TapWish): ChannelTap
  /** Something was recorded of what `by` sent: that one rests when the disk cannot follow. */
  recorded(by: 'client' | 'target' | 'both'): void
  /** Both ends have closed it, or its opening failed. */
  channelOver(channel: RelayChannel): void
}
