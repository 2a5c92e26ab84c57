import { SshReader } from '../../../../identity/ssh/wire.ts'
import type { SshFileOperation } from '../../../../recording/ssh-events.ts'
import type { OperationLog } from '../operation-log.ts'
import { NotUnderstood } from '../protocol-tap.ts'
import { shownText } from '../text.ts'
import { placeOf, readAttributes } from './attributes.ts'
import { Closing, Copying, Listing, Opening, OpeningFolder, Operation, refused, Transfer } from './awaited.ts'
import type { AwaitedOperation } from './awaited.ts'
import { readExtension } from './extensions.ts'
import { handleBytesMax } from './handles.ts'
import type { Handles } from './handles.ts'
import { OpenFile, OpenFolder } from './open-file.ts'
import type { PacketSink } from './packets.ts'
import type { Awaited, Pending } from './pending.ts'
import { packet } from './words.ts'

/** As much as OpenSSH takes. */
const requestBytesMax = 262_144
const writeBytesMax = 16_777_216
/** id, handle, offset, length of the data. */
const writeHeadBytes: number = 4 + 4 + handleBytesMax + 8 + 4

/** Reads what the client asks for, and the content that it writes. */
export class Requests implements PacketSink {
  readonly #log: OperationLog
  readonly #handles: Handles
  readonly #pending: Pending
  #hasBegun = false
  /** While a WRITE passes: what it writes, and how much of its data is to come. */
  #writing: Transfer | null = null
  #dataBytes = 0

  constructor(log: OperationLog, handles: Handles, pending: Pending) {
    this.#log = log
    this.#handles = handles
    this.#pending = pending
  }

  headBytes(type: number, bodyBytes: number): number {
    if (!this.#hasBegun && type !== packet.init) throw new NotUnderstood('It does not begin as SFTP does.')
    const bytesMax = type === packet.write ? writeBytesMax : requestBytesMax
    if (bodyBytes > bytesMax) throw new NotUnderstood(`An SFTP request has ${bodyBytes} bytes.`)
    return type === packet.write ? Math.min(bodyBytes, writeHeadBytes) : bodyBytes
  }

  head(type: number, head: Buffer): void {
    this.#hasBegun = true
    const fields = new SshReader(head)
    const number = fields.uint32()
    if (type === packet.init) return // and `number` is the highest version that the client knows
    this.#pending.add(number, type === packet.write ? this.#write(fields) : this.#request(type, fields))
    if (type === packet.write) this.rest(fields.rest())
  }

  rest(bytes: Buffer): void {
    if (this.#writing === null) return
    const data = bytes.length > this.#dataBytes ? bytes.subarray(0, this.#dataBytes) : bytes
    this.#dataBytes -= data.length
    this.#writing.data(data)
  }

  end(): void {
    if (this.#writing !== null && this.#dataBytes > 0) throw new NotUnderstood('An SFTP write is cut short.')
    this.#writing = null
  }

  #write(fields: SshReader): Awaited {
    const file = this.#handles.use(fields.string())
    const place = placeOf(fields)
    this.#dataBytes = fields.uint32()
    if (!(file instanceof OpenFile)) {
      this.#dataBytes = 0
      return refused
    }
    this.#writing = new Transfer(this.#handles, file, file.writes, place)
    return this.#writing
  }

  #request(type: number, fields: SshReader): Awaited {
    switch (type) {
      case packet.read:
        return this.#read(fields)
      case packet.open:
        return new Opening(this.#log, this.#handles, text(fields), fields.uint32())
      case packet.opendir:
        return new OpeningFolder(this.#log, this.#handles, text(fields))
      case packet.readdir: {
        const handle = this.#handles.find(fields.string())
        return handle instanceof OpenFolder ? new Listing(handle) : refused
      }
      case packet.close:
        return new Closing(this.#handles, this.#handles.closing(fields.string()))
      case packet.extended:
        return this.#extended(fields)
      default: {
        const operation = readOperation(type, fields, this.#handles) ?? unknownRequest(type)
        return new Operation(this.#log, operation, looks.has(operation.op))
      }
    }
  }

  #read(fields: SshReader): Awaited {
    const file = this.#handles.use(fields.string())
    return file instanceof OpenFile ? new Transfer(this.#handles, file, file.reads, placeOf(fields)) : refused
  }

  #extended(fields: SshReader): Awaited {
    const extension = readExtension(fields, this.#handles)
    if ('from' in extension) return new Copying(this.#log, this.#handles, extension)
    return new Operation(this.#log, extension.operation, extension.isLook)
  }
}

const looks: ReadonlySet<SshFileOperation> = new Set(['stat', 'realpath', 'readlink'])

function unknownRequest(type: number): AwaitedOperation {
  return { op: 'extended', path: `(request ${type})` }
}

/** Undefined for kinds that version 3 does not have. */
function readOperation(type: number, fields: SshReader, handles: Handles): AwaitedOperation | undefined {
  switch (type) {
    case packet.stat:
    case packet.lstat:
      return { op: 'stat', path: text(fields) }
    case packet.fstat:
      return { op: 'stat', path: handles.pathOf(fields.string()) }
    case packet.setstat:
      return { op: 'setstat', path: text(fields), set: readAttributes(fields) }
    case packet.fsetstat:
      return { op: 'setstat', path: handles.pathOf(fields.string()), set: readAttributes(fields) }
    case packet.remove:
      return { op: 'remove', path: text(fields) }
    case packet.mkdir:
      return { op: 'mkdir', path: text(fields) }
    case packet.rmdir:
      return { op: 'rmdir', path: text(fields) }
    case packet.realpath:
      return { op: 'realpath', path: text(fields) }
    case packet.readlink:
      return { op: 'readlink', path: text(fields) }
    case packet.rename:
      return { op: 'rename', path: text(fields), to: text(fields) }
    case packet.symlink: {
      // What it points at comes first: OpenSSH has it so, against the draft, and the others have followed.
      const to = text(fields)
      return { op: 'symlink', path: text(fields), to }
    }
    default:
      return undefined
  }
}

function text(fields: SshReader): string {
  return shownText(fields.string())
}
