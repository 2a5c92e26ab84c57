import type { Clock, Timer } from '../../../kernel/time.ts'
import type { HttpEvents } from '../../../recording/http-events.ts'
import type { Recorder } from '../../../recording/recorder.ts'
import { record } from '../recording.ts'
import { isControl, opcodes } from './frames.ts'

export type Direction = 'up' | 'down'
type Entry = HttpEvents['w']['messages'][number]

/** What may have passed before the recorder is told of it. From then on the recorder's own bounds (`maxUnsaved`) hold. */
export const batchMessagesMax = 256
export const batchMsMax = 100

/**
 * Writes the messages of one WebSocket down (`w`), in batches: a line for each would cost more than passing it on.
 * Of a message that goes on for longer than a batch, each batch has what passed of it; from the second on with the
 * opcode of a continuation, so that neither a crash nor a message without an end leaves much untold.
 */
export class MessageLog {
  readonly #recorder: Recorder
  readonly #clock: Clock
  readonly #n: number
  readonly #up = new Underway()
  readonly #down = new Underway()
  #entries: Entry[] = []
  /** When the line before was written. */
  #sinceMs: number
  #timer: Timer | null = null

  constructor(recorder: Recorder, clock: Clock, n: number) {
    this.#recorder = recorder
    this.#clock = clock
    this.#n = n
    this.#sinceMs = clock.monotonicMs()
  }

  /** As `FrameTap.passed`, by direction. */
  passed(direction: Direction, fin: boolean, opcode: number, bytes: number, whole: boolean): void {
    if (!this.#recorder.active) return
    const underway = direction === 'up' ? this.#up : this.#down
    const over = isControl(opcode) ? underway.addControl(bytes, whole) : underway.addData(opcode, bytes, whole && fin)
    if (over) {
      const message = isControl(opcode) ? underway.takeControl(opcode) : underway.take()
      this.#entries.push([this.#elapsedMs(), direction, message.opcode, message.bytes])
    }
    if (this.#entries.length >= batchMessagesMax) this.flush()
    else this.#timer ??= this.#clock.after(batchMsMax, this.#onTimer)
  }

  /** Hands everything that has passed to the recorder now. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#addUnfinished('up', this.#up)
    this.#addUnfinished('down', this.#down)
    if (this.#entries.length === 0) return
    record(this.#recorder, 'w', { n: this.#n, messages: this.#entries })
    this.#entries = []
    this.#sinceMs = this.#clock.monotonicMs()
  }

  readonly #onTimer = (): void => this.flush()

  #addUnfinished(direction: Direction, underway: Underway): void {
    if (underway.bytes === 0) return
    const part = underway.takePart()
    this.#entries.push([this.#elapsedMs(), direction, part.opcode, part.bytes])
  }

  #elapsedMs(): number {
    return Math.round(this.#clock.monotonicMs() - this.#sinceMs)
  }
}

interface Message {
  readonly opcode: number
  readonly bytes: number
}

/** What of a message has passed in one direction, and of a control frame between its fragments. */
class Underway {
  /** Of the message, not written down yet. */
  bytes = 0
  #opcode: number = opcodes.continuation
  #begun = false
  #controlBytes = 0

  /** @returns whether the message is over. */
  addData(opcode: number, bytes: number, over: boolean): boolean {
    if (!this.#begun) this.#opcode = opcode
    this.#begun = true
    this.bytes += bytes
    return over
  }

  /** @returns whether the frame is over. */
  addControl(bytes: number, over: boolean): boolean {
    this.#controlBytes += bytes
    return over
  }

  take(): Message {
    this.#begun = false
    return this.takePart()
  }

  takePart(): Message {
    const part = { opcode: this.#opcode, bytes: this.bytes }
    this.#opcode = opcodes.continuation
    this.bytes = 0
    return part
  }

  takeControl(opcode: number): Message {
    const message = { opcode, bytes: this.#controlBytes }
    this.#controlBytes = 0
    return message
  }
}
