import { writeDecimal } from './json-bytes.ts'

/** Lines in order, in UTF-8, in a buffer of its own, which can be transferred to another thread. */
export type LinePart = Uint8Array<ArrayBuffer>

/** The first buffer is at least this large, so that it takes some keystrokes; those that follow grow. */
const smallBytesMin = 1024
/** Up to here each is made anew. */
const smallBytesMax = 4 * 1024
/** Larger ones come back and are used again. Not one size for all: many busy sessions would hold ten times what they fill. */
const spareBytes = [20 * 1024, 80 * 1024, 320 * 1024] as const
/** A batch of raw bytes and the chunk that fills it. */
const largeBytes = spareBytes[2]
/** Of each size: some batches, which lie with the writer for half a second. */
const sparesBytesMax = 2560 * 1024
/** `[`, seconds, comma; bracket and line feed. */
const frameBytesMax = 32
/** With the number of bytes, `}`, and another line feed. */
const countedFrameBytesMax = 64

/** Large buffers that come back from the writer's thread: making each anew would cost more than filling it. */
export class SpareBuffers {
  #spares = new Map<number, ArrayBuffer[]>()
  #taken = new Set<number>()

  /** One of at least that size, up to `largeBytes`. */
  take(wantedBytes: number): ArrayBuffer {
    const bytes = spareBytes.find((one) => one >= wantedBytes) ?? largeBytes
    this.#taken.add(bytes)
    return this.#spares.get(bytes)?.pop() ?? Buffer.allocUnsafeSlow(bytes).buffer
  }

  put(buffers: readonly ArrayBuffer[]): void {
    for (const buffer of buffers) {
      const spares = this.#spares.get(buffer.byteLength)
      if (spares === undefined) this.#spares.set(buffer.byteLength, [buffer])
      else if (spares.length * buffer.byteLength < sparesBytesMax) spares.push(buffer)
    }
  }

  /** To be called now and then: lets go of those of sizes that were not needed since the last time. */
  tidy(): void {
    for (const bytes of this.#spares.keys()) if (!this.#taken.has(bytes)) this.#spares.delete(bytes)
    this.#taken.clear()
  }
}

/**
 * What one session has recorded and not handed over yet: everything is written into a buffer at once, one copy from
 * where it came. Holds no buffer once it is taken.
 */
export class LineParts {
  #parts: LinePart[] = []
  #buffer: Buffer<ArrayBuffer> | null = null
  #used = 0
  #bytes = 0
  /** What was taken the last time: a busy session will fill as much again. */
  #takenBytes = 0
  readonly #spares: SpareBuffers

  constructor(spares: SpareBuffers) {
    this.#spares = spares
  }

  /** @param lineBytes of `line` in UTF-8. */
  addLine(line: string, lineBytes: number): void {
    this.#write(this.#room(lineBytes), line)
    this.#bytes += lineBytes
  }

  /** The line, the bytes, and a line feed. */
  addBytes(line: string, lineBytes: number, bytes: Uint8Array): void {
    const buffer = this.#room(lineBytes + bytes.length + 1)
    this.#write(buffer, line)
    buffer.set(bytes, this.#used)
    this.#used += bytes.length
    buffer[this.#used++] = 0x0a
    this.#bytes += lineBytes + bytes.length + 1
  }

  /** `[seconds,`, `head`, how many bytes, `}]`, and the bytes as `addBytes` does. @returns the length of all. */
  addCountedBytes(us: number, head: Buffer, bytes: Uint8Array): number {
    const buffer = this.#room(head.length + bytes.length + countedFrameBytesMax)
    const from = this.#used
    buffer[from] = 0x5b
    let at = writeDecimal(buffer, from + 1, us, 6)
    buffer[at++] = 0x2c
    for (let index = 0; index < head.length; index++) buffer[at++] = head[index]!
    at = writeDecimal(buffer, at, bytes.length, 0)
    buffer[at++] = 0x7d
    buffer[at++] = 0x5d
    buffer[at++] = 0x0a
    buffer.set(bytes, at)
    at += bytes.length
    buffer[at++] = 0x0a
    this.#used = at
    this.#bytes += at - from
    return at - from
  }

  /** `[seconds,` and the first bytes of `tail` and `]`. @returns the length of the line. */
  addEncoded(us: number, tail: Buffer, tailBytes: number): number {
    const buffer = this.#room(tailBytes + frameBytesMax)
    const from = this.#used
    buffer[from] = 0x5b
    let at = writeDecimal(buffer, from + 1, us, 6)
    buffer[at++] = 0x2c
    tail.copy(buffer, at, 0, tailBytes)
    at += tailBytes
    buffer[at++] = 0x5d
    buffer[at++] = 0x0a
    this.#used = at
    this.#bytes += at - from
    return at - from
  }

  take(): LinePart[] {
    this.#closePart()
    const parts = this.#parts
    this.#parts = []
    this.#takenBytes = this.#bytes
    this.#bytes = 0
    return parts
  }

  clear(): void {
    this.#parts = []
    this.#buffer = null
    this.#used = 0
    this.#bytes = 0
  }

  /** A buffer in which `bytes` more fit behind `#used`. */
  #room(bytes: number): Buffer<ArrayBuffer> {
    if (this.#buffer !== null && this.#used + bytes <= this.#buffer.length) return this.#buffer
    const expectedBytes = this.#buffer === null ? this.#takenBytes : 4 * this.#buffer.length
    const wantedBytes = Math.max(smallBytesMin, 2 * bytes, expectedBytes)
    this.#closePart()
    this.#buffer = this.#allocate(bytes, wantedBytes)
    return this.#buffer
  }

  #allocate(bytes: number, wantedBytes: number): Buffer<ArrayBuffer> {
    // Not from Node's pool: that one is shared, and cannot be transferred.
    if (bytes > largeBytes) return Buffer.allocUnsafeSlow(bytes)
    return wantedBytes > smallBytesMax
      ? Buffer.from(this.#spares.take(wantedBytes))
      : Buffer.allocUnsafeSlow(wantedBytes)
  }

  #write(buffer: Buffer, line: string): void {
    this.#used += buffer.write(line, this.#used, 'utf8')
  }

  #closePart(): void {
    if (this.#buffer !== null && this.#used > 0) this.#parts.push(this.#buffer.subarray(0, this.#used))
    this.#buffer = null
    this.#used = 0
  }
}

/** The memory behind `parts`, to be handed over with them. */
export function buffersOf(parts: readonly LinePart[]): ArrayBuffer[] {
  return parts.map(({ buffer }) => buffer)
}

/** What of it may be given back. */
export function sparesOf(parts: readonly LinePart[]): ArrayBuffer[] {
  return buffersOf(parts).filter(({ byteLength }) => spareSizes.has(byteLength))
}

const spareSizes: ReadonlySet<number> = new Set(spareBytes)
