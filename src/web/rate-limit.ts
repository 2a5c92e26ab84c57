import { networkOf } from '../identity/address.ts'
import { Fault } from '../kernel/fault.ts'
import type { Clock } from '../kernel/time.ts'

export interface RateLimit {
  /** @param key a person, or an address (of IPv6 its network counts). @throws Fault RATE_LIMITED when it has used up its tries. */
  take(key: string): void
}

interface Bucket {
  left: number
  filledAtMs: number
}

/**
 * A token bucket per key: `burst` tries at once, then one more every `perMs`.
 * At most `keysMax` keys are remembered; beyond that the one that was quiet longest is forgotten.
 */
export function createRateLimit(
  clock: Clock,
  { burst, perMs, keysMax = 10_000 }: { burst: number; perMs: number; keysMax?: number },
): RateLimit {
  const buckets = new Map<string, Bucket>()

  function refilled(key: string): Bucket {
    const nowMs = clock.monotonicMs()
    const bucket = buckets.get(key) ?? { left: burst, filledAtMs: nowMs }
    const gained = (nowMs - bucket.filledAtMs) / perMs
    return { left: Math.min(burst, bucket.left + gained), filledAtMs: nowMs }
  }

  return {
    take(whose) {
      const key = networkOf(whose)
      const bucket = refilled(key)
      const allowed = bucket.left >= 1
      if (allowed) bucket.left -= 1
      buckets.delete(key) // set again at the end: the map's order is the order of last use
      buckets.set(key, bucket)
      if (buckets.size > keysMax) buckets.delete(buckets.keys().next().value!)
      if (!allowed) throw new Fault('RATE_LIMITED', 'Too many tries at once.')
    },
  }
}

/** Remembers for `everyMs` what was done: for facts that are written once a visit, not once a click. */
export function createLately(
  clock: Clock,
  everyMs: number,
  keysMax = 10_000,
): { has(key: string): boolean; mark(key: string): void } {
  const seen = new Map<string, number>()
  return {
    has(key) {
      const atMs = seen.get(key)
      return atMs !== undefined && clock.monotonicMs() - atMs < everyMs
    },
    mark(key) {
      seen.delete(key)
      seen.set(key, clock.monotonicMs())
      if (seen.size > keysMax) seen.delete(seen.keys().next().value!)
    },
  }
}
