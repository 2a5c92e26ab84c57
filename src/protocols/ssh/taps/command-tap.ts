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
  readonly #ch: number
  readonly #recorder: Recorder
  readonly #recordInput: boolean
  readonly #hashUp: Hash | null

  constructor(options: CommandTapOptions) {
    this.#ch = options.ch
    this.#recorder = options.recorder
    this.#recordInput = options.recordInput
    this.#hashUp = options.recordInput || options.pty ? null : createHash('sha256')
  }

  fromClient(bytes: Buffer): void {
    this.#hashUp?.update(bytes)
    if (this.#recordInput) recordBytes(this.#recorder, '=i', this.#ch, bytes)
  }

  fromTarget(bytes: Buffer): void {
    recordBytes(this.#recorder, '=o', this.#ch, bytes)
  }

  errorsFromTarget(bytes: Buffer): void {
    recordBytes(this.#recorder, '=e', this.#ch, bytes)
  }

  close(): void {}

  summary(): { readonly sha256Up?: string } {
    return this.#hashUp === null ? {} : { sha256Up: this.#hashUp.copy().digest('hex') }
  }
}

/** The most that a recorder takes at once. */
const recordedBytesMax = 1024 * 1024

export function recordBytes(recorder: Recorder, code: SshBytesCode, ch: number, bytes: Buffer): void {
  for (let from = 0; from < bytes.length; from += recordedBytesMax) {
    recorder.bytes(code, { ch }, bytes.subarray(from, from + recordedBytesMax))
  }
}

function ignore(): void {}
