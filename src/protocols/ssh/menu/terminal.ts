import { asciiText } from '../texts.ts'
import type { Channel, ChannelEvents } from './channel.ts'
import { LineEditor, type LineEvent } from './line-editor.ts'

const typedAheadBytesMax = 4 * 1024
/** Somebody who reads nothing and types on. */
const unreadOutputBytesMax = 256 * 1024

/** Ctrl-C, or Ctrl-D, while something was asked or waited for. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
}

/** The person hung up. */
export class Closed extends Error {
  override readonly name = 'Closed'
}

/** A person at a terminal: lines out, lines in. */
export class Terminal implements ChannelEvents {
  readonly #channel: Channel
  readonly #editor = new LineEditor()
  #typed: Buffer[] = []
  #typedBytes = 0
  #reader: PromiseWithResolvers<LineEvent> | undefined
  /** Of what is waited for. */
  #stop: AbortController | undefined
  #isClosed = false
  #hasEnded = false

  constructor(channel: Channel) {
    this.#channel = channel
    channel.events = this
  }

  print(text: string): void {
    this.#write(asciiText(text).replaceAll('\n', '\r\n'))
  }

  /** @throws Closed */
  async readLine(prompt: string): Promise<LineEvent> {
    if (this.#isClosed) throw new Closed('the terminal is closed')
    this.print(prompt)
    const reader = Promise.withResolvers<LineEvent>()
    this.#reader = reader
    this.#feed()
    if (this.#hasEnded) this.#settle({ kind: 'end' })
    return reader.promise
  }

  /** The signal that `work` gets aborts with Interrupted at Ctrl-C, and with Closed when the person hangs up. */
  async waitFor<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController()
    this.#stop = stop
    if (this.#isClosed) stop.abort(new Closed('the terminal is closed'))
    try {
      return await work(stop.signal)
    } finally {
      this.#stop = undefined
    }
  }

  /** What was typed and nobody has read. */
  takeTyped(): Buffer {
    const typed = Buffer.concat([Buffer.from(this.#editor.text), ...this.#typed])
    this.#editor.clear()
    this.#typed = []
    this.#typedBytes = 0
    return typed
  }

  exit(status: number): void {
    this.#channel.exit(status)
    this.onClose()
  }

  onData(bytes: Buffer): void {
    this.#channel.consumed(bytes.length)
    if (this.#stop !== undefined && this.#reader === undefined && bytes.includes(3)) {
      this.#stop.abort(new Interrupted('the person stopped waiting'))
      return
    }
    if (this.#typedBytes + bytes.length > typedAheadBytesMax) return
    this.#typed.push(bytes)
    this.#typedBytes += bytes.length
    this.#feed()
  }

  onEof(): void {
    this.#hasEnded = true
    this.#settle({ kind: 'end' })
  }

  onClose(): void {
    this.#isClosed = true
    this.#stop?.abort(new Closed('the terminal is closed'))
    this.#reader?.reject(new Closed('the terminal is closed'))
    this.#reader = undefined
  }

  #feed(): void {
    while (this.#reader !== undefined && this.#typed.length > 0) {
      const [first] = this.#typed as [Buffer]
      const { echo, event } = this.#editor.feed(first[0]!)
      this.#typedBytes -= 1
      if (first.length > 1) this.#typed[0] = first.subarray(1)
      else this.#typed.shift()
      this.#write(echo)
      if (event !== undefined) this.#settle(event)
    }
  }

  #settle(event: LineEvent): void {
    this.#reader?.resolve(event)
    this.#reader = undefined
  }

  #write(text: string): void {
    if (text === '') return
    if (this.#channel.queuedBytes > unreadOutputBytesMax) return this.#channel.close(true)
    this.#channel.write(Buffer.from(text))
  }
}
