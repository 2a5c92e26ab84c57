/**
 * The data types of SSH.
 * @see RFC 4251 section 5
 */

/** Bytes that are not what they should be. */
export class SshWireError extends Error {
  override readonly name = 'SshWireError'
}

/** Reads fields from the front of `bytes`. Each method throws SshWireError when too few are left. Views, not copies. */
export class SshReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#at = at
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at
  }

  byte(): number {
    return this.bytes(1)[0]!
  }

  boolean(): boolean {
    return this.byte() !== 0
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE(0)
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE(0)
  }

  /** A string's bytes. */
  string(): Buffer {
    return this.bytes(this.uint32())
  }

  /** A string that is text: UTF-8, invalid sequences replaced. */
  text(): string {
    return this.string().toString('utf8')
  }

  nameList(): string[] {
    const text = this.string().toString('latin1')
    return text === '' ? [] : text.split(',')
  }

  bytes(count: number): Buffer {
    if (count > this.left) throw new SshWireError(`${count} bytes expected, ${this.left} are left`)
    const from = this.#at
    this.#at += count
    return this.#bytes.subarray(from, this.#at)
  }

  rest(): Buffer {
    return this.bytes(this.left)
  }

  /** @throws SshWireError when something follows. */
  end(): void {
    if (this.left > 0) throw new SshWireError(`${this.left} bytes too many`)
  }
}

export function sshByte(value: number): Buffer {
  return Buffer.of(value)
}

export function sshBoolean(value: boolean): Buffer {
  return Buffer.of(value ? 1 : 0)
}

export function sshUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function sshUint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

export function sshString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  return Buffer.concat([sshUint32(bytes.length), bytes])
}

export function sshNameList(names: readonly string[]): Buffer {
  return sshString(names.join(','))
}

/** A positive integer, big-endian without superfluous zeros. */
export function sshMpint(magnitude: Uint8Array): Buffer {
  const firstUsed = magnitude.findIndex((byte) => byte !== 0)
  const digits = firstUsed < 0 ? new Uint8Array() : magnitude.subarray(firstUsed)
  const isSigned = digits.length > 0 && digits[0]! >= 0x80
  return sshString(isSigned ? Buffer.concat([Buffer.of(0), digits]) : digits)
}
