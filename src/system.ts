import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import type { Random } from './kernel/ids.ts'
import type { Clock, Instant } from './kernel/time.ts'

/** The machine's clocks and timers. */
export const systemClock: Clock = {
  now: () => Date.now() as Instant,
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    let timer: NodeJS.Timeout
    const arm = (leftMs: number) => {
      timer = leftMs > pieceMsMax ? setTimeout(() => arm(leftMs - pieceMsMax), pieceMsMax) : setTimeout(task, leftMs)
    }
    arm(delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** The longest timer of Node; one that is asked for more ends at once. */
const pieceMsMax = 2 ** 31 - 1

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** The machine's randomness. */
export const systemRandom: Random = {
  bytes: (lengthBytes) => randomBytes(lengthBytes),
  id: (prefix) => `${prefix}-${Array.from(randomBytes(16), (byte) => alphabet[byte & 31]).join('')}`,
}

/**
 * Lets memory of buffers count like memory of objects when V8 decides whether to look for garbage. Without it, some
 * 64 MB of buffers make it mark the whole heap, however few objects there are: that took 60 % of the processor time of
 * an SSH download (docs/performance.md). May be set while V8 runs, and holds for all threads.
 */
export function calmGarbageCollector(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
}
