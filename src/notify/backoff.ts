const firstMs = 5000
const mostMs = 30 * 60_000

/**
 * How long to wait after the `attempts`th failure: doubled each time from 5 s to 30 min, of which between half and all
 * is taken, so that what failed together does not come back together.
 * @param chance 0 up to, not including, 1.
 */
export function backoffMs(attempts: number, chance: number): number {
  const wholeMs = Math.min(mostMs, firstMs * 2 ** Math.min(30, Math.max(0, attempts - 1)))
  return Math.ceil(wholeMs * (0.5 + chance / 2))
}
