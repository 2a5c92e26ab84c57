import { randomBytes } from 'node:crypto'
import type { Random } from './kernel/ids.ts'
import type { Clock, Instant } from './kernel/time.ts'

/** The machine's clocks and timers. */
export const systemClock: Clock = {
  now: () => Date.now() as Instant,
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** The machine's randomness. */
export const systemRandom: Random = {
  bytes: (lengthBytes) => randomBytes(lengthBytes),
  id: (prefix) => `${prefix}-${Array.from(randomBytes(16), (byte) => alphabet[byte & 31]).join('')}`,
}
