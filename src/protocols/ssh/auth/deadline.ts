import { Fault } from '../../../kernel/fault.ts'
import type { Clock, Timer } from '../../../kernel/time.ts'

/** How long somebody unknown may take. It rests while a person is being waited for, who has a deadline of their own. */
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

  arm(): void {
    this.lift()
    this.#timer = this.#clock.after(this.#handshakeMs, () => {
      this.#late.abort(new Fault('DEADLINE_PASSED', 'Nobody signed in in time.'))
    })
  }

  lift(): void {
    this.#timer?.cancel()
  }

  [Symbol.dispose](): void {
    this.lift()
  }
}
