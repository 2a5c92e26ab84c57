import { Fault } from '../kernel/fault.ts'

export interface Turns {
  /** Does `work` when all that was asked for `key` before is done. @throws Fault RATE_LIMITED when too much waits. */
  take<T>(key: string, work: () => Promise<T>): Promise<T>
}

/** One thing after the other for each key: who asks for much at once waits, and takes no time from others. */
export function createTurns(waitingMax: number): Turns {
  const lines = new Map<string, { last: Promise<unknown>; waiting: number }>()

  return {
    async take(key, work) {
      const line = lines.get(key) ?? { last: Promise.resolve(), waiting: 0 }
      if (line.waiting >= waitingMax) throw new Fault('RATE_LIMITED', 'Too much is asked for at once.')
      lines.set(key, line)
      line.waiting++
      const done = line.last.then(work)
      line.last = done.catch(() => {}) // whoever asked for it learns of it; the next one is not concerned
      try {
        return await done
      } finally {
        if (--line.waiting === 0) lines.delete(key)
      }
    },
  }
}
