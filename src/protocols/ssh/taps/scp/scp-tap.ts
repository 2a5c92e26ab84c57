import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { ChannelTap } from '../../tap.ts'
import { OperationLog } from '../operation-log.ts'
import type { TapOptions } from '../options.ts'
import type { ScpCommand } from '../plain-command.ts'
import { NotUnderstood, ProtocolTap } from '../protocol-tap.ts'
import type { ProtocolWatch } from '../protocol-tap.ts'
import { Answers } from './answers.ts'
import type { Answer } from './answers.ts'
import { ScpPaths } from './paths.ts'
import type { ScpPath } from './paths.ts'
import { Sender } from './sender.ts'
import type { SenderEvents } from './sender.ts'

/** Records the old protocol of scp as file operations: content passes through its hash and is not kept. */
export function scpTap(options: TapOptions & { readonly command: ScpCommand }): ChannelTap {
  return new ProtocolTap(options, new ScpWatch(options, options.command))
}

/** Receivers may answer before they are asked (a client that sends zeros ahead). */
const answersMax = 65_536
/** Of a folder's path; longer than systems allow. Each file within repeats it in the recording. */
const folderCharsMax = 8192
const unanswered: Answer = { isOk: true, result: 'unfinished' }

interface PassingFile {
  readonly where: ScpPath
  readonly hash: Hash
  readonly begunMs: number
  bytes: number
  failure?: string
}

class ScpWatch implements ProtocolWatch, SenderEvents {
  readonly #isUp: boolean
  readonly #log: OperationLog
  readonly #paths: ScpPaths
  readonly #sender: Sender
  readonly #answers: Answers
  /** Answers of the client that came before what they answer. */
  readonly #early: Answer[] = []
  #file: PassingFile | null = null
  #folder: { readonly name: string; readonly begunMs: number } | null = null

  constructor(options: TapOptions, command: ScpCommand) {
    this.#isUp = command.direction === 'up'
    this.#log = new OperationLog(options)
    this.#paths = new ScpPaths(command)
    this.#sender = new Sender(this)
    this.#answers = new Answers((answer) => this.#answered(answer))
  }

  up(bytes: Buffer): void {
    if (this.#isUp) this.#send(bytes)
    else this.#answers.feed(bytes)
  }

  down(bytes: Buffer): void {
    if (this.#isUp) this.#answers.feed(bytes)
    else this.#send(bytes)
  }

  heldUp(): readonly Buffer[] {
    return this.#isUp ? this.#sender.held() : this.#answers.held()
  }

  heldDown(): readonly Buffer[] {
    return this.#isUp ? this.#answers.held() : this.#sender.held()
  }

  /** What a sender sent without waiting may still have been carried out: it is read as if all had been answered. */
  finish(): void {
    try {
      while (this.#sender.awaitsAnswer && this.#sender.hasDeferred) this.#take(unanswered)
    } finally {
      if (this.#file !== null) this.#fileOver('unfinished')
      if (this.#folder !== null) this.#folderAnswered(unanswered)
    }
  }

  file(name: string): void {
    this.#file = {
      where: this.#paths.of(name),
      hash: createHash('sha256'),
      begunMs: this.#log.nowMs(),
      bytes: 0,
    }
  }

  content(bytes: Buffer): void {
    const file = this.#file!
    file.bytes += bytes.length
    file.hash.update(bytes)
  }

  fileEnd(failure: string | undefined): void {
    if (failure !== undefined) this.#file!.failure = failure
  }

  folder(name: string): void {
    if (this.#paths.of(name).path.length > folderCharsMax) throw new NotUnderstood('The path of a folder is too long.')
    this.#folder = { name, begunMs: this.#log.nowMs() }
  }

  folderEnd(): void {
    this.#paths.leave()
  }

  error(words: string): void {
    const kind = this.#isUp ? ({ op: 'write', direction: 'up' } as const) : ({ op: 'read', direction: 'down' } as const)
    this.#log.write({ ...kind, path: this.#paths.given, result: words }, this.#log.nowMs())
  }

  #send(bytes: Buffer): void {
    this.#sender.feed(bytes)
    this.#takeEarly()
  }

  /** The target's answers are to what the client said; the client's count for what the target says next. */
  #answered(answer: Answer): void {
    if (this.#sender.awaitsAnswer) {
      this.#take(answer)
      this.#takeEarly()
    } else if (!this.#isUp) {
      this.#early.push(answer)
      if (this.#early.length > answersMax) throw new NotUnderstood('Too many answers of SCP to nothing.')
    } else if (answer.isOk) {
      throw new NotUnderstood('An answer of SCP to nothing.')
    } else this.error(answer.result)
  }

  #takeEarly(): void {
    while (this.#early.length > 0 && this.#sender.awaitsAnswer) this.#take(this.#early.shift()!)
  }

  #take(answer: Answer): void {
    const said = this.#sender.answered(answer)
    if (said === 'file' && !answer.isOk) this.#fileOver(answer.result)
    else if (said === 'fileEnd') this.#fileOver(answer.result)
    else if (said === 'folder') this.#folderAnswered(answer)
    else if (!answer.isOk) this.error(answer.result)
    this.#sender.resume()
  }

  #fileOver(result: string): void {
    const { where, hash, begunMs, bytes, failure } = this.#file!
    this.#file = null
    const kind = this.#isUp ? ({ op: 'write', direction: 'up' } as const) : ({ op: 'read', direction: 'down' } as const)
    const facts = { bytes, sha256: hash.digest('hex'), result: failure ?? result }
    this.#log.write({ ...kind, ...where, ...facts }, begunMs)
  }

  /** A folder is entered only when the receiver has made it, or has it. */
  #folderAnswered({ isOk, result }: Answer): void {
    const { name, begunMs } = this.#folder!
    this.#folder = null
    if (this.#isUp) this.#log.write({ op: 'mkdir', ...this.#paths.of(name), result }, begunMs)
    if (isOk) this.#paths.enter(name)
  }
}
