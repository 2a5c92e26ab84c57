/** The first line of either side. */
export interface Identification {
  /** Without its end. */
  readonly line: Buffer
  /** What follows `SSH-2.0-`, printable ASCII, at most 64 characters. */
  readonly software: string
  /** What came behind it. */
  readonly rest: Buffer
}

/** RFC 4253 section 4.2, with its line end. */
const lineBytesMax = 255
/** What a server may say before (RFC 4253 section 4.2); OpenSSH takes more, but nobody sends it. */
const greetingBytesMax = 8 * 1024
const softwareLengthMax = 64
const newline = 0x0a

/** Collects the peer's identification from pieces of any size. */
export class IdentificationReader {
  readonly #mayGreet: boolean
  #bytes: Buffer = Buffer.alloc(0)

  /** @param mayGreet whether other lines may come first: a server may, a client may not. */
  constructor(mayGreet: boolean) {
    this.#mayGreet = mayGreet
  }

  /**
   * @returns undefined while the line has not ended.
   * @throws Error when it is no identification of this protocol, or too long.
   */
  take(chunk: Buffer): Identification | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    for (let from = 0; ;) {
      const end = this.#bytes.indexOf(newline, from)
      if (end < 0) return this.#incomplete(from)
      const line = this.#bytes.subarray(from, end)
      if (isIdentification(line)) return identification(line, this.#bytes.subarray(end + 1))
      this.#refuseGreeting(end)
      from = end + 1
    }
  }

  #incomplete(lineFrom: number): undefined {
    const start = this.#bytes.subarray(lineFrom)
    const isOurs = isIdentification(start) || 'SSH-'.startsWith(start.toString('latin1'))
    if (!isOurs) this.#refuseGreeting(this.#bytes.length)
    if (isOurs && start.length > lineBytesMax) throw new Error('the identification is too long')
  }

  #refuseGreeting(bytes: number): void {
    if (!this.#mayGreet) throw new Error('the peer does not speak SSH')
    if (bytes > greetingBytesMax) throw new Error('too much came before the identification')
  }
}

function isIdentification(line: Buffer): boolean {
  return line.subarray(0, 4).toString('latin1') === 'SSH-'
}

function identification(raw: Buffer, rest: Buffer): Identification {
  if (raw.length >= lineBytesMax) throw new Error('the identification is too long')
  const line = raw.at(-1) === 0x0d ? raw.subarray(0, -1) : raw
  const text = line.toString('latin1')
  // 1.99: a server that would speak the old version, too (RFC 4253 section 5.1).
  const software = /^SSH-(?:2\.0|1\.99)-([^ \0\r].*)$/su.exec(text)?.[1]
  if (software === undefined || /[\0\r]/u.test(text)) throw new Error('the peer speaks another version of SSH')
  return { line, software: printable(software).slice(0, softwareLengthMax), rest }
}

/** For logs and pages: control characters and all beyond ASCII become `?`. */
export function printable(text: string): string {
  return text.replace(/[^ -~]/gu, '?')
}
