import { timeForPeople, type Instant } from '../kernel/time.ts'
import type { Admission, WarningCause } from './admission.ts'
import { longerText, warningText } from './words.ts'

type Announced = Pick<Admission, 'session' | 'deadline' | 'extendLink' | 'onWarning'>

/** Tells somebody at a terminal when the end of the session comes near, and when it has moved away. */
export function announceEnds(admission: Announced, say: (text: string) => void): Disposable {
  return new Announcement(admission, say)
}

class Announcement implements Disposable {
  readonly #admission: Announced
  readonly #say: (text: string) => void
  readonly #moves: Disposable
  readonly #warnings: Disposable
  #known: Instant

  constructor(admission: Announced, say: (text: string) => void) {
    this.#admission = admission
    this.#say = say
    this.#known = admission.deadline.value
    this.#moves = admission.deadline.subscribe((until) => this.#moved(until))
    this.#warnings = admission.onWarning((leftMs, cause) => this.#near(leftMs, cause))
  }

  get #what(): string {
    const { resource, role } = this.#admission.session
    return `${resource} as ${role}`
  }

  #moved(until: Instant): void {
    if (until > this.#known) this.#say(longerText(this.#what, timeForPeople(until)))
    this.#known = until
  }

  #near(leftMs: number, cause: WarningCause): void {
    this.#say(warningText(this.#what, leftMs, cause, this.#admission.extendLink))
  }

  [Symbol.dispose](): void {
    this.#moves[Symbol.dispose]()
    this.#warnings[Symbol.dispose]()
  }
}
