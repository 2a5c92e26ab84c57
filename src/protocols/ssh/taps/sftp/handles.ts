import type { EarlyRoom } from '../content-hash.ts'
import type { OperationLog } from '../operation-log.ts'
import { NotUnderstood } from '../protocol-tap.ts'
import { OpenFile, OpenFolder } from './open-file.ts'

const handlesMax = 4096
/** @see draft-ietf-secsh-filexfer-02 section 6.3 */
export const handleBytesMax = 256

/** What is open, by the target's names for it. */
export class Handles {
  readonly #open = new Map<string, OpenFile | OpenFolder>()
  /** Those that were used before anybody knew them, and whose CLOSE was asked for. */
  readonly #ending = new Set<OpenFile | OpenFolder>()
  /** Of these, those that were used again: that may be about the next file with this name. */
  readonly #reused = new Set<OpenFile | OpenFolder>()
  readonly #log: OperationLog
  readonly #room: EarlyRoom

  constructor(log: OperationLog, room: EarlyRoom) {
    this.#log = log
    this.#room = room
  }

  /** The target gave `name` away for this file. */
  file(name: Buffer, file: { path: string; flags: number; begunMs: number }): void {
    const key = keyOf(name)
    const used = this.#open.get(key)
    if (used instanceof OpenFile && used.flags === null) {
      if (this.#reused.has(used)) {
        this.#writeUnfinished(file)
        throw twice()
      }
      return used.is(file)
    }
    this.#put(key, new OpenFile(this.#log, this.#room, file))
  }

  folder(name: Buffer, path: string, begunMs: number): void {
    this.#put(keyOf(name), new OpenFolder(this.#log, path, begunMs))
  }

  find(name: Buffer): OpenFile | OpenFolder | undefined {
    return this.#open.get(keyOf(name))
  }

  /**
   * What a transfer is about. A name that was not given away (yet) stands for a file that nobody knows, until
   * `forget`.
   */
  use(name: Buffer): OpenFile | OpenFolder {
    const key = keyOf(name)
    const known = this.#open.get(key)
    if (known !== undefined) {
      if (this.#ending.has(known)) this.#useAgain(known)
      return known
    }
    const unknown = new OpenFile(this.#log, this.#room, {
      path: shown(name),
      flags: null,
      begunMs: this.#log.nowMs(),
    })
    this.#put(key, unknown)
    return unknown
  }

  pathOf(name: Buffer): string {
    return this.find(name)?.path ?? shown(name)
  }

  /**
   * CLOSE was asked for. From here on the name may be given away again; one that nobody knows stays until the
   * target answers, because it may be given away only now.
   */
  closing(name: Buffer): OpenFile | OpenFolder {
    const handle = this.use(name)
    if (isUnknown(handle)) this.#ending.add(handle)
    else this.#open.delete(keyOf(name))
    return handle
  }

  /** Nothing waits any more for one that nobody knows: it never was one, or it is over. */
  forget(handle: OpenFile | OpenFolder): void {
    if (this.#reused.has(handle) && handle.waiting > 0) return
    this.#reused.delete(handle)
    this.#ending.delete(handle)
    for (const [key, open] of this.#open) if (open === handle) this.#open.delete(key)
  }

  abandonAll(): void {
    for (const handle of this.#open.values()) handle.abandon()
    this.#open.clear()
  }

  /** What passed through it is not known. */
  #writeUnfinished(wanted: { path: string; flags: number; begunMs: number }): void {
    const file = new OpenFile(this.#log, this.#room, wanted)
    for (const { hash } of [file.reads, file.writes]) hash.giveUp()
    file.abandon()
  }

  #useAgain(handle: OpenFile | OpenFolder): void {
    if (!isUnknown(handle)) throw twice()
    this.#reused.add(handle)
  }

  #put(key: string, handle: OpenFile | OpenFolder): void {
    this.#open.get(key)?.abandon()
    this.#open.set(key, handle)
    if (this.#open.size > handlesMax) throw new NotUnderstood('Too many SFTP handles are open.')
  }
}

export function isUnknown(handle: OpenFile | OpenFolder): boolean {
  return handle instanceof OpenFile && handle.flags === null
}

function twice(): NotUnderstood {
  return new NotUnderstood('A guessed SFTP handle is used behind its end.')
}

function keyOf(name: Buffer): string {
  if (name.length > handleBytesMax) throw new NotUnderstood('An SFTP handle is too long.')
  return name.toString('latin1')
}

function shown(name: Buffer): string {
  return `(handle ${name.toString('hex', 0, 16)})`
}
