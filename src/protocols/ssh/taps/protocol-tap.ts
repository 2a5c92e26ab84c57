import type { SshEvents } from '../../../recording/ssh-events.ts'
import type { ChannelTap } from '../tap.ts'
import { channelFacts, commandTap, recordBytes } from './command-tap.ts'
import type { TapOptions } from './options.ts'

/** The bytes are not the protocol that they should be, and why. */
export class NotUnderstood extends Error {
  override readonly name = 'NotUnderstood'
}

/** Understands one protocol in flight. Throws NotUnderstood, or anything, when it no longer does. */
export interface ProtocolWatch {
  up(bytes: Buffer): void
  down(bytes: Buffer): void
  /** The bytes that came and are not understood yet, because more must follow. */
  heldUp(): readonly Buffer[]
  heldDown(): readonly Buffer[]
  /** Writes down what is not finished. */
  finish(): void
}

/** One file operation, as an event. */
export type FileEvent = Omit<SshEvents['f'], 'ch'>

/** Records a channel as operations while its protocol is understood, and as a command's from then on. */
export class ProtocolTap implements ChannelTap {
  readonly #options: TapOptions
  readonly #watch: ProtocolWatch
  /** Once it is lost. */
  #whole: ChannelTap | null = null

  constructor(options: TapOptions, watch: ProtocolWatch) {
    this.#options = options
    this.#watch = watch
  }

  fromClient(bytes: Buffer): void {
    if (this.#whole !== null) return this.#whole.fromClient(bytes)
    try {
      this.#watch.up(bytes)
    } catch (error) {
      // The whole piece, though some of it may have been understood: nothing is left out.
      this.#lose(error).fromClient(bytes)
    }
  }

  fromTarget(bytes: Buffer): void {
    if (this.#whole !== null) return this.#whole.fromTarget(bytes)
    try {
      this.#watch.down(bytes)
    } catch (error) {
      this.#lose(error).fromTarget(bytes)
    }
  }

  errorsFromTarget(bytes: Buffer): void {
    recordBytes(this.#options.recorder, '=e', channelFacts(this.#options.ch), bytes)
  }

  close(): void {
    if (this.#whole !== null) return
    const { ch, recorder, recordInput } = this.#options
    const facts = channelFacts(ch)
    try {
      this.#watch.finish()
      for (const bytes of this.#watch.heldDown()) recordBytes(recorder, '=o', facts, bytes)
      if (recordInput) for (const bytes of this.#watch.heldUp()) recordBytes(recorder, '=i', facts, bytes)
    } catch (error) {
      this.#lose(error)
    }
  }

  summary(): { readonly sha256Up?: string } {
    return this.#whole?.summary?.() ?? {}
  }

  /** Also of a mistake of our own: what is recorded whole cannot be misunderstood. */
  #lose(error: unknown): ChannelTap {
    const { ch, recorder } = this.#options
    const whole = commandTap({ ...this.#options, pty: false })
    this.#whole = whole
    const held = { up: this.#watch.heldUp(), down: this.#watch.heldDown() }
    this.#finishQuietly()
    recorder.event('lost', { ch, why: error instanceof Error ? error.message : String(error) })
    for (const bytes of held.up) whole.fromClient(bytes)
    for (const bytes of held.down) whole.fromTarget(bytes)
    return whole
  }

  #finishQuietly(): void {
    try {
      this.#watch.finish()
    } catch {
      // It is lost already, and the event follows.
    }
  }
}
