import { SshWireError } from '../../../identity/ssh/wire.ts'

/**
 * What a client may still send, because the menu said so, while its new end may have less room: it is kept until the
 * target takes it. Never more than the menu granted.
 * @see RFC 4254 section 5.2
 */
export class OwedInput {
  readonly #send: (bytes: Buffer) => void
  readonly #packetBytesMax: number
  readonly #kept: Buffer[]
  /** What the client may still send. */
  #grantedBytes: number
  /** What the target takes now. */
  #roomBytes: number

  /** @param typed what came before. */
  constructor(
    grantedBytes: number,
    typed: Buffer,
    { windowBytes, packetBytesMax }: { readonly windowBytes: number; readonly packetBytesMax: number },
    send: (bytes: Buffer) => void,
  ) {
    this.#grantedBytes = grantedBytes
    this.#roomBytes = windowBytes
    this.#packetBytesMax = Math.max(1, packetBytesMax)
    this.#kept = typed.length > 0 ? [typed] : []
    this.#send = send
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0
  }

  /** By how much the target has more room than the client was told; undefined while it has less. */
  get surplusBytes(): number | undefined {
    return this.isEmpty && this.#roomBytes >= this.#grantedBytes ? this.#roomBytes - this.#grantedBytes : undefined
  }

  /** @param bytes copied before this returns. @throws SshWireError when it is more than was granted. */
  fromClient(bytes: Buffer): void {
    if (bytes.length > this.#grantedBytes) throw new SshWireError('more than the window takes')
    this.#grantedBytes -= bytes.length
    if (bytes.length > 0) this.#kept.push(Buffer.from(bytes))
    this.pour()
  }

  room(addedBytes: number): void {
    this.#roomBytes += addedBytes
    this.pour()
  }

  /** Sends what the target takes now. */
  pour(): void {
    while (this.#kept.length > 0 && this.#roomBytes > 0) {
      const first = this.#kept[0]!
      const count = Math.min(first.length, this.#roomBytes, this.#packetBytesMax)
      this.#roomBytes -= count
      if (count === first.length) this.#kept.shift()
      else this.#kept[0] = first.subarray(count)
      this.#send(first.subarray(0, count))
    }
  }
}
