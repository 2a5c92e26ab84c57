import type { ChannelTap } from '../../tap.ts'
import { EarlyRoom } from '../content-hash.ts'
import { OperationLog } from '../operation-log.ts'
import type { TapOptions } from '../options.ts'
import { ProtocolTap } from '../protocol-tap.ts'
import type { ProtocolWatch } from '../protocol-tap.ts'
import { Handles } from './handles.ts'
import { PacketWalk } from './packets.ts'
import { Pending } from './pending.ts'
import { Replies } from './replies.ts'
import { Requests } from './requests.ts'

/** Content that clients read or write before its turn waits for the hash in so much room. */
const earlyBytesMax = 8_388_608

/**
 * Records SFTP as file operations: content passes through its hash and is not kept.
 * @see draft-ietf-secsh-filexfer-02, which is version 3
 */
export function sftpTap(options: TapOptions): ChannelTap {
  return new ProtocolTap(options, new SftpWatch(options))
}

class SftpWatch implements ProtocolWatch {
  readonly #log: OperationLog
  readonly #handles: Handles
  readonly #pending: Pending
  readonly #replies: Replies
  readonly #up: PacketWalk
  readonly #down: PacketWalk

  constructor(options: TapOptions) {
    this.#log = new OperationLog(options)
    this.#handles = new Handles(this.#log, new EarlyRoom(earlyBytesMax))
    this.#pending = new Pending()
    this.#replies = new Replies(this.#pending)
    this.#up = new PacketWalk(new Requests(this.#log, this.#handles, this.#pending))
    this.#down = new PacketWalk(this.#replies)
  }

  up(bytes: Buffer): void {
    this.#up.feed(bytes)
  }

  down(bytes: Buffer): void {
    this.#down.feed(bytes)
  }

  heldUp(): readonly Buffer[] {
    return this.#up.held()
  }

  heldDown(): readonly Buffer[] {
    return this.#down.held()
  }

  finish(): void {
    this.#replies.finish()
    for (const request of this.#pending.takeAll()) request.unanswered()
    this.#handles.abandonAll()
    this.#log.close()
  }
}
