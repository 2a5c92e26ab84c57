import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { Recorder } from '../../../recording/recorder.ts'
import type { SshBytesCode } from '../../../recording/ssh-events.ts'
import type { ChannelTap } from '../tap.ts'
import type { TapOptions } from './options.ts'

type CommandTapOptions = Omit<TapOptions, 'clock'> & { readonly pty: boolean }

/**
 * Of shells, commands and subsystems that are not understood more deeply: output and errors whole, input when the
 * role says so. Otherwise what goes up is hashed, but not with a terminal: there people type passwords.
 */
export function commandTap(options: CommandTapOptions): ChannelTap {
  return new CommandTap(options)
}

/** Of forwarded connections, and where nothing is recorded: the relay counts, and there is nothing to add. */
export function forwardTap(): ChannelTap {
  return { fromClient: ignore, fromTarget: ignore, errorsFromTarget: ignore, close: ignore }
}

class CommandTap implements ChannelTap {
  readonly #facts: ChannelFacts
  readonly #recorder: Recorder
  readonly #recordInput: boolean
  readonly #hashUp: Hash | null

  constructor(options: CommandTapOptions) {
    this.#facts = channelFacts(options.ch)
    this.#recorder = options.recorder
    this.#recordInput = options.recordInput
    this.#hashUp = options.recordInput || options.pty ? null : createHash('sha256')
  }

  fromClient(bytes: Buffer): void {
    this.#hashUp?.update(bytes)
    if (this.#recordInput) recordBytes(this.#recorder, '=i', this.#facts, bytes)
  }

  fromTarget(bytes: Buffer): void {
    recordBytes(this.#recorder, '=o', this.#facts, bytes)
  }

  errorsFromTarget(bytes: Buffer): void {
    recordBytes(this.#recorder, '=e', this.#facts, bytes)
  }

  close(): void {}

  summary(): { readonly sha256Up?: string } {
    return this.#hashUp === null ? {} : { sha256Up: this.#hashUp.copy().digest('hex') }
  }
}

/** The most that a recorder takes at once. */
const recordedBytesMax = 1024 * 1024

/** What is told of bytes beside themselves; frozen, so that the recorder needs to write it only once. */
type ChannelFacts = Readonly<{ ch: number }>

export function channelFacts(ch: number): ChannelFacts {
  return Object.freeze({ ch })
}

export function recordBytes(recorder: Recorder, code: SshBytesCode, facts: ChannelFacts, bytes: Buffer): void {
  if (bytes.length > 0 && bytes.length <= recordedBytesMax) return recorder.bytes(code, facts, bytes)
  for (let from = 0; from < bytes.length; from += recordedBytesMax) {
    recorder.bytes(code, facts, bytes.subarray(from, from + recordedBytesMax))
  }
}

function ignore(): void {}
