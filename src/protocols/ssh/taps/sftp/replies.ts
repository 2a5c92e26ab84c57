import { SshReader } from '../../../../identity/ssh/wire.ts'
import { NotUnderstood } from '../protocol-tap.ts'
import { shownText } from '../text.ts'
import { handleBytesMax } from './handles.ts'
import type { PacketSink } from './packets.ts'
import type { Awaited, Pending, Reply } from './pending.ts'
import { ok, outcomeOf, packet } from './words.ts'

const replyBytesMax = 16_777_216
const messageBytesMax = 256
/** id and what follows that is looked at: the rest of a NAME or a DATA passes by. */
const headBytesOf: Readonly<Record<number, number>> = {
  [packet.version]: 4,
  [packet.status]: 4 + 4 + 4 + messageBytesMax,
  [packet.handle]: 4 + 4 + handleBytesMax,
  [packet.data]: 4 + 4,
  [packet.name]: 4 + 4 + 4 + 4096,
  [packet.attributes]: 4,
  [packet.extendedReply]: 4,
}

/** Reads how requests ended, and the content that the target sends. */
export class Replies implements PacketSink {
  readonly #pending: Pending
  #hasBegun = false
  /** While a reply passes. */
  #request: Awaited | null = null
  #reply: Reply = { outcome: ok }
  #dataBytes = 0

  constructor(pending: Pending) {
    this.#pending = pending
  }

  headBytes(type: number, bodyBytes: number): number {
    if (!this.#hasBegun && type !== packet.version) throw new NotUnderstood('The target does not answer as SFTP does.')
    const headBytes = headBytesOf[type]
    if (headBytes === undefined) throw new NotUnderstood(`An SFTP reply is of kind ${type}.`)
    if (bodyBytes > replyBytesMax) throw new NotUnderstood(`An SFTP reply has ${bodyBytes} bytes.`)
    return Math.min(bodyBytes, headBytes)
  }

  head(type: number, head: Buffer): void {
    const fields = new SshReader(head)
    const number = fields.uint32()
    if (type === packet.version) return this.#version(number)
    const request = this.#pending.take(number)
    this.#request = request
    this.#reply = readReply(type, fields)
    if (type !== packet.data) return
    this.#dataBytes = fields.uint32()
    this.rest(fields.rest())
  }

  rest(bytes: Buffer): void {
    if (this.#dataBytes === 0) return
    const data = bytes.length > this.#dataBytes ? bytes.subarray(0, this.#dataBytes) : bytes
    this.#dataBytes -= data.length
    this.#request?.data?.(data)
  }

  end(): void {
    if (this.#dataBytes > 0) throw new NotUnderstood('An SFTP reply is cut short.')
    const request = this.#request
    this.#request = null
    request?.answered(this.#reply)
  }

  /** The channel ended, maybe in the middle of a reply. */
  finish(): void {
    this.#request?.unanswered()
    this.#request = null
  }

  #version(version: number): void {
    if (version !== 3) throw new NotUnderstood(`The target speaks version ${version} of SFTP.`)
    this.#hasBegun = true
  }
}

function readReply(type: number, fields: SshReader): Reply {
  switch (type) {
    case packet.status:
      return { outcome: outcomeOf(fields.uint32(), readText(fields)) }
    case packet.handle:
      // A copy: more of the reply may follow in another message.
      return { outcome: ok, handle: Buffer.from(fields.string()) }
    case packet.name: {
      const names = fields.uint32()
      return names === 0 ? { outcome: ok, names } : { outcome: ok, names, name: readText(fields) }
    }
    default:
      return { outcome: ok }
  }
}

/** Some servers leave a message out; of a long one not all is here. */
function readText(fields: SshReader): string {
  if (fields.left < 4) return ''
  const bytes = fields.uint32()
  return shownText(fields.bytes(Math.min(bytes, fields.left)))
}
