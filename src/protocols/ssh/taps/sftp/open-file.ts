import { ContentHash } from '../content-hash.ts'
import type { EarlyRoom } from '../content-hash.ts'
import type { OperationLog } from '../operation-log.ts'
import { openFlag } from './words.ts'
import type { Outcome } from './words.ts'

/** What passed through one handle in one direction. */
export class Content {
  readonly hash: ContentHash
  bytes = 0
  requests = 0
  failure: string | undefined

  constructor(room: EarlyRoom) {
    this.hash = new ContentHash(room)
  }

  add(place: number, piece: Buffer): void {
    this.bytes += piece.length
    this.hash.add(place, piece)
  }

  outcome(outcome: Outcome): void {
    if (outcome.result !== 'ok' && !outcome.isEnd) this.failure ??= outcome.result
  }

  facts(): { bytes: number; sha256?: string } {
    const sha256 = this.hash.digest()
    return sha256 === undefined ? { bytes: this.bytes } : { bytes: this.bytes, sha256 }
  }
}

/** A handle, from the request that opens it until all is answered that was asked about it. */
abstract class Handle {
  path: string
  /** READ, WRITE and READDIR that wait for their replies. */
  waiting = 0
  protected readonly log: OperationLog
  protected begunMs: number
  #closeResult: string | undefined
  #isWritten = false

  constructor(log: OperationLog, path: string, begunMs: number) {
    this.log = log
    this.path = path
    this.begunMs = begunMs
  }

  /** Its CLOSE was answered. */
  closed(outcome: Outcome): void {
    this.#closeResult ??= outcome.result
    if (this.waiting === 0) this.#finish(this.#closeResult)
  }

  /** One of `waiting` was answered. */
  settled(): void {
    this.waiting -= 1
    if (this.waiting === 0 && this.#closeResult !== undefined) this.#finish(this.#closeResult)
  }

  /** The channel ended, or nothing more can come of it. */
  abandon(): void {
    this.#finish(this.#closeResult ?? 'unfinished')
  }

  #finish(result: string): void {
    if (this.#isWritten) return
    this.#isWritten = true
    this.write(result)
  }

  protected abstract write(result: string): void
}

/** From OPEN on. */
export class OpenFile extends Handle {
  readonly reads: Content
  readonly writes: Content
  /** The client used a handle before the target gave it away; null: what it stands for is not known (yet). */
  flags: number | null

  constructor(log: OperationLog, room: EarlyRoom, file: { path: string; flags: number | null; begunMs: number }) {
    super(log, file.path, file.begunMs)
    this.reads = new Content(room)
    this.writes = new Content(room)
    this.flags = file.flags
    this.#heedFlags()
  }

  /** Now it is known. */
  is(file: { path: string; flags: number; begunMs: number }): void {
    this.path = file.path
    this.flags = file.flags
    this.begunMs = file.begunMs
    this.#heedFlags()
  }

  /** The places of what is appended are the target's own. */
  #heedFlags(): void {
    if (((this.flags ?? 0) & openFlag.append) !== 0) this.writes.hash.giveUp()
  }

  protected write(result: string): void {
    const { log, path, begunMs, reads, writes } = this
    const isRead = reads.requests > 0
    const isWritten = writes.requests > 0 || opensToWrite(this.flags ?? 0, isRead)
    if (isWritten) {
      const facts = { ...writes.facts(), result: writes.failure ?? result }
      log.write({ op: 'write', path, direction: 'up', ...facts }, begunMs)
    }
    const isUnused = !isRead && !isWritten
    if (isRead || (isUnused && this.flags !== null)) {
      const facts = { ...reads.facts(), result: reads.failure ?? result }
      log.write({ op: 'read', path, direction: 'down', ...facts }, begunMs)
    }
    reads.hash.giveUp()
    writes.hash.giveUp()
  }
}

/** Whether a file that nothing was written to was opened for that, or changed by opening it. */
export function opensToWrite(flags: number, isRead: boolean): boolean {
  const changing = openFlag.create | openFlag.truncate | (isRead ? 0 : openFlag.write)
  return (flags & changing) !== 0
}

/** From OPENDIR on. */
export class OpenFolder extends Handle {
  #names = 0
  #failure: string | undefined

  listed(names: number, outcome: Outcome): void {
    this.#names += names
    if (outcome.result !== 'ok' && !outcome.isEnd) this.#failure ??= outcome.result
  }

  protected write(result: string): void {
    const { path, begunMs } = this
    this.log.write({ op: 'list', path, names: this.#names, result: this.#failure ?? result }, begunMs)
  }
}
