import { sshByte, sshUint32 } from '../../../identity/ssh/wire.ts'
import { Fault } from '../../../kernel/fault.ts'
import {
  channelClose,
  channelData,
  channelEof,
  channelFailure,
  channelSuccess,
  exitStatus,
  message,
  stderrData,
  windowAdjust,
  type ChannelOpen,
} from '../relay/messages.ts'
import type { Transport } from '../transport.ts'

/** What the owner of a channel is told. */
export interface ChannelEvents {
  /** A view that is the receiver's own. Whoever took it says so with `consumed`. */
  onData(bytes: Buffer): void
  onEof(): void
  /** The client closed it, or the connection is over. Called once. */
  onClose(): void
}

const packetBytesMax = 32 * 1024
const windowBytesMax = 2 ** 32 - 1

interface Piece {
  readonly isStderr: boolean
  readonly bytes: Buffer
  readonly sent: (() => void) | undefined
}

/**
 * One channel that the gateway itself is the end of, with both windows kept.
 * @see RFC 4254 section 5
 */
export class Channel {
  readonly own: number
  readonly client: number
  readonly packetBytesMax: number
  events: ChannelEvents | null = null
  readonly #transport: Transport
  readonly #windowBytes: number
  readonly #forget: () => void
  #sendWindowBytes: number
  #grantedBytes = 0
  #unreadBytes = 0
  #queue: Piece[] = []
  #queuedBytes = 0
  #atEnd: Buffer[] = []
  #eofSent = false
  #closeSent = false
  #closed = false

  /** @param windowBytes what the client may send before it is consumed. */
  constructor(
    transport: Transport,
    own: number,
    { sender, windowBytes: sendWindowBytes, packetBytesMax: clientBytesMax }: ChannelOpen,
    windowBytes: number,
    forget: () => void,
  ) {
    this.#transport = transport
    this.own = own
    this.client = sender
    this.packetBytesMax = clientBytesMax
    this.#sendWindowBytes = sendWindowBytes
    this.#windowBytes = windowBytes
    this.#forget = forget
  }

  get isOver(): boolean {
    return this.#closeSent || this.#closed
  }

  /** Bytes that wait for the client's window, or for the connection. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** What the gateway may still send, and what the client may. */
  get windows(): { readonly sendBytes: number; readonly grantedBytes: number } {
    return { sendBytes: this.#sendWindowBytes, grantedBytes: this.#grantedBytes }
  }

  confirm(): void {
    this.#grantedBytes = this.#windowBytes
    const fields = [this.client, this.own, this.#windowBytes, packetBytesMax].map(sshUint32)
    this.#transport.send(Buffer.concat([sshByte(message.channelOpenConfirmation), ...fields]))
  }

  /** @param sent runs when the bytes are on their way, or will never be. */
  write(bytes: Buffer, sent?: () => void, isStderr = false): void {
    if (this.isOver || this.#eofSent) return sent?.()
    this.#queue.push({ bytes, sent, isStderr })
    this.#queuedBytes += bytes.length
    this.flush()
  }

  reply(good: boolean): void {
    if (!this.isOver) this.#transport.send(good ? channelSuccess(this.client) : channelFailure(this.client))
  }

  /** No more data from here, once what waits is sent. */
  eof(): void {
    if (this.#eofSent || this.isOver) return
    this.#eofSent = true
    this.#atEnd.push(channelEof(this.client))
    this.flush()
  }

  /** Sends what waits, the exit status and the end. */
  exit(status: number): void {
    if (this.isOver) return
    this.#atEnd.push(exitStatus(this.client, status))
    this.eof()
    this.close()
  }

  /** The end, once what waits is sent; at once when it may not wait. */
  close(atOnce = false): void {
    if (this.isOver) return
    if (atOnce) this.#drop()
    this.#closeSent = true
    this.#atEnd.push(channelClose(this.client))
    this.flush()
  }

  /** So many bytes of the client's were used: it may send as many again. */
  consumed(bytes: number): void {
    this.#unreadBytes += bytes
    if (this.isOver || this.#unreadBytes < this.#windowBytes / 2) return
    this.#transport.send(windowAdjust(this.client, this.#unreadBytes))
    this.#grantedBytes += this.#unreadBytes
    this.#unreadBytes = 0
  }

  // ---- what the client sends

  takeData(bytes: Buffer, isStderr: boolean): void {
    if (bytes.length > this.#grantedBytes) throw new Fault('PROTOCOL_VIOLATION', 'More was sent than the window takes.')
    this.#grantedBytes -= bytes.length
    if (isStderr || this.events === null || this.isOver) this.consumed(bytes.length)
    else this.events.onData(bytes)
  }

  takeWindow(addedBytes: number): void {
    this.#sendWindowBytes = Math.min(windowBytesMax, this.#sendWindowBytes + addedBytes)
    this.flush()
  }

  takeClose(): void {
    if (this.#closed) return
    this.close(true)
    this.#drop()
    this.flush()
    this.gone()
    this.#forget()
  }

  /** The connection is over. */
  gone(): void {
    if (this.#closed) return
    this.#closed = true
    this.#drop()
    this.events?.onClose()
  }

  flush(): void {
    while (this.#queue.length > 0 && this.#sendWindowBytes > 0 && !this.#transport.congested) this.#sendNext()
    if (this.#queue.length > 0) return
    for (const last of this.#atEnd.splice(0)) this.#transport.send(last)
  }

  #sendNext(): void {
    const first = this.#queue[0]!
    const count = Math.min(first.bytes.length, this.#sendWindowBytes, this.packetBytesMax, packetBytesMax)
    const part = first.bytes.subarray(0, count)
    this.#transport.send(first.isStderr ? stderrData(this.client, part) : channelData(this.client, part))
    this.#sendWindowBytes -= count
    this.#queuedBytes -= count
    if (count < first.bytes.length) {
      this.#queue[0] = { ...first, bytes: first.bytes.subarray(count) }
      return
    }
    this.#queue.shift()
    first.sent?.()
  }

  #drop(): void {
    const dropped = this.#queue
    this.#queue = []
    this.#queuedBytes = 0
    for (const { sent } of dropped) sent?.()
  }
}
