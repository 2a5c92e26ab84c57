/** Lines in order: as text, or in UTF-8 in a buffer of its own, which can be transferred to another thread. */
export type LinePart = string | Uint8Array<ArrayBuffer>

/** The first buffer is at least this large, so that it takes some keystrokes; those that follow grow. */
const smallBytesMin = 1024
/** From here on a large one is taken. */
const smallBytesMax = 32 * 1024
/** A batch of raw bytes and the chunk that fills it. */
const largeBytes = 320 * 1024
const sparesMax = 8

/** Large buffers that come back from the writer's thread: making each anew would cost more than filling it. */
export class SpareBuffers {
  #spares: ArrayBuffer[] = []
  #taken = false

  take(): ArrayBuffer {
    this.#taken = true
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(largeBytes).buffer
  }

  put(buffers: readonly ArrayBuffer[]): void {
    this.#spares.push(...buffers.slice(0, sparesMax - this.#spares.length))
  }

  /** To be called now and then: lets go of what was not needed since the last time. */
  tidy(): void {
    if (!this.#taken) this.#spares = []
    this.#taken = false
  }
}

/**
 * What one session has recorded and not handed over yet. Lines stay text until bytes come; from then on everything is
 * written into a buffer, one copy from where it came. Holds nothing once it is taken.
 */
export class LineParts {
  #parts: LinePart[] = []
  #text = ''
  #buffer: Buffer<ArrayBuffer> | null = null
  #used = 0
  readonly #spares: SpareBuffers

  constructor(spares: SpareBuffers) {
    this.#spares = spares
  }

  /** @param lineBytes of `line` in UTF-8. */
  addLine(line: string, lineBytes: number): void {
    if (this.#buffer === null) this.#text += line
    else this.#write(this.#room(lineBytes), line)
  }

  /** The line, the bytes, and a line feed. */
  addBytes(line: string, lineBytes: number, bytes: Uint8Array): void {
    const buffer = this.#room(lineBytes + bytes.length + 1)
    this.#write(buffer, line)
    buffer.set(bytes, this.#used)
    this.#used += bytes.length
    buffer[this.#used++] = 0x0a
  }

  take(): LinePart[] {
    this.#closePart()
    const parts = this.#parts
    this.#parts = []
    return parts
  }

  clear(): void {
    this.#parts = []
    this.#text = ''
    this.#buffer = null
    this.#used = 0
  }

  /** A buffer in which `bytes` more fit behind `#used`. */
  #room(bytes: number): Buffer<ArrayBuffer> {
    if (this.#buffer !== null && this.#used + bytes <= this.#buffer.length) return this.#buffer
    const wantedBytes = Math.max(smallBytesMin, 2 * bytes, 4 * (this.#buffer?.length ?? 0))
    this.#closePart()
    this.#buffer = this.#allocate(bytes, wantedBytes)
    return this.#buffer
  }

  #allocate(bytes: number, wantedBytes: number): Buffer<ArrayBuffer> {
    // Not from Node's pool: that one is shared, and cannot be transferred.
    if (bytes > largeBytes) return Buffer.allocUnsafeSlow(bytes)
    return wantedBytes > smallBytesMax ? Buffer.from(this.#spares.take()) : Buffer.allocUnsafeSlow(wantedBytes)
  }

  #write(buffer: Buffer, line: string): void {
    this.#used += buffer.write(line, this.#used, 'utf8')
  }

  #closePart(): void {
    if (this.#text !== '') this.#parts.push(this.#text)
    if (this.#buffer !== null && this.#used > 0) this.#parts.push(this.#buffer.subarray(0, this.#used))
    this.#text = ''
    this.#buffer = null
    this.#used = 0
  }
}

/** The memory behind `parts`, to be handed over with them. */
export function buffersOf(parts: readonly LinePart[]): ArrayBuffer[] {
  return parts.filter((part) => typeof part !== 'string').map(({ buffer }) => buffer)
}

/** What of it may be given back. */
export function sparesOf(parts: readonly LinePart[]): ArrayBuffer[] {
  return buffersOf(parts).filter(({ byteLength }) => byteLength === largeBytes)
}
