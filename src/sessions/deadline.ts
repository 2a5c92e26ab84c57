import { Subject, type Observable } from '../kernel/observable.ts'
import type { Clock, Instant, Timer } from '../kernel/time.ts'

/** Timers overflow at 2^31 ms and then fire at once; and a suspended machine must look at the wall clock soon after. */
const pieceMsMax = 30_000
/** A wall clock this little behind is being slewed, and the end waits for it; more is a jump, and the end does not wait. */
const slewMsMax = 1000

/**
 * The end of one session. Counts on the monotonic clock and looks at the wall clock with every piece, so it comes
 * when either says so: setting the clock back gains nothing, and waking from suspend ends it at once.
 */
export class Deadline {
  readonly instant: Observable<Instant>
  readonly #subject: Subject<Instant>
  readonly #clock: Clock
  readonly #onEnd: (dueMonotonicMs: number) => void
  readonly #warnBeforeMs: readonly number[]
  readonly #onWarning: (leftMs: number) => void
  #dueMonotonicMs = 0
  #timer: Timer | undefined
  #warningTimers: Timer[] = []
  #over = false

  constructor(
    clock: Clock,
    expiresAt: Instant,
    warnBeforeMs: readonly number[],
    hear: { readonly end: (dueMonotonicMs: number) => void; readonly warning: (leftMs: number) => void },
  ) {
    this.#clock = clock
    this.#warnBeforeMs = warnBeforeMs
    this.#onEnd = hear.end
    this.#onWarning = hear.warning
    this.#subject = new Subject(expiresAt)
    this.instant = this.#subject
    this.#arm()
  }

  /** The grant was extended or shortened. */
  move(expiresAt: Instant): void {
    if (this.#over) return
    this.#subject.next(expiresAt)
    this.#arm()
  }

  /** The wall clock jumped (suspend, NTP, an administrator): looks at once instead of at the end of the piece. */
  lookAgain(): void {
    if (this.#over) return
    this.#timer?.cancel()
    this.#wait()
  }

  /** Past by more than `graceMs` and still not ended: what a sweeper looks for. */
  missed(graceMs: number): boolean {
    return !this.#over && this.#clock.now() > this.instant.value + graceMs
  }

  stop(): void {
    this.#over = true
    this.#timer?.cancel()
    this.#stopWarnings()
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#dueMonotonicMs = this.#clock.monotonicMs() + (this.instant.value - this.#clock.now())
    this.#armWarnings()
    // Never ends within the caller's own step: whoever makes or moves a deadline has not finished yet.
    this.#sleep()
  }

  #wait(): void {
    const { monotonicLeftMs, wallLeftMs } = this.#left()
    const jumpedBack = monotonicLeftMs <= 0 && wallLeftMs > slewMsMax
    if (wallLeftMs <= 0 || jumpedBack) this.#end()
    else this.#sleep()
  }

  #sleep(): void {
    const { monotonicLeftMs, wallLeftMs } = this.#left()
    const leftMs = monotonicLeftMs <= 0 ? wallLeftMs : Math.min(monotonicLeftMs, wallLeftMs)
    this.#timer = this.#clock.after(Math.min(pieceMsMax, Math.max(1, Math.ceil(leftMs))), () => this.#wait())
  }

  #left(): { monotonicLeftMs: number; wallLeftMs: number } {
    return {
      monotonicLeftMs: this.#dueMonotonicMs - this.#clock.monotonicMs(),
      wallLeftMs: this.instant.value - this.#clock.now(),
    }
  }

  #end(): void {
    if (this.#over) return
    this.stop()
    this.#onEnd(this.#dueMonotonicMs)
  }

  #armWarnings(): void {
    this.#stopWarnings()
    const leftMs = this.instant.value - this.#clock.now()
    const ahead = this.#warnBeforeMs.filter((beforeMs) => beforeMs < leftMs)
    this.#warningTimers = ahead.map((beforeMs) => this.#after(leftMs - beforeMs, () => this.#onWarning(beforeMs)))
  }

  #stopWarnings(): void {
    for (const timer of this.#warningTimers) timer.cancel()
    this.#warningTimers = []
  }

  /** One timer of any length, in pieces. */
  #after(delayMs: number, task: () => void): Timer {
    const dueMs = this.#clock.monotonicMs() + delayMs
    let timer: Timer
    const wait = () => {
      const leftMs = dueMs - this.#clock.monotonicMs()
      if (leftMs <= 0) return task()
      timer = this.#clock.after(Math.min(pieceMsMax, Math.max(1, Math.ceil(leftMs))), wait)
    }
    wait()
    return { cancel: () => timer?.cancel() }
  }
}
