import { auditEvent, type Actor, type AuditEvent } from '../audit/event.ts'
import type { FaultCode } from '../kernel/fault.ts'
import { isoTime, type Clock, type Instant } from '../kernel/time.ts'

export type RefusalType =
  | 'request.refused'
  | 'decision.refused'
  | 'review.refused'
  | 'grant.end-refused'
  | 'lock.refused'

const windowMs = 60_000
/** Of one person, kind and code in a minute: somebody who tries by hand stays below. */
export const refusalsMax = 10

interface Window {
  readonly by: Actor
  readonly type: RefusalType
  readonly code: FaultCode
  readonly since: Instant
  readonly overMs: number
  count: number
}

/**
 * Which refusals are written down. Nobody fills the audit log with one, or hides another kind behind it: each kind and code
 * has its own allowance, and how many were left out is written when its minute is over.
 */
export class Refusals {
  readonly #windows = new Map<string, Window>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one more. @returns whether it is to be written, and what is to be written of those before. */
  count(by: Actor, type: RefusalType, code: FaultCode): { readonly isKept: boolean; readonly before: AuditEvent[] } {
    const key = `${by.id} ${type} ${code}`
    const known = this.#windows.get(key)
    const isOver = known !== undefined && this.#isOver(known)
    const window = known === undefined || isOver ? this.#begin(key, { by, type, code }) : known
    window.count += 1
    return { isKept: window.count <= refusalsMax, before: isOver ? this.#leftOut(known) : [] }
  }

  /** What is to be written of minutes that are over. */
  takeOver(): readonly AuditEvent[] {
    const over = [...this.#windows].filter(([, window]) => this.#isOver(window))
    for (const [key] of over) this.#windows.delete(key)
    return over.flatMap(([, window]) => this.#leftOut(window))
  }

  #isOver({ overMs }: Window): boolean {
    return this.#clock.monotonicMs() >= overMs
  }

  #begin(key: string, about: Pick<Window, 'by' | 'type' | 'code'>): Window {
    const overMs = this.#clock.monotonicMs() + windowMs
    const window: Window = { ...about, since: this.#clock.now(), overMs, count: 0 }
    this.#windows.set(key, window)
    return window
  }

  #leftOut({ by, type, code, since, count }: Window): AuditEvent[] {
    if (count <= refusalsMax) return []
    const data = { of: type, code, since: isoTime(since), leftOut: count - refusalsMax }
    return [auditEvent('refusals.left-out', this.#clock.now(), by, data)]
  }
}
