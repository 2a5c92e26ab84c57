/** Milliseconds since the Unix epoch, UTC. */
export type Instant = number & { readonly unit: 'epoch-ms' }

/** A timer that can be called off. Disposing twice is harmless. */
export interface Timer {
  cancel(): void
}

/** The only source of time in the domain rooms, so that tests turn it by hand. */
export interface Clock {
  /** The wall clock. It may jump. */
  now(): Instant
  /** Milliseconds on a clock that never jumps; only differences mean anything. */
  monotonicMs(): number
  /** Runs `task` once, not before `delayMs` have passed on the monotonic clock. `delayMs` below 2^31. */
  after(delayMs: number, task: () => void): Timer
}

export function later(at: Instant, byMs: number): Instant {
  return (at + byMs) as Instant
}

/** `2026-11-22T14:48:07.120Z` */
export function isoTime(at: Instant): string {
  return new Date(at).toISOString()
}

/** For notices and reasons: `2026-11-22 14:48:07 UTC` */
export function timeForPeople(at: Instant): string {
  return `${isoTime(at).slice(0, 19).replace('T', ' ')} UTC`
}
