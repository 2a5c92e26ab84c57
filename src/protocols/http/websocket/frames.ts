import { Fault } from '../../../kernel/fault.ts'

/** RFC 6455 section 5.2. Those from 8 on are of control frames, which may stand between the fragments of a message. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export function isControl(opcode: number): boolean {
  return opcode >= opcodes.close
}

/** Takes part in a walk over frames. Called for every frame, so nothing here may allocate. */
export interface FrameTap {
  /**
   * `bytes` more of a frame's payload have passed: once for a frame that came in one chunk, else once per chunk.
   * @param fin it is the last frame of its message.
   * @param whole the frame is over with them.
   */
  passed(fin: boolean, opcode: number, bytes: number, whole: boolean): void
}

/** Control frames carry no more (RFC 6455 section 5.5). */
const controlBytesMax = 125
/** Two bytes, eight of extended length, four of the masking key. */
const headerBytesMax = 14

/**
 * Walks over the frames of one direction (RFC 6455 section 5.2) without copying or unmasking anything: reads the header,
 * then counts `remaining` down. It copies only headers that are split over chunks.
 * The three reserved bits are between the endpoints, who alone know which extensions they agreed on.
 */
export class FrameWalker {
  /** Offset in the last chunk just behind its last whole frame; -1 if no frame ended in it. */
  boundary = -1
  readonly #masked: boolean
  readonly #tap: FrameTap
  /** Of a header that is split over chunks; null when none is. */
  #header: Buffer | null = null
  #headerBytes = 0
  #remaining = 0
  #fin = true
  #opcode = 0
  /** Between the first frame of a message and its last. */
  #inMessage = false

  /** @param masked which frames are expected: a client masks each, a server none (RFC 6455 section 5.1). */
  constructor(masked: boolean, tap: FrameTap) {
    this.#masked = masked
    this.#tap = tap
  }

  /** No frame is half passed. */
  get atBoundary(): boolean {
    return this.#remaining === 0 && this.#headerBytes === 0
  }

  /**
   * @throws Fault PROTOCOL_VIOLATION for a header that cannot be. `boundary` then tells where in the chunk the last frame
   * before it ended, and the walker is of no use any more.
   */
  walk(chunk: Buffer): void {
    this.boundary = -1
    let at = 0
    while (at < chunk.length) {
      at = this.#remaining > 0 ? this.#passPayload(chunk, at) : this.#passHeader(chunk, at)
      if (this.#remaining === 0 && this.#headerBytes === 0) this.boundary = at
    }
  }

  #passHeader(chunk: Buffer, from: number): number {
    if (this.#headerBytes === 0) {
      const left = chunk.length - from
      const bytes = left < 2 ? headerBytesMax : this.#headerLength(chunk[from]!, chunk[from + 1]!)
      if (bytes <= left) {
        this.#begin(chunk, from)
        return from + bytes
      }
    }
    return this.#gatherHeader(chunk, from)
  }

  /** Byte by byte: this happens at the end of few chunks, and what is wrong is seen as soon as it can be. */
  #gatherHeader(chunk: Buffer, from: number): number {
    const header = (this.#header ??= Buffer.allocUnsafeSlow(headerBytesMax))
    let at = from
    while (at < chunk.length) {
      header[this.#headerBytes++] = chunk[at++]!
      if (this.#headerBytes < 2 || this.#headerBytes < this.#headerLength(header[0]!, header[1]!)) continue
      this.#headerBytes = 0
      this.#header = null
      this.#begin(header, 0)
      break
    }
    return at
  }

  /** @returns bytes of the header that begins with these two. @throws Fault PROTOCOL_VIOLATION */
  #headerLength(first: number, second: number): number {
    this.#check((first & 0x80) !== 0, first & 0x0f, (second & 0x80) !== 0, second & 0x7f)
    const form = second & 0x7f
    const extendedBytes = form < 126 ? 0 : form === 126 ? 2 : 8
    return 2 + extendedBytes + (this.#masked ? 4 : 0)
  }

  #check(fin: boolean, opcode: number, masked: boolean, form: number): void {
    if (masked !== this.#masked) throw violation(masked ? 'masked by the server' : 'not masked by the client')
    if (opcode > opcodes.pong || (opcode > opcodes.binary && opcode < opcodes.close)) {
      throw violation(`of the reserved opcode ${opcode}`)
    }
    if (isControl(opcode)) {
      if (!fin) throw violation('of control, but fragmented')
      if (form > controlBytesMax) throw violation('of control, but too long')
    } else if (this.#inMessage !== (opcode === opcodes.continuation)) {
      throw violation(this.#inMessage ? 'of a new message within another' : 'that continues no message')
    }
  }

  /** @param header has all its bytes from `from` on, and was checked. */
  #begin(header: Buffer, from: number): void {
    this.#fin = (header[from]! & 0x80) !== 0
    this.#opcode = header[from]! & 0x0f
    if (!isControl(this.#opcode)) this.#inMessage = !this.#fin
    this.#remaining = payloadLength(header, from + 1)
    if (this.#remaining === 0) this.#tap.passed(this.#fin, this.#opcode, 0, true)
  }

  #passPayload(chunk: Buffer, from: number): number {
    const bytes = Math.min(this.#remaining, chunk.length - from)
    this.#remaining -= bytes
    this.#tap.passed(this.#fin, this.#opcode, bytes, this.#remaining === 0)
    return from + bytes
  }
}

/** Lengths above 2^53 - 1, which the top bit makes illegal or a number cannot hold, are both refused. */
function payloadLength(header: Buffer, at: number): number {
  const form = header[at]! & 0x7f
  if (form < 126) return form
  if (form === 126) return header.readUInt16BE(at + 1)
  const high = header.readUInt32BE(at + 1)
  if (high > 0x1f_ffff) throw violation('of an impossible length')
  return high * 2 ** 32 + header.readUInt32BE(at + 5)
}

function violation(what: string): Fault {
  return new Fault('PROTOCOL_VIOLATION', `There came a WebSocket frame ${what}.`)
}
