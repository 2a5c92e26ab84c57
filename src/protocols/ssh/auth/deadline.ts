import { Fault } from '../../../kernel/fault.ts'
import type { Clock, Timer } from '../../../kernel/time.ts'

/** A longer timer would fire at once. */
const timerMsMax = 2 ** 31 - 1

/** How long somebody unknown may take. */
export class Deadline implements Disposable {
  readonly signal: AbortSignal
  readonly #late = new AbortController()
  readonly #clock: Clock
  readonly #handshakeMs: number
  #timer: Timer | undefined

  constructor({ clock, handshakeMs }: { readonly clock: Clock; readonly handshakeMs: number }) {
    this.#clock = clock
    this.#handshakeMs = handshakeMs
    this.signal = this.#late.signal
    this.arm()
  }

  /** @param personMs that a person may take first; a client that shows them nothing, or does not go on, is late all the same. */
  arm(personMs = 0): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(Math.min(personMs + this.#handshakeMs, timerMsMax), () => {
      this.#late.abort(new Fault('DEADLINE_PASSED', 'Nobody signed in in time.'))
    })
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel()
  }
}
