import type { SshFileAttributes, SshFileOperation } from '../../../../recording/ssh-events.ts'
import type { OperationLog } from '../operation-log.ts'
import { isUnknown } from './handles.ts'
import type { Handles } from './handles.ts'
import type { Copy } from './extensions.ts'
import { OpenFile, opensToWrite } from './open-file.ts'
import type { Content, OpenFolder } from './open-file.ts'
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
    settle(this.#handles, this.#file)
  }

  unanswered(): void {
    this.#file.abandon()
  }
}

/** Its files may be known only when it is answered. What is copied into has no hash of what the client wrote. */
export class Copying implements Awaited {
  readonly chars = 0
  readonly #log: OperationLog
  readonly #handles: Handles
  readonly #copy: Copy
  readonly #begunMs: number

  constructor(log: OperationLog, handles: Handles, copy: Copy) {
    this.#log = log
    this.#handles = handles
    this.#copy = copy
    this.#begunMs = log.nowMs()
    for (const file of [copy.from, copy.to]) file.waiting += 1
    if (copy.to instanceof OpenFile) copy.to.writes.hash.giveUp()
  }

  answered({ outcome }: Pick<Reply, 'outcome'>): void {
    const { from, to } = this.#copy
    this.#log.write({ op: 'copy', path: from.path, to: to.path, result: outcome.result }, this.#begunMs)
    for (const file of [from, to]) settle(this.#handles, file)
  }

  unanswered(): void {
    this.answered({ outcome: unfinished })
  }
}

/** One of what waits for it was answered; one that nobody knows is not waited for any longer. */
function settle(handles: Handles, file: OpenFile | OpenFolder): void {
  file.settled()
  if (file.waiting > 0 || !isUnknown(file)) return
  handles.forget(file)
  file.abandon()
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
