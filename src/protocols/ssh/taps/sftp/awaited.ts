import type { SshFileAttributes, SshFileOperation } from '../../../../recording/ssh-events.ts'
import type { OperationLog } from '../operation-log.ts'
import { isUnknown } from './handles.ts'
import type { Handles } from './handles.ts'
import { opensToWrite } from './open-file.ts'
import type { Content, OpenFile, OpenFolder } from './open-file.ts'
import type { Awaited, Reply } from './pending.ts'
import { unfinished } from './words.ts'

export interface AwaitedOperation {
  readonly op: SshFileOperation
  readonly path: string
  readonly to?: string
  readonly set?: SshFileAttributes
}

/** Written down when it is answered. */
export class Operation implements Awaited {
  readonly chars: number
  readonly #log: OperationLog
  readonly #operation: AwaitedOperation
  readonly #isLook: boolean
  readonly #begunMs: number

  /** @param isLook it changes nothing: a flood of these is counted. Where it leads to is in the reply. */
  constructor(log: OperationLog, operation: AwaitedOperation, isLook: boolean) {
    this.chars = operation.path.length + (operation.to?.length ?? 0)
    this.#log = log
    this.#operation = operation
    this.#isLook = isLook
    this.#begunMs = log.nowMs()
  }

  answered({ outcome, name }: Reply): void {
    const { result, kind } = outcome
    if (!this.#isLook) return this.#log.write({ ...this.#operation, result }, this.#begunMs)
    const to = name === undefined ? {} : { to: name }
    this.#log.look({ ...this.#operation, ...to, result }, this.#begunMs, kind)
  }

  unanswered(): void {
    this.answered({ outcome: unfinished })
  }
}

export class Opening implements Awaited {
  readonly chars: number
  readonly #log: OperationLog
  readonly #handles: Handles
  readonly #wanted: { readonly path: string; readonly flags: number; readonly begunMs: number }

  constructor(log: OperationLog, handles: Handles, path: string, flags: number) {
    this.chars = path.length
    this.#log = log
    this.#handles = handles
    this.#wanted = { path, flags, begunMs: log.nowMs() }
  }

  answered({ outcome, handle }: Reply): void {
    if (handle !== undefined) return this.#handles.file(handle, this.#wanted)
    const { path, flags, begunMs } = this.#wanted
    const isWrite = opensToWrite(flags, false)
    const direction = isWrite ? 'up' : 'down'
    this.#log.write({ op: isWrite ? 'write' : 'read', path, direction, result: outcome.result }, begunMs)
  }

  unanswered(): void {
    this.answered({ outcome: unfinished })
  }
}

export class OpeningFolder implements Awaited {
  readonly chars: number
  readonly #log: OperationLog
  readonly #handles: Handles
  readonly #path: string
  readonly #begunMs: number

  constructor(log: OperationLog, handles: Handles, path: string) {
    this.chars = path.length
    this.#log = log
    this.#handles = handles
    this.#path = path
    this.#begunMs = log.nowMs()
  }

  answered({ outcome, handle }: Reply): void {
    if (handle !== undefined) return this.#handles.folder(handle, this.#path, this.#begunMs)
    this.#log.write({ op: 'list', path: this.#path, result: outcome.result }, this.#begunMs)
  }

  unanswered(): void {
    this.answered({ outcome: unfinished })
  }
}

/** READ or WRITE. */
export class Transfer implements Awaited {
  readonly chars = 0
  readonly #handles: Handles
  readonly #file: OpenFile
  readonly #content: Content
  #place: number

  constructor(handles: Handles, file: OpenFile, content: Content, place: number) {
    this.#handles = handles
    this.#file = file
    this.#content = content
    this.#place = place
    content.requests += 1
    file.waiting += 1
  }

  data(bytes: Buffer): void {
    this.#content.add(this.#place, bytes)
    this.#place += bytes.length
  }

  answered({ outcome }: Reply): void {
    this.#content.outcome(outcome)
    this.#file.settled()
    if (this.#file.waiting > 0 || !isUnknown(this.#file)) return
    this.#handles.forget(this.#file)
    this.#file.abandon()
  }

  unanswered(): void {
    this.#file.abandon()
  }
}

export class Listing implements Awaited {
  readonly chars = 0
  readonly #folder: OpenFolder

  constructor(folder: OpenFolder) {
    this.#folder = folder
    folder.waiting += 1
  }

  answered({ outcome, names }: Reply): void {
    this.#folder.listed(names ?? 0, outcome)
    this.#folder.settled()
  }

  unanswered(): void {
    this.#folder.abandon()
  }
}

export class Closing implements Awaited {
  readonly chars = 0
  readonly #handles: Handles
  readonly #handle: OpenFile | OpenFolder
  readonly #wasUnknown: boolean

  constructor(handles: Handles, handle: OpenFile | OpenFolder) {
    this.#handles = handles
    this.#handle = handle
    this.#wasUnknown = isUnknown(handle)
  }

  answered({ outcome }: Reply): void {
    if (this.#wasUnknown) this.#handles.forget(this.#handle)
    this.#handle.closed(outcome)
  }

  unanswered(): void {
    this.#handle.abandon()
  }
}

/** Something that is nothing: READDIR of a file, READ of a folder. The target refuses it. */
export const refused: Awaited = { chars: 0, answered: () => undefined, unanswered: () => undefined }
