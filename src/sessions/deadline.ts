import { Subject, type Observable } from '../kernel/observable.ts'
import type { Clock, Instant } from '../kernel/time.ts'
import type { Alarms, Sleeper } from './alarms.ts'

/** Timers overflow at 2^31 ms and then fire at once; and a suspended machine must look at the wall clock soon after. */
const pieceMsMax = 30_000
/** A wall clock this little behind is being slewed, and the end waits for it; more is a jump, and the end does not wait. */
const slewMsMax = 1000

/** Who is told when it comes. */
export interface DeadlineOwner {
  deadlineCame(dueMonotonicMs: number): void
  deadlineNear(leftMs: number): void
}

/** What all deadlines have in common. */
export interface DeadlineDeps {
  readonly clock: Clock
  readonly alarms: Alarms
  readonly warnBeforeMs: readonly number[]
}

/**
 * The end of one session. Counts on the monotonic clock and looks at the wall clock with every piece, so it comes
 * when either says so: setting the clock back gains nothing, and waking from suspend ends it at once.
 */
export class Deadline implements Sleeper {
  readonly instant: Observable<Instant>
  wakesAtMs = 0
  place = -1
  readonly #subject: Subject<Instant>
  readonly #deps: DeadlineDeps
  readonly #owner: DeadlineOwner
  #dueMonotonicMs = 0
  /** Warnings for less than this are still to come. */
  #warnedMs = 0
  #over = false

  constructor(deps: DeadlineDeps, expiresAt: Instant, owner: DeadlineOwner) {
    this.#deps = deps
    this.#owner = owner
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
    if (!this.#over) this.wake()
  }

  /** Past by more than `graceMs` and still not ended: what a sweeper looks for. */
  missed(graceMs: number): boolean {
    return !this.#over && this.#deps.clock.now() > this.instant.value + graceMs
  }

  stop(): void {
    this.#over = true
    this.#deps.alarms.cancel(this)
  }

  #arm(): void {
    const { clock } = this.#deps
    this.#warnedMs = this.instant.value - clock.now()
    this.#dueMonotonicMs = clock.monotonicMs() + this.#warnedMs
    // Never ends within the caller's own step: whoever makes or moves a deadline has not finished yet.
    this.#sleep()
  }

  wake(): void {
    const { monotonicLeftMs, wallLeftMs } = this.#left()
    const jumpedBack = monotonicLeftMs <= 0 && wallLeftMs > slewMsMax
    if (wallLeftMs <= 0 || jumpedBack) return this.#end()
    this.#warn(Math.min(monotonicLeftMs, wallLeftMs))
    if (!this.#over) this.#sleep()
  }

  #sleep(): void {
    const { monotonicLeftMs, wallLeftMs } = this.#left()
    const endLeftMs = monotonicLeftMs <= 0 ? wallLeftMs : Math.min(monotonicLeftMs, wallLeftMs)
    const warning = this.#nextWarning()
    const untilWarningMs = Math.min(monotonicLeftMs, wallLeftMs) - (warning ?? 0)
    const leftMs = warning === undefined ? endLeftMs : Math.min(endLeftMs, untilWarningMs)
    this.#deps.alarms.set(this, Math.min(pieceMsMax, Math.max(1, Math.ceil(leftMs))))
  }

  #left(): { monotonicLeftMs: number; wallLeftMs: number } {
    const { clock } = this.#deps
    return {
      monotonicLeftMs: this.#dueMonotonicMs - clock.monotonicMs(),
      wallLeftMs: this.instant.value - clock.now(),
    }
  }

  #end(): void {
    this.stop()
    this.#owner.deadlineCame(this.#dueMonotonicMs)
  }

  /** Once, with what is left, for all that a suspended machine or a jump went past. */
  #warn(leftMs: number): void {
    let due: number | undefined
    for (let next = this.#nextWarning(); next !== undefined && leftMs <= next; next = this.#nextWarning()) {
      due = next
      this.#warnedMs = next
    }
    if (due !== undefined) this.#owner.deadlineNear(due - leftMs < slewMsMax ? due : leftMs)
  }

  /** The longest that is still ahead. */
  #nextWarning(): number | undefined {
    let next: number | undefined
    for (const beforeMs of this.#deps.warnBeforeMs) {
      if (beforeMs < this.#warnedMs && (next === undefined || beforeMs > next)) next = beforeMs
    }
    return next
  }
}
